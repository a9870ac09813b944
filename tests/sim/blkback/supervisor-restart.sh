#!/bin/bash
# SPDX-License-Identifier: MIT
# The supervisor is restarted, in good order and by SIGKILL, under load: its workers serve on without it, and the new one adopts them, the same
# processes, with nothing executed again and no restart counted. What it then wants of them it gets: an adopted worker that dies is replaced.
. "$(dirname "$0")/../../lib/blkback.sh"

# The guest's own count of answers, told by its progress.
told() {
    tail -n 1 "$WORK/guest.$started" | awk '{print $3}'
}

known() {
    disk_field "$domain/xvda" '"\(.worker.pid) \(.replayed) \(.worker.restarts) \(.worker.guest_restarts)"'
}

daemon_start
domain=$(simxen create)
truncate -s 32M "$WORK/disk.img"
disk_attach "$domain" xvda ram:32M
disk_attach "$domain" xvdb "raw:$WORK/disk.img" --ro
guest_start "$domain" blk --time 0 --blank --progress --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
before=$(known)
expect "how the worker came" started "$(disk_field "$domain/xvda" .worker.origin)"
for signal in TERM KILL TERM KILL; do
    daemon_end "$signal"
    wait_until "$LIMIT_REQUEST" "the guest to tell" test -s "$WORK/guest.$started"
    answered=$(told)
    goes_on() { [ "$(told)" -gt "$answered" ]; }
    wait_until "$LIMIT_REQUEST" "the worker to serve on without its supervisor (after SIG$signal)" goes_on
    expect "the back end's state" 4 "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/state")"
    daemon_start
    wait_until "$LIMIT_RECOVERY" "the new supervisor to serve the disk" disk_is "$domain/xvda" .activity connected
    expect "worker, replayed, restarts (after SIG$signal)" "$before" "$(known)"
    expect "how the worker came" adopted "$(disk_field "$domain/xvda" .worker.origin)"
    wait_until "$LIMIT_REQUEST" "requests to be served (after SIG$signal)" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
done

# The adopted worker takes orders, and its death is noticed.
disk_detach "$domain" xvdb
disk_attach "$domain" xvdb "raw:$WORK/disk.img"
guest "$domain" blk --time 1 --blank "$XVDB"
expect "worker, replayed, restarts" "$before" "$(known)"
kill -KILL "$(disk_field "$domain/xvda" .worker.pid)"
wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$domain/xvda" "${before%% *}"
expect "how the worker came" started "$(disk_field "$domain/xvda" .worker.origin)"
[[ $(disk_field "$domain/xvda" .worker.last_death) == "ended; how is not known"* ]] || fail "the death has another reason"
expect "restarts" 1 "$(disk_field "$domain/xvda" .worker.restarts)"
guest_stop "$started"
disk_detach "$domain" xvda
disk_detach "$domain" xvdb
