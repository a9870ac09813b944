#!/bin/bash
# SPDX-License-Identifier: MIT
# A request that crashes every worker that executes it parks its disk after three of them, and is told of with its crash; the good requests it was in
# flight with are answered, and the guest's other disk and another guest see nothing of it. Tried again without the fault, everything is answered.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/parking.sh"
daemon_start
domain=$(simxen create)
other=$(simxen create)
truncate -s 16M "$WORK/a.img" "$WORK/b.img"
disk_attach "$domain" xvda "raw:$WORK/a.img"
disk_attach "$domain" xvdb "raw:$WORK/b.img"
disk_attach "$other" xvda ram:16M
healthy_guest "$domain" "$XVDB" --time 0
same_pid=$started
guest_start "$other" blk --time 0 --blank --verify-all "$XVDA"
other_pid=$started
poison "$domain"
# 32 at a time: the ones before and after the poisoned one are in flight with it.
poisoned_guest "$domain" 500 "$XVDA" --time 0 --read 30 --flush 5
poisoned_pid=$started
wait_parked "$domain/xvda"

control show "$domain/xvda"
control list
report=$(control show --json "$domain/xvda")
say_of() { jq -r "$1" <<<"$report"; }
expect "the request" "write 3 3" "$(say_of '.parked.request | "\(.operation) \(.sectors) \(.attempts)"')"
expect "the cause" "killed by signal 11 (Segmentation fault)" "$(say_of .parked.death)"
expect "the signal and address" "11 0x20" "$(say_of '.parked | "\(.signal) \(.address)"')"
[[ $(say_of '.parked.backtrace[0]') == libxengnttab.so*+0x* ]] || fail "the crash's place is told as $(say_of '.parked.backtrace[0]')"
grep -q '^blkbackd-worker+0x' <<<"$(say_of '.parked.backtrace[]')" || fail "the backtrace does not tell who called"
[ "$(($(date +%s) - $(say_of .parked.when)))" -lt 600 ] || fail "parked at $(say_of .parked.when)?"
expect "workers replaced" "3" "$(say_of .worker.restarts)"
# Every request but one that the guest had begun was answered: those of the first crash, and no new ones were taken.
expect "requests in flight" "1" "$(say_of .ring.in_flight)"
expect "the back end" "Connected" "$(say_of .state)"
grep -q " xvda .*Parked" <<<"$(control list)" || fail "ringctl list does not show it"
grep -q " xvdb .*Connected" <<<"$(control list)" || fail "the other disk is not connected"
curl -s --unix-socket "$RUN/blkbackd.sock" http://localhost/metrics | grep parked
grep -q "vbd $domain/$XVDA: parked: a write of 3 sectors" "$DAEMON_LOG" || fail "the log does not tell"
expect "times it is logged" 1 "$(grep -c 'parked: a write' "$DAEMON_LOG")"

wait_until "$LIMIT_REQUEST" "the other disk to be served" has_served "$domain/xvdb" "$(disk_field "$domain/xvdb" .requests.read)"
expect "deaths of the other guest's worker" null "$(disk_field "$other/xvda" .worker.last_death)"
expect "the other guest's crash" null "$(disk_field "$other/xvda" .crash)"

# Told to try again with the fault still there: parked again, after as many workers.
control resume "$domain/xvda"
wait_until "$LIMIT_REQUEST" "it to be tried and parked again" disk_is "$domain/xvda" '"\(.activity) \(.worker.restarts)"' "parked 6"

simxen fault "$domain" none
control resume "$domain/xvda"
wait_until "$LIMIT_REQUEST" "the disk to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
expect "what is told of parking" null "$(disk_field "$domain/xvda" .parked)"
if said=$(control resume "$domain/xvda" 2>&1); then fail "a disk that is served was resumed"; fi
[[ $said == *"is not parked"* ]] || fail "it is refused with: $said"
if control resume "$domain/xvdf" 2>/dev/null; then fail "a disk that is not there was resumed"; fi
guest_stop "$poisoned_pid"
guest_stop "$same_pid"
guest_stop "$other_pid"
disk_detach "$domain" xvda
