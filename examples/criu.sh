#!/usr/bin/env bash
# Moves a running file server to another host by CRIU, while clients fetch a file from it, and compares the files.
#
#   examples/criu.sh [--rebind] [--strategy explicit|pool|symmetric|synchronized] [--back]
#                    [--clients N] [--mib N] [--pause SECONDS]
#
# The hosts are network namespaces that it makes and takes away: the server's first one with 10.77.0.2, its second one
# with 10.77.0.3, and the client's with 10.77.0.1, on a bridge in a fourth. docs/criu.md explains each step.
#
# --rebind does everything but CRIU's part: the process stays, and its host gets the other address instead. --pause lets
# time pass before the server is thawed: no more than clients wait for it, which is half a minute. --back moves it back
# once it has arrived.
#
# SERVE and HQ name the two programs (built if they are not said), CRIU names criu. Exits with 0 if the file arrived as
# it was, with 1 if not, and with 77 if something is missing that it needs: root, tools, or CRIU 4.2. Ends within three
# minutes, and leaves nothing behind.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${CRIU_SH_BOUNDED:-}" ]; then
    CRIU_SH_BOUNDED=1 exec timeout --kill-after=10 180 "$0" "$@"
fi

mode=criu strategy=explicit back='' clients=1 mib=64 pause=0
while [ $# -gt 0 ]; do
    case $1 in
        --rebind) mode=rebind ;;
        --strategy) strategy=$2 && shift ;;
        --back) back=1 ;;
        --clients) clients=$2 && shift ;;
        --mib) mib=$2 && shift ;;
        --pause) pause=$2 && shift ;;
        *) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" && exit 2 ;;
    esac
    shift
done

# ---- what it needs -----------------------------------------------------------------------------

skip() { echo "criu.sh: skipped: $*" && exit 77; }

[ "$(uname)" = Linux ] || skip "this is not Linux"
[ "$(id -u)" -eq 0 ] || skip "root is needed to make network namespaces"
for tool in ip nsenter setsid openssl cmp; do
    command -v $tool >/dev/null || skip "$tool is missing"
done
criu=${CRIU:-criu}
if [ $mode = criu ]; then
    command -v "$criu" >/dev/null || skip "criu is missing; CRIU=PATH names one, --rebind does without"
    version=$("$criu" --version | sed -n 's/^Version: //p')
    [ "$(printf '4.2\n%s\n' "$version" | sort -V | head -n 1)" = 4.2 ] ||
        skip "CRIU is $version; kernels of today need 4.2"
    timeout 20 "$criu" check >/dev/null 2>&1 || skip "criu check says that this kernel cannot do it"
fi
if [ -z "${SERVE:-}" ] || [ -z "${HQ:-}" ]; then
    echo "building (SERVE and HQ would name programs that are there)"
    cargo build --quiet --release --manifest-path "$here/../Cargo.toml" --example serve --example hq
    target=${CARGO_TARGET_DIR:-$here/../target}
    SERVE=$target/release/examples/serve HQ=$target/release/examples/hq
fi

# ---- hosts -------------------------------------------------------------------------------------

