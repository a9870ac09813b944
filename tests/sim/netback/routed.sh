#!/bin/bash
# SPDX-License-Identifier: MIT
# Guests whose cards are routed, by xl's own vif-route, reach the host, and each other through it; a card that is detached leaves no route.
. "$(dirname "$0")/../../lib/netback.sh"
need curl jq ifconfig
[ -x /etc/xen/scripts/vif-route ] || skip "there is no vif-route"
mount -t tmpfs none /run # the script's locks
ip link set lo up
ip link add eth0 type bridge # where the script looks for the host's address
ip address add 192.0.2.1/24 dev eth0
ip link set eth0 up
echo 1 >/proc/sys/net/ipv4/ip_forward
daemon_start

# card DOMID ADDRESS
card() {
    control attach nic "$1" "script=vif-route,ip=$2"
}

near=$(simxen create)
card "$near" 10.0.0.5
far=$(simxen create)
card "$far" 10.0.0.6
net_start "$far" up --address 10.0.0.6 0
up=$started
for peer in 192.0.2.1 10.0.0.6; do
    net "$near" ping --address 10.0.0.5 --count 50 --rate 500 0 $peer
done
net "$near" udp --address 10.0.0.5 --count 200 0 10.0.0.6
net "$near" tcp --address 10.0.0.5 --bytes 4M 0 10.0.0.6
net_stop "$up"
expect "checksums that were wrong" 0 "$(field bad_checksum)"
control detach "$near/vif0"
expect "routes to the card that was detached" "" "$(ip route show 10.0.0.5)"
[ -n "$(ip route show 10.0.0.6)" ] || fail "the other card has lost its route"
