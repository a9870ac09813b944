#!/bin/bash
# SPDX-License-Identifier: MIT
# A request crashes its workers until it is parked, with a barrier behind it: that waits for it, and is not blamed. When the former can be executed,
# so are both, and the guest has seen nothing.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$LIB/parking.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
poison "$domain"
# All of these are on the ring at once, and behind the poisoned one are barriers (the seed makes them the same each time).
poisoned_guest "$domain" 3 "$XVDA" --depth 32 --barrier 60 --read 0 --flush 0 --seed 5 --time 0
wait_parked "$domain/xvda"
parked() { disk_field "$domain/xvda" ".parked.request.$1"; }
expect "what is parked" "write 3 3" "$(parked operation) $(parked sectors) $(parked attempts)"
expect "in flight: it, and a barrier" 2 "$(disk_field "$domain/xvda" .ring.in_flight)"
for i in 1 2; do
    simxen fault "$domain" none
    [ "$i" -eq 2 ] || poison "$domain"
    control resume "$domain/xvda" >/dev/null
    [ "$i" -eq 2 ] || wait_parked "$domain/xvda"
done
more() { [ "$(disk_field "$domain/xvda" .barriers)" -gt "$1" ]; }
wait_until "$LIMIT_REQUEST" "barriers to be served" more "$(($(disk_field "$domain/xvda" .barriers) + 50))"
guest_stop "$started"
