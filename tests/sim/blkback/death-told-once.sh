#!/bin/bash
# SPDX-License-Identifier: MIT
# Supervisors die between a worker's crash and its successor's start: the crash is held against the request once, and counted once.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/parking.sh"

stopped() {
    grep -q '^State:[[:space:]]*T' "/proc/$(worker_pids)/status"
}

told() {
    [ "$(disk_field "$domain/xvda" '"\(.worker.restarts) \(.worker.guest_restarts) \(.worker.state)"')" = "$1 $1 fenced" ]
}

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
simxen fault "$domain" 'copy/1536:stop@*'
poisoned_guest "$domain" 200 "$XVDA" --time 0
wait_until "$LIMIT_RECOVERY" "a worker to execute the request" stopped
guest_dir=$(echo "$RUN"/blkback/*)
sleep 1000 9<>"$guest_dir/fence" & # as if its I/O were under way
holder=$!
guest_pids+=("$holder") # ended at exit like them
worker=$(worker_pids)
kill -SEGV "$worker"
kill -CONT "$worker"
wait_until "$LIMIT_REQUEST" "the death to be counted" told 1

say "killed when it has counted the death"
daemon_end KILL
daemon_start
wait_until "$LIMIT_RECOVERY" "the disk to be known" told 1

say "killed when it has made room for the next worker's report"
daemon_end KILL
[ -s "$guest_dir/crash" ] || fail "there is no report"
dd if=/dev/zero of="$guest_dir/crash" bs="$(stat -c %s "$guest_dir/crash")" count=1 status=none
simxen fault "$domain" none
poison "$domain"
daemon_start
wait_until "$LIMIT_RECOVERY" "the disk to be known" told 1
kill "$holder"
wait_parked "$domain/xvda"
expect "attempts, and workers that ended" "3 3 3" \
    "$(disk_field "$domain/xvda" '"\(.parked.request.attempts) \(.worker.restarts) \(.worker.guest_restarts)"')"

simxen fault "$domain" none
control resume "$domain/xvda"
wait_until "$LIMIT_REQUEST" "the disk to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
guest_stop "$started"