net=pg$$
work=$(mktemp -d)
server='' visits=()
clean_up() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    [ ${#visits[@]} -eq 0 ] || kill "${visits[@]}" 2>/dev/null || true
    for host in a b c bridge; do
        ip netns del $net-$host 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

for host in bridge a b c; do
    ip netns add $net-$host 2>/dev/null || skip "network namespaces cannot be made here"
done
on() { nsenter --net="/run/netns/$net-$1" -- "${@:2}"; }
on bridge ip link add bridge type bridge 2>/dev/null || skip "bridges cannot be made here"
on bridge ip link set bridge up
join() { # HOST ADDRESS: a cable from the bridge to a host
    on bridge ip link add "to-$1" type veth peer name eth0 netns $net-$1
    on bridge ip link set "to-$1" master bridge up
    on "$1" ip link set lo up
    on "$1" ip link set eth0 up
    on "$1" ip address add "$2/24" dev eth0
}
join a 10.77.0.2
join b 10.77.0.3
join c 10.77.0.1
# So that the file is still on its way when the server moves. Without tc the file has to be large enough.
for host in a b; do
    on $host tc qdisc add dev eth0 root tbf rate 100mbit burst 256kb latency 50ms 2>/dev/null || true
done

# ---- a server, and clients ---------------------------------------------------------------------

mkdir "$work/www" "$work/there" "$work/back"
head -c "$((mib << 20))" /dev/urandom >"$work/www/file"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=server \
    -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:10.77.0.2 \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null

pool=
[ "$strategy" != pool ] || pool="--pool 10.77.0.2:4433 --pool 10.77.0.3:4433"
# shellcheck disable=SC2086
nsenter --net=/run/netns/$net-a -- setsid "$SERVE" --listen 0.0.0.0:4433 --root "$work/www" --cert "$work/cert.pem" \
    --key "$work/key.pem" --control "$work/control" $pool </dev/null >"$work/server.log" 2>&1 &
server=$!
disown # the shell reaps it all the same, and does not say that it was killed
until [ -S "$work/control" ]; do
    kill -0 $server || { cat "$work/server.log" && exit 1; }
    sleep 0.05
done

for visit in $(seq "$clients"); do
    on c timeout 150 "$HQ" client --ca "$work/cert.pem" --out "$work/$visit" --migrate https://10.77.0.2:4433/file \
        >"$work/$visit.log" 2>&1 &
    visits+=($!)
done
# All have begun, and the first one has a tenth of it.
has_begun() { [ "$(stat -c %s "$work/$1/file.part" 2>/dev/null || echo 0)" -gt "$2" ]; }
for visit in $(seq "$clients"); do
    until has_begun "$visit" $((visit == 1 ? (mib << 20) / 10 : 0)); do
        kill -0 "${visits[visit - 1]}" || { cat "$work/$visit.log" && exit 1; }
        sleep 0.05
    done
done

# ---- the move ----------------------------------------------------------------------------------

answers() { "$SERVE" ctl --control "$work/control" status >/dev/null 2>&1; }
if [ $mode = criu ]; then
    move() { # FROM TO IMAGES
        begun=$(date +%s%3N)
        # Killed by the dump, and reaped by whoever is its parent: its number is free for the restored one.
        timeout 60 nsenter --net="/run/netns/$net-$1" -- "$criu" dump -t "$server" -D "$3" -o dump.log -v2 || return
        dumped=$(date +%s%3N)
        sleep "$pause"
        thawing=$(date +%s%3N)
        # Without -d criu stays, as the parent that will reap it.
        nsenter --net="/run/netns/$net-$2" -- "$criu" restore -D "$3" -o restore.log -v2 </dev/null >/dev/null 2>&1 &
        until answers; do
            kill -0 $! 2>/dev/null || return
            sleep 0.01
        done
        echo "frozen in $((dumped - begun)) ms, and answers $(($(date +%s%3N) - thawing)) ms after it was to be thawed;" \
            "$(du -sm "$3" | cut -f 1) MiB of images"
        [ "$(stat -L -c %i "/proc/$server/ns/net")" = "$(stat -L -c %i "/run/netns/$net-$2")" ]
    }
else
    # The process stays in a, which is the host that it leaves and the one where it comes to.
    move() { # FROM TO IMAGES
        case $2 in b) old=2 new=3 ;; a) old=3 new=2 ;; esac
        on a ip address del 10.77.0.$old/24 dev eth0
        sleep "$pause"
        on b ip address del 10.77.0.$new/24 dev eth0
        on a ip address add 10.77.0.$new/24 dev eth0
        on b ip address add 10.77.0.$old/24 dev eth0
    }
fi
export -f move answers on
export net server work criu pause SERVE

orchestrate() { # FROM TO ADDRESS IMAGES
    local prepare="--strategy $strategy"
    [ "$strategy" != explicit ] || prepare="$prepare --target $3:4433"
    "$here/orchestrate.sh" "$SERVE" "$work/control" "$prepare" "" bash -c "move $1 $2 $4" && return
    for log in "$work/server.log" "$4/dump.log" "$4/restore.log"; do
        [ ! -e "$log" ] || { echo "-- $log" && tail -n 20 "$log"; }
    done
    exit 1
}
orchestrate a b 10.77.0.3 "$work/there"
[ -z "$back" ] || orchestrate b a 10.77.0.2 "$work/back"

# ---- the files ---------------------------------------------------------------------------------

for visit in $(seq "$clients"); do
    wait "${visits[visit - 1]}" || { cat "$work/$visit.log" && exit 1; }
    cmp "$work/www/file" "$work/$visit/file"
    for place in 10.77.0.3 ${back:+10.77.0.2}; do
        grep -q "goes on at $place:4433" "$work/$visit.log" || { echo "client $visit was not at $place" && exit 1; }
    done
done
grep -v '^$' "$work/1.log"
[ $mode = criu ] && how="by CRIU $version" || how="without CRIU, by another address"
echo "criu.sh: moved $how${back:+, and back}, by strategy $strategy; $clients times $mib MiB arrived as they were"
