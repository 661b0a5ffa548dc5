#!/usr/bin/env bash
# An orchestrator in a few lines: prepares a server's move, has it moved, and says so; or calls it off.
#
#   orchestrate.sh SERVE CONTROL "PREPARE OPTIONS" "RELOCATED OPTIONS" MOVE...
#
# SERVE is the program `serve`, CONTROL the control socket of the server that moves, MOVE a command that takes the server
# to its new place and returns when it runs there. The options are those of `serve ctl prepare` and `serve ctl relocated`.
# Exits with 0 once all clients have followed.
set -u
serve=$1 control=$2 prepare=$3 relocated=$4
shift 4

ctl() { "$serve" ctl --control "$control" "$@"; }

# Which move this is. With its number, what is said twice is done once: everything below may be tried again.
last=$(ctl status) || exit
last=${last##*\"move\":}
number=$((${last%%[!0-9]*} + 1))

# shellcheck disable=SC2086 # they are several
if ! ctl prepare --move "$number" $prepare --wait; then
    # Not all are ready: nothing has moved, and nothing will. The server goes on where it is.
    ctl cancel --move "$number"
    exit 1
fi

if ! "$@"; then
    # It is still where it was, or it is nowhere, and then nobody answers.
    echo "orchestrate: the server was not moved" >&2
    ctl cancel --move "$number"
    exit 1
fi

# From here on there is no way back: the copy that was left behind, if there is one, must never run again.
for _ in $(seq 20); do
    # shellcheck disable=SC2086
    ctl relocated --move "$number" $relocated --wait
    case $? in
        0) exit 0 ;;
        3 | 4) sleep 0.2 ;; # it does not listen yet, or clients are still on their way: say it again
        *) exit 1 ;;        # it refuses, or clients were lost: what it printed says which
    esac
done
exit 1
