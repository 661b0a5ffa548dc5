#!/usr/bin/env bash
# Moves a running file server to another host by CRIU, while a client fetches a file from it, and compares the file.
#
#   examples/criu.sh [--rebind] [--strategy explicit|pool|symmetric|synchronized] [--mib N] [--pause SECONDS]
#
# The hosts are network namespaces that it makes and takes away: the server's first one with 10.77.0.2, its second one
# with 10.77.0.3, and the client's with 10.77.0.1, on a bridge in a fourth. docs/criu.md explains each step.
#
# --rebind does everything but CRIU's part: the process stays, and its host gets the other address instead. --pause lets
# time pass before the server is thawed: no more than clients wait for it, which is half a minute.
#
# SERVE and HQ name the two programs (built if they are not said), CRIU names criu. Exits with 0 if the file arrived as
# it was, with 1 if not, and with 77 if something is missing that it needs: root, tools, or CRIU 4.2. Ends within three
# minutes, and leaves nothing behind.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${CRIU_SH_BOUNDED:-}" ]; then
    CRIU_SH_BOUNDED=1 exec timeout --kill-after=10 180 "$0" "$@"
fi

mode=criu strategy=explicit mib=64 pause=0
while [ $# -gt 0 ]; do
    case $1 in
        --rebind) mode=rebind ;;
        --strategy) strategy=$2 && shift ;;
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
server='' client=''
clean_up() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    [ -z "$client" ] || kill "$client" 2>/dev/null || true
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

# ---- a server, and a client --------------------------------------------------------------------

mkdir "$work/www" "$work/out" "$work/img"
head -c "$((mib << 20))" /dev/urandom >"$work/www/file"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=server \
    -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:10.77.0.2 \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null

prepare="--strategy $strategy" pool=
case $strategy in
    explicit) prepare="$prepare --target 10.77.0.3:4433" ;;
    pool) pool="--pool 10.77.0.3:4433" ;;
esac
# shellcheck disable=SC2086
nsenter --net=/run/netns/$net-a -- setsid "$SERVE" --listen 0.0.0.0:4433 --root "$work/www" --cert "$work/cert.pem" \
    --key "$work/key.pem" --control "$work/control" $pool </dev/null >"$work/server.log" 2>&1 &
server=$!
disown # the shell reaps it all the same, and does not say that it was killed
until [ -S "$work/control" ]; do
    kill -0 $server || { cat "$work/server.log" && exit 1; }
    sleep 0.05
done

on c timeout 120 "$HQ" client --ca "$work/cert.pem" --out "$work/out" --migrate https://10.77.0.2:4433/file \
    >"$work/client.log" 2>&1 &
client=$!
# A tenth of it is there.
until [ "$(stat -c %s "$work/out/file.part" 2>/dev/null || echo 0)" -gt $(((mib << 20) / 10)) ]; do
    kill -0 $client || { cat "$work/client.log" && exit 1; }
    sleep 0.05
done

# ---- the move ----------------------------------------------------------------------------------

if [ $mode = criu ]; then
    move() {
        begun=$(date +%s%3N)
        # Killed by the dump and reaped by the shell that began it: its number is free for the restored one.
        timeout 60 nsenter --net="/run/netns/$net-a" -- "$criu" dump -t "$server" -D "$work/img" -o dump.log -v2 || return
        dumped=$(date +%s%3N)
        sleep "$pause"
        thawing=$(date +%s%3N)
        timeout 60 nsenter --net="/run/netns/$net-b" -- "$criu" restore -D "$work/img" -o restore.log -v2 -d || return
        echo "frozen in $((dumped - begun)) ms, thawed in $(($(date +%s%3N) - thawing)) ms," \
            "$(du -sm "$work/img" | cut -f 1) MiB of images"
        [ "$(stat -L -c %i "/proc/$server/ns/net")" = "$(stat -L -c %i "/run/netns/$net-b")" ]
    }
else
    move() {
        on a ip address del 10.77.0.2/24 dev eth0
        sleep "$pause"
        on b ip address del 10.77.0.3/24 dev eth0
        on a ip address add 10.77.0.3/24 dev eth0
    }
fi
export -f move on
export net server work criu pause
if ! "$here/orchestrate.sh" "$SERVE" "$work/control" "$prepare" "" bash -c move; then
    for log in server.log img/dump.log img/restore.log; do
        [ ! -e "$work/$log" ] || { echo "-- $log" && tail -n 20 "$work/$log"; }
    done
    exit 1
fi

# ---- the file ----------------------------------------------------------------------------------

wait $client || { cat "$work/client.log" && exit 1; }
grep -v '^$' "$work/client.log"
cmp "$work/www/file" "$work/out/file"
grep -q 'goes on at 10.77.0.3:4433' "$work/client.log" || { echo "the client fetched it all from one place" && exit 1; }
[ $mode = criu ] && how="by CRIU $version" || how="without CRIU, by another address"
echo "criu.sh: moved $how, by strategy $strategy; $mib MiB arrived as they were"
