#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk that takes long to show up after a start is waited for as long as its node exists: here it lacks a key.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
daemon_end KILL
xenstore-rm "/local/domain/0/backend/vbd/$domain/$XVDA/frontend-id"
daemon_start
sleep 12 # longer than it looks for more
[ -e "$(echo "$RUN/blkback/$domain"-*/"$XVDA/connection")" ] || fail "the record of the connection is gone"
xenstore-write "/local/domain/0/backend/vbd/$domain/$XVDA/frontend-id" "$domain"
wait_until "$LIMIT_RECOVERY" "the disk to be served" disk_is "$domain/xvda" .activity connected
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
guest_stop "$started"
disk_detach "$domain" xvda
