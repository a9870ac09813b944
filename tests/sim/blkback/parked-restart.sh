#!/bin/bash
# SPDX-License-Identifier: MIT
# A parked disk stays parked when the supervisor is stopped or killed and started again, with all that is told of it, and is tried again when
# told to; the guest's other disk is served on. Deaths of that one's workers are not counted with it. A supervisor of another version tries by
# itself.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/parking.sh"

again() {
    daemon_start
    wait_until "$LIMIT_RECOVERY" "the other disk to be served" disk_is "$domain/xvdb" .activity connected
    wait_until "$LIMIT_REQUEST" "requests of it" has_served "$domain/xvdb" "$(disk_field "$domain/xvdb" .requests.read)"
}

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvdb ram:16M
healthy_guest "$domain" "$XVDB" --time 0
other_pid=$started
park_disk "$domain" xvda "$XVDA"
parked_pid=$started
before=$(disk_field "$domain/xvda" .parked)
for signal in KILL TERM; do
    daemon_end "$signal"
    again
    wait_parked "$domain/xvda"
    expect "what is told after SIG$signal" "$before" "$(disk_field "$domain/xvda" .parked)"
    expect "the back end" Connected "$(disk_field "$domain/xvda" .state)"
done

# The other disk's worker dies: before there is a supervisor, and before it has told one what it holds.
restarts=$(disk_field "$domain/xvda" .worker.restarts)
daemon_end KILL
kill -KILL "$(worker_pids)"
again
wait_parked "$domain/xvda"
expect "deaths that are counted with the parked disk" "$restarts" "$(disk_field "$domain/xvda" .worker.restarts)"
worker=$(worker_pids)
kill -STOP "$worker"
daemon_end KILL
daemon_start
wait_until "$LIMIT_DAEMON" "the disk to wait for the worker" disk_is "$domain/xvda" .activity adopting
kill -KILL "$worker"
wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$domain/xvdb" "$worker"
wait_parked "$domain/xvda"
expect "deaths that are counted with the parked disk" "$restarts" "$(disk_field "$domain/xvda" .worker.restarts)"

# As if another version had parked it; the fault is there still, so it ends as before.
daemon_end TERM
file=$(echo "$RUN"/blkback/*/"$XVDA"/parked)
printf '0.0.1' | dd of="$file" bs=1 seek=16 conv=notrunc status=none
again
parked_again() { [ "$(grep -c "vbd $domain/$XVDA: parked: " "$DAEMON_LOG")" = 2 ]; }
wait_until "$LIMIT_REQUEST" "it to be tried and parked again" parked_again
wait_parked "$domain/xvda"
grep -q "was parked by another version" "$DAEMON_LOG" || fail "the log does not tell"

simxen fault "$domain" none
daemon_end KILL
again
wait_parked "$domain/xvda"
control resume "$domain/xvda"
wait_until "$LIMIT_REQUEST" "the disk to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
[ ! -e "$file" ] || fail "$file is still there"
guest_stop "$parked_pid"
guest_stop "$other_pid"
