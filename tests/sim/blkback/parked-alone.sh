#!/bin/bash
# SPDX-License-Identifier: MIT
# What a crash makes suspects of is executed alone in the whole worker: of many disks with requests in flight, again and again only the one with the bad request is
# parked, with attempts-max at its least.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/parking.sh"
rounds=4
others=(xvdb xvdc xvdd xvde)
numbers=(51728 51744 51760 51776)

daemon_start_with --attempts-max=2
domain=$(simxen create)
for dev in xvda "${others[@]}"; do
    truncate -s 16M "$WORK/$dev.img"
    disk_attach "$domain" "$dev" "raw:$WORK/$dev.img"
done
guest_start "$domain" blk --persistent no --limit "$LIMIT_PARKED" --blank --verify-all --poison 1000000000000 --time 0 "${numbers[@]}"
others_pid=$started
wait_until "$LIMIT_REQUEST" "the others to be served" has_served "$domain/xvde" 100
poison "$domain"
poisoned_guest "$domain" 200 "$XVDA" --time 0
parked_pid=$started
for ((round = 1; round <= rounds; round++)); do
    wait_until "$LIMIT_REQUEST" "it to be parked $round times" disk_is "$domain/xvda" '"\(.activity) \(.worker.restarts)"' "parked $((2 * round))"
    expect "attempts" 2 "$(disk_field "$domain/xvda" .parked.request.attempts)"
    for dev in "${others[@]}"; do
        wait_until "$LIMIT_REQUEST" "$dev to be served" has_served "$domain/$dev" "$(disk_field "$domain/$dev" .requests.read)"
        expect "what is told of $dev" null "$(disk_field "$domain/$dev" .parked)"
    done
    [ "$round" -eq "$rounds" ] || control resume "$domain/xvda"
done
simxen fault "$domain" none
control resume "$domain/xvda"
guest_stop "$parked_pid"
guest_stop "$others_pid"
