#!/bin/bash
# SPDX-License-Identifier: MIT
# The supervisor is restarted, in good order and by SIGKILL, under load: its workers serve on without it, and the new one continues them.
. "$(dirname "$0")/../../lib/blkback.sh"

# The guest's own count of answers, told by its progress.
told() {
    tail -n 1 "$WORK/guest.$started" | awk '{print $3}'
}

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:32M
guest_start "$domain" blk --time 0 --blank --progress --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
for signal in TERM KILL TERM KILL; do
    daemon_end "$signal"
    wait_until "$LIMIT_REQUEST" "the guest to tell" test -s "$WORK/guest.$started"
    before=$(told)
    goes_on() { [ "$(told)" -gt "$before" ]; }
    wait_until "$LIMIT_REQUEST" "the worker to serve on without its supervisor (after SIG$signal)" goes_on
    expect "the back end's state" 4 "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/state")"
    daemon_start
    wait_until "$LIMIT_RECOVERY" "the new supervisor to serve the disk" disk_is "$domain/xvda" .activity connected
    wait_until "$LIMIT_REQUEST" "requests to be served (after SIG$signal)" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
done
guest_stop "$started"
disk_detach "$domain" xvda
