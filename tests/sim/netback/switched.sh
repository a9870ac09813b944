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
