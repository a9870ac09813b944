#!/bin/bash
# SPDX-License-Identifier: MIT
# A worker dies with its supervisor, with requests in flight in a journal of a version that the next supervisor does not know: the disk is closed
# with a reason that names both versions, and the guest's other life begins afresh.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_of foreign
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest_start "$domain" blk --time 0 --blank "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
worker=$(disk_field "$domain/xvda" .worker.pid)
daemon_end KILL
kill -KILL "$worker"
wait_until "$LIMIT_DAEMON" "the worker to end" dead "$worker"
daemon_of own
daemon_start
wait_until "$LIMIT_RECOVERY" "the disk to be closed" state_is "$domain" "$XVDA" 6
error=$(disk_field "$domain/xvda" .last_error)
say "$error"
[[ $error == *"journal of version 2"*"0.1.0, which knows 1"* ]] || fail "the reason does not name the versions: $error"
expect "the reason in xenstore" "$error" "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/error")"
wait "$started" && fail "the guest should have lost its disk"
guest "$domain" blk --time 1 "$XVDA"
