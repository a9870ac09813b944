#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers that are killed from outside, fifty in a row with the same requests in flight, park nothing: those are executed again at once, and all are answered.
. "$(dirname "$0")/../../lib/blkback.sh"
kills=50

# stopped PID: in the middle of the request, where the simulator stops it.
stopped() {
    grep -q '^State:[[:space:]]*T' "/proc/$1/status"
}

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
simxen fault "$domain" 'copy/1536:stop@*'
guest_start "$domain" blk --persistent no --limit 600 --time 0 --blank --verify-all --poison 200 "$XVDA"
last=
next_stopped() {
    local worker
    worker=$(worker_pids)
    [ "$worker" != "$last" ] && stopped "$worker"
}
for kill in $(seq "$kills"); do
    wait_until "$LIMIT_RECOVERY" "worker $kill to execute the request" next_stopped
    last=$(worker_pids)
    kill -KILL "$last"
done
simxen fault "$domain" none
wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$domain/xvda" "$last"
if stopped "$(worker_pids)"; then kill -CONT "$(worker_pids)"; fi
expect "what is told of crashes and of parking" "null null" "$(disk_field "$domain/xvda" '"\(.crash) \(.parked)"')"
wait_until "$LIMIT_REQUEST" "the disk to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
[ "$(disk_field "$domain/xvda" .worker.restarts)" -ge "$kills" ] || fail "too few restarts"
guest_stop "$started"
