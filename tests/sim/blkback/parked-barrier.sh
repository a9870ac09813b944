#!/bin/bash
# SPDX-License-Identifier: MIT
# A request crashes its workers until it is parked, among barriers on several rings: those wait for it, and are not blamed. When it can be executed, so are
# they, and the guest has seen nothing.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$LIB/parking.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
poison "$domain"
poisoned_guest "$domain" 300 "$XVDA" --queues 4 --depth 48 --barrier 20 --read 30 --time 0
wait_parked "$domain/xvda"
parked() { disk_field "$domain/xvda" ".parked.request.$1"; }
expect "what is parked" "write 3 3" "$(parked operation) $(parked sectors) $(parked attempts)"
for i in 1 2; do
    simxen fault "$domain" none
    [ "$i" -eq 2 ] || poison "$domain"
    control resume "$domain/xvda" >/dev/null
    [ "$i" -eq 2 ] || wait_parked "$domain/xvda"
done
more() { [ "$(disk_field "$domain/xvda" .barriers)" -gt "$1" ]; }
wait_until "$LIMIT_REQUEST" "barriers to be served" more "$(($(disk_field "$domain/xvda" .barriers) + 50))"
guest_stop "$started"
