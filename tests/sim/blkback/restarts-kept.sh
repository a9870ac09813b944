#!/bin/bash
# SPDX-License-Identifier: MIT
# What is counted of a worker's deaths outlives the supervisor, as the counters of requests do; it is counted from zero where another version did.
. "$(dirname "$0")/../../lib/blkback.sh"

known() {
    disk_field "$domain/xvda" '"\(.worker.restarts) \(.worker.guest_restarts) \(.worker.last_death)"'
}

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
for _ in 1 2; do
    worker=$(disk_field "$domain/xvda" .worker.pid)
    kill -KILL "$worker"
    wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$domain/xvda" "$worker"
done
before=$(known)
expect "what is known" "2 2 killed by signal 9 (Killed)" "$before"
for signal in KILL TERM; do
    daemon_end "$signal"
    daemon_start
    wait_until "$LIMIT_RECOVERY" "the new supervisor to serve the disk" disk_is "$domain/xvda" .activity connected
    expect "what is known after SIG$signal" "$before" "$(known)"
done

# What another version counted is not understood.
daemon_end TERM
for file in "$RUN/blkback/$domain"-*/restarts "$RUN/blkback/$domain"-*/"$XVDA/restarts"; do
    printf '\143' | dd of="$file" conv=notrunc status=none
done
daemon_start
wait_until "$LIMIT_RECOVERY" "the new supervisor to serve the disk" disk_is "$domain/xvda" .activity connected
expect "what is known of another version's counts" "0 0 null" "$(known)"
guest_stop "$started"
disk_detach "$domain" xvda
guest_is_gone() { ! compgen -G "$RUN/blkback/$domain-*"; }
wait_until "$LIMIT_RECOVERY" "the guest to go with its last disk" guest_is_gone
disk_attach "$domain" xvda ram:16M
expect "deaths under a new disk" "0 0 null" "$(known)"
disk_detach "$domain" xvda
