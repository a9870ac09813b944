#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest that asks for its multicasts to be filtered gets those it listed, everything that is for all, and nothing else; a worker that takes over knows
# the list. It may ask, and take back, while it is connected. One that asks for nothing gets everything.
. "$(dirname "$0")/../../lib/netback.sh"

# IPv6 addresses of fd00::2 list 33:33:ff:00:00:02.
readonly LISTED=33:33:ff:00:00:02 OTHER=01:00:5e:00:00:fb OTHER6=33:33:00:00:00:fb

given() { card_field "$far/0" .rx.packets; }
filtered() { card_field "$far/0" '[.queues[].rx.drops.multicast] | add'; }
sum_is() { [ $(($(given) + $(filtered))) -ge "$1" ]; }

# passes MAC, is_filtered MAC: what becomes of frames to that address, each one of them.
send() {
    local given filtered
    given=$(given) filtered=$(filtered)
    net "$near" frames --one-way --count 50 --to "$1" 0
    wait_until "$LIMIT_GUEST" "50 frames to $1 to be counted" sum_is $((given + filtered + 50))
    passed=$(($(given) - given)) stopped=$(($(filtered) - filtered))
}

passes() {
    send "$1"
    say "$1: $passed passed, $stopped were filtered"
    [ "$passed" -ge 50 ] || fail "$1 is filtered"
}

is_filtered() {
    send "$1"
    say "$1: $passed passed, $stopped were filtered"
    [[ $stopped -ge 50 && $passed -lt 10 ]] || fail "$1 passes" # the guest's own stack may send to it too
}

filters() {
    passes "$LISTED"
    passes ff:ff:ff:ff:ff:ff
    is_filtered "$OTHER"
    is_filtered "$OTHER6"
}

passes_all() {
    passes "$LISTED"
    passes ff:ff:ff:ff:ff:ff
    passes "$OTHER"
    passes "$OTHER6"
}

control_is() { card_is "$far/0" .multicast_control "$1"; }

ask() {
    simxen exec "$far" xenstore-write device/vif/0/request-multicast-control "$1"
    wait_until "$LIMIT_ATTACH" "the wish to be known" control_is "$2"
}

bridge_new br0
ip link set br0 type bridge mcast_snooping 0
daemon_start
guest_new
far=$domain
guest_new
near=$domain

say "--- asked for before it connects"
net_start "$far" up --address fd00::2 --with multicast 0
wait_until "$LIMIT_ATTACH" "the card to be connected" card_is "$far/0" .activity connected
expect "whether its multicasts are filtered" true "$(card_field "$far/0" .multicast_control)"
net "$near" ping --address fd00::1 --count 5 --rate 500 0 fd00::2
filters
old=$(card_field "$far/0" .worker.pid)
kill -KILL "$old"
wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$far/0" "$old"
say "--- by a successor"
filters
ask 0 false
say "--- taken back"
passes_all
net_stop "$started"
expect "frames that were wrong" 0 "$(field corrupt)"

say "--- asked for while it is connected"
net_start "$far" up --address fd00::2 0
wait_until "$LIMIT_ATTACH" "the card to be connected" card_is "$far/0" .activity connected
passes_all
ask 1 true
is_filtered "$OTHER"
is_filtered "$LISTED" # it never listed it
daemon_end KILL
old=$(worker_pids)
# shellcheck disable=SC2086 # several
kill -KILL $old
daemon_start
for each in $old; do
    wait_until "$LIMIT_RECOVERY" "successors" worker_replaced "$far/0" "$each"
done
say "--- by the successor's successor"
expect "whether its multicasts are filtered" true "$(card_field "$far/0" .multicast_control)"
passes ff:ff:ff:ff:ff:ff
is_filtered "$OTHER"
ask nonsense false
passes_all
net_stop "$started"
