#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest that takes no frames any more has the carrier of its tap taken off, and gets it back when it takes them again: whoever of worker and netbackd dies
# meanwhile.
. "$(dirname "$0")/../../lib/netback.sh"

carrier_is() { # 0 or 1
    [ "$(cat "/sys/class/net/vif$far.0/carrier")" = "$1" ]
}

# The worker's own view: the third number of the file of counters.
takes_frames() {
    [ "$(od -A n -t u8 -j 16 -N 8 "$RUN/netback/$far"-*/0/counters | tr -d ' ')" = 1 ]
}

losses() {
    grep -c "takes no frames any more" "$DAEMON_LOG" || true
}
more_losses() { [ "$(losses)" -gt "$1" ]; }

received() { card_field "$far/0" .rx.packets; }
more_received() { [ "$(received)" -gt "$1" ]; }

stall() {
    wait_until "$LIMIT_GUEST" "the guest to be sent frames: $what" more_received "$(($(received) + 1000))"
    kill -STOP "$up"
    wait_until "$LIMIT_GUEST" "the guest that stands still to lose its carrier: $what" carrier_is 0
}

bridge_new br0
daemon_start --stall-time=300
guest_new
far=$domain
guest_new
near=$domain
net_start "$far" up --address 10.0.0.2 --lossy 0
up=$started
net_start "$near" udp --address 10.0.0.1 --one-way --lossy --time 600 0 10.0.0.2
wait_until "$LIMIT_ATTACH" "the card to be connected" card_is "$far/0" .activity connected

for what in nobody worker netbackd netbackd-first both; do
    stall
    worker=$(card_field "$far/0" .worker.pid)
    before=$(losses)
    case $what in
    worker) kill -KILL "$worker" ;;
    netbackd | netbackd-first) daemon_end KILL ;;
    both) daemon_end KILL && kill -KILL "$worker" ;;
    esac
    if [ $what = netbackd ]; then # the guest goes on while there is none
        kill -CONT "$up"
        wait_until "$LIMIT_GUEST" "the worker to see that the guest goes on" takes_frames
    fi
    [ -n "$daemon_pid" ] || daemon_start --stall-time=300
    if [ $what = netbackd-first ]; then # the worker tells it again
        wait_until "$LIMIT_GUEST" "the next netbackd to hear that the guest stands still" more_losses "$before"
        wait_until "$LIMIT_GUEST" "the carrier to be off still" carrier_is 0
        wait_until "$LIMIT_GUEST" "netbackd to say so" card_is "$far/0" .carrier false
        expect "the worker" "$worker" "$(card_field "$far/0" .worker.pid)"
    fi
    kill -CONT "$up"
    wait_until "$LIMIT_RECOVERY" "the carrier to be back after the death of: $what" carrier_is 1
    wait_until "$LIMIT_RECOVERY" "the card to be served" card_is "$far/0" .activity connected
    wait_until "$LIMIT_RECOVERY" "netbackd to say so" card_is "$far/0" .carrier true
done
