#!/bin/bash
# SPDX-License-Identifier: MIT
# A grant copy that fails makes its request fail, and no other.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:32M
guest_start "$domain" blk --persistent no --time 0 --allow-errors --blank --verify-all --json "$XVDA"
faults() {
    [ "$(disk_field "$domain/xvda" .errors.grant)" -eq "$1" ]
}
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
for ((round = 1; round <= 10; round++)); do
    simxen fault "$domain" "copy:fail@$((round * round))"
    wait_until "$LIMIT_REQUEST" "failed copy $round" faults "$round"
done
guest_stop "$started" >"$WORK/result"
cat "$WORK/result"
expect "requests that failed" 10 "$(jq '.devices[0].errors' "$WORK/result")"
expect "restarts of the worker" 0 "$(disk_field "$domain/xvda" .worker.guest_restarts)"
