#!/bin/bash
# SPDX-License-Identifier: MIT
# Two guests on a bridge of tapbridged talk through shared memory; segments of 64 KiB cross whole, and are cut for a guest that takes none. Workers, netbackd
# and tapbridged are killed under a stream. A third guest, isolated, hears nothing of another isolated one.
. "$(dirname "$0")/../../lib/netback.sh"
need curl jq
printf '[bridge lan]\n' >"$WORK/switch.conf"
ip link set lo up
switch_start
daemon_start
near=$(simxen create)
far=$(simxen create)
card_switched "$near" 0 lan
card_switched "$far" 0 lan
for options in "" "--queues 2" "--without gso4,gso6" "--without csum4,csum6" "--without sg"; do
    say "--- $options"
    # shellcheck disable=SC2086 # several words
    net_start "$far" up --address 10.0.0.2 --address fd00::2 $options 0
    up=$started
    for peer in 10.0.0.2 fd00::2; do
        for what in "ping --count 50 --rate 500" "udp --count 200" "tcp --bytes 1M"; do
            # shellcheck disable=SC2086
            net "$near" ${what%% *} --address 10.0.0.1 --address fd00::1 ${what#* } 0 $peer
        done
    done
    net_stop "$up"
    expect "checksums that were wrong" 0 "$(field bad_checksum)"
done
say "--- isolated, as xl says it"
hub=$(simxen create)
card_switched "$hub" 0 lan
net_start "$hub" up --address 10.0.0.3 0
hub_up=$started
for domain in "$near" "$far"; do
    card_detach "$domain" 0
    card_switched "$domain" 0 lan:isolated
done
net_start "$far" up --address 10.0.0.2 --lossy 0
up=$started
net "$near" ping --address 10.0.0.1 --count 5 --rate 500 0 10.0.0.3
wait_until "$LIMIT_ATTACH" "the other isolated card to be connected" card_is "$far/0" .activity connected
expect "its bridge" lan "$(card_field "$far/0" .bridge)"
if said=$(simxen exec "$near" simguest net ping --limit 3 --address 10.0.0.1 --count 5 --rate 500 0 10.0.0.2 2>&1); then
    fail "an isolated guest hears another: $said"
fi
[[ $said == *"nobody says where 10.0.0.2 is"* ]] || fail "another complaint was expected than: $said"
net_stop "$up"
net_stop "$hub_up"
