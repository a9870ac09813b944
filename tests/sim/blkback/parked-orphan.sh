#!/bin/bash
# SPDX-License-Identifier: MIT
# A worker that crashes while no supervisor is there counts, too: the next supervisor learns it from the report the worker left. One that was killed does not.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/parking.sh"

stopped() {
    grep -q '^State:[[:space:]]*T' "/proc/$(worker_pids)/status"
}

# orphan_ends SIGNAL: the supervisor is killed while its worker executes the request, then the worker ends so.
orphan_ends() {
    local worker
    wait_until "$LIMIT_RECOVERY" "a worker to execute the request" stopped
    worker=$(worker_pids)
    daemon_end KILL
    kill -"$1" "$worker"
    kill -CONT "$worker"
    wait_until "$LIMIT_REQUEST" "the worker to end" dead "$worker"
}

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
simxen fault "$domain" 'copy/1536:stop@*'
poisoned_guest "$domain" 200 "$XVDA" --time 0
orphan_ends KILL
daemon_start
wait_until "$LIMIT_RECOVERY" "the disk to be known" disk_is "$domain/xvda" .activity connected
expect "what is told of a worker that was killed" null "$(disk_field "$domain/xvda" .crash)"
orphan_ends SEGV
simxen fault "$domain" none
poison "$domain"
daemon_start
wait_parked "$domain/xvda"
# One orphan was killed, which is no attempt; the other was the first of three.
expect "attempts, and workers replaced" "3 4" "$(disk_field "$domain/xvda" '"\(.parked.request.attempts) \(.worker.restarts)"')"
simxen fault "$domain" none
control resume "$domain/xvda"
wait_until "$LIMIT_REQUEST" "the disk to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
guest_stop "$started"
