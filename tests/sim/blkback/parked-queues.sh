#!/bin/bash
# SPDX-License-Identifier: MIT
# A request that crashes every worker parks its disk, which has several queues: those of all other queues are answered before. Tried again without the
# fault, everything is.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/parking.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
poison "$domain"
poisoned_guest "$domain" 500 "$XVDA" --time 0 --queues 4 --depth 96
wait_parked "$domain/xvda"
expect "the request" "write 3 3" "$(disk_field "$domain/xvda" '.parked.request | "\(.operation) \(.sectors) \(.attempts)"')"
expect "requests in flight, of all queues" 1 "$(disk_field "$domain/xvda" .ring.in_flight)"
expect "workers replaced" 3 "$(disk_field "$domain/xvda" .worker.restarts)"
[ "$(disk_field "$domain/xvda" .crash.suspects)" -ge 1 ] || fail "no suspects are told"
simxen fault "$domain" none
control resume "$domain/xvda"
wait_until "$LIMIT_REQUEST" "every queue to be served" disk_is "$domain/xvda" '[.queues[].in_flight] | length' 4
wait_until "$LIMIT_REQUEST" "the disk to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
guest_stop "$started"
