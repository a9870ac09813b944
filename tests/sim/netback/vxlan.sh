#!/bin/bash
# SPDX-License-Identifier: MIT
# Guests on two hosts talk through a VXLAN under their cards, as ringback(7) tells how: the guest is given the MTU that the VXLAN leaves, by xl's own script,
# and frames of that size cross whole, of a bridge of tapbridged's too. What does not fit is lost, so a guest must be told.
#
# The second host is another network namespace, joined to the first by a veth, with a netbackd of its own, for vif2. Xen and xenstore they share.
. "$(dirname "$0")/../../lib/netback.sh"
need curl jq nsenter
[ -x /etc/xen/scripts/vif-bridge ] || skip "there is no vif-bridge"
ip link add probe type vxlan id 1 dstport 4789 2>/dev/null || skip "this kernel has no VXLAN"
ip link delete probe
mount -t tmpfs none /run # the scripts' locks

# shellcheck disable=SC2016 # for the inner shell
unshare --net --mount -- sh -c 'mount -t sysfs none /sys && : >"$1" && exec sleep infinity' - "$WORK/far-is-there" &
far_host=$!
far_daemon=
far_run=$WORK/run-far

far() {
    nsenter --target "$far_host" --net --mount -- "$@"
}

end_far() {
    local file
    [ -z "$far_daemon" ] || kill -TERM "$far_daemon" && wait "$far_daemon"
    for file in "$far_run"/netback/*/worker; do
        [ ! -e "$file" ] || kill -KILL "$(cut -d' ' -f1 "$file")"
    done
    kill "$far_host"
} 2>/dev/null
at_end=end_far

wait_until "$LIMIT_DAEMON" "the second host" test -e "$WORK/far-is-there"

ip link add wire type veth peer name wire netns "$far_host"
ip address add 192.0.2.1/24 dev wire
far ip address add 192.0.2.2/24 dev wire
for host in "" far; do
    $host ip link set lo up
    $host ip link set wire up
    $host ip link add br0 type bridge
    $host ip link set br0 up
done
printf '[bridge lan]\nuplinks = lan0\n' >"$WORK/switch.conf"
switch_start
ip link set lan0 master br0
daemon_start
nsenter --target "$far_host" --net --mount -- "$daemon_program" --config=/dev/null --run-dir="$far_run" --device-kind=vif2 \
    --worker="$worker_program" </dev/null >>"$DAEMON_LOG" 2>&1 &
far_daemon=$!
wait_until "$LIMIT_DAEMON" "the second netbackd to serve" ringctl list --socket="$far_run/netbackd.sock"

# tunnel MTU: between the two bridges, on a wire of that MTU; what is left for guests is $inner.
tunnel() {
    local host
    for host in "" far; do
        $host ip link delete vxlan42 2>/dev/null || true
        $host ip link set wire mtu "$1"
    done
    ip link add vxlan42 type vxlan id 42 local 192.0.2.1 remote 192.0.2.2 dstport 4789 dev wire
    ip link set vxlan42 master br0 up
    far ip link add vxlan42 type vxlan id 42 local 192.0.2.2 dstport 4789 dev wire # as between many hosts
    far bridge fdb append 00:00:00:00:00:00 dev vxlan42 dst 192.0.2.1
    far ip link set vxlan42 master br0 up
    inner=$(cat /sys/class/net/br0/mtu)
    expect "what the VXLAN leaves of $1 bytes" $(($1 - 50)) "$inner"
}

# card WHERE DOMID OPTION...: card 0, by xl's script.
card() {
    local where=$1 domain=$2
    shift 2
    $where simxen vif-attach "$domain" 0 --bridge br0 --hotplug /etc/xen/scripts/vif-bridge "$@"
}

mtu_is() { # DOMID
    expect "the MTU that guest $1 is told" "$inner" "$(xenstore-read "/local/domain/$1/device/vif/0/mtu")"
}

# cross DOMID: traffic of that guest's with the second host's, which comes back verified; the longest frames there are, and segments of 64 KiB too.
cross() {
    local ipv4=$((inner - 28)) ipv6=$((inner - 48))
    net "$1" ping --address 10.0.0.1 --count 50 --rate 500 --size "64-$ipv4" 0 10.0.0.2
    net "$1" ping --address 10.0.0.1 --count 50 --rate 500 --size "$ipv4" 0 10.0.0.2
    net "$1" ping --address fd00::1 --count 50 --rate 500 --size "$ipv6" 0 fd00::2
    net "$1" udp --address 10.0.0.1 --count 200 0 10.0.0.2
    net "$1" tcp --address 10.0.0.1 --bytes 4M 0 10.0.0.2
    net "$1" tcp --address fd00::1 --bytes 4M 0 fd00::2
}

for outer in 1500 1550; do
    say "--- a wire of $outer"
    tunnel "$outer"
    near=$(simxen create)
    card "" "$near"
    other=$(simxen create)
    card far "$other" --kind vif2
    mtu_is "$near"
    mtu_is "$other"
    net_start "$other" up --address 10.0.0.2 --address fd00::2 0
    up=$started
    cross "$near"
    card_detach "$near" 0

    say "--- and a guest on a bridge of tapbridged"
    near=$(simxen create)
    card_switched "$near" 0 lan --mtu "$inner"
    mtu_is "$near"
    cross "$near"
    card_detach "$near" 0

    if [ "$inner" -lt 1500 ]; then
        say "--- a guest that is told of more than there is"
        near=$(simxen create)
        card "" "$near" --mtu 1500
        net "$near" ping --address 10.0.0.1 --count 20 --size 64 0 10.0.0.2
        result=$(simxen exec "$near" simguest net ping --json --address 10.0.0.1 --time 1 --lossy --size 1472 0 10.0.0.2) || true
        expect "echoes of frames that do not fit" 0 "$(field received)"
        card_detach "$near" 0
    fi
    net_stop "$up"
    expect "checksums that were wrong" 0 "$(field bad_checksum)"
    far simxen vif-detach "$other" 0 --kind vif2
done
