#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest sets up by its control ring how packets are spread over its queues: each comes in the queue that its hash says, with the hash. So it stays when
# its worker dies, when netbackd does, and when both do.
. "$(dirname "$0")/../../lib/netback.sh"

# Packets of many flows: each stream is one.
talk() {
    for peer in 10.0.0.2 fd00::2; do
        net "$near" udp --address 10.0.0.1 --address fd00::1 --count 40 0 "$peer"
        for seed in 1 2 3 4; do
            net "$near" tcp --address 10.0.0.1 --address fd00::1 --bytes 100K --seed "$seed" 0 "$peer"
        done
    done
}

# queues_used: of its queues, how many were given packets.
queues_used() { card_field "$far/0" '[.queues[] | select(.rx.packets > 5)] | length'; }

is_hashed() {
    expect "whether packets are spread as the guest says" true "$(card_field "$far/0" .control_ring.hash)"
    expect "control requests that were refused" 0 "$(card_field "$far/0" .control_ring.refused)"
}

bridge_new br0
daemon_start
guest_new
far=$domain
guest_new
near=$domain
net_start "$far" up --address 10.0.0.2 --address fd00::2 --queues 4 --with ctrl 0
up=$started
wait_until "$LIMIT_ATTACH" "the card to be connected" card_is "$far/0" .activity connected
for what in nothing worker daemon both; do
    say "--- killed: $what"
    old=$(card_field "$far/0" .worker.pid)
    case $what in
    worker) kill -KILL "$old" ;;
    daemon) daemon_end KILL && daemon_start ;;
    both) daemon_end KILL && kill -KILL "$old" && daemon_start ;;
    esac
    [ "$what" = nothing ] || [ "$what" = daemon ] || wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$far/0" "$old"
    wait_until "$LIMIT_RECOVERY" "the card to be served" card_is "$far/0" .activity connected
    is_hashed
    talk
    [ "$(queues_used)" -ge 2 ] || fail "only $(queues_used) queue is used"
done
net_stop "$up"
say "$(field rx_hashed) of $(field rx_frames) frames came with a hash"
expect "frames with another hash, or in another queue, than the control ring says" 0 "$(field rx_hash_wrong)"
[ "$(field rx_hashed)" -gt 320 ] || fail "only $(field rx_hashed) frames came with a hash"
