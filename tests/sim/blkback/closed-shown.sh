#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk whose front end is closed is shown with all its configuration tells, as long as its node exists: by the supervisor that closed it, by
# one that finds it closed, and by one that finds it as its guest closed it while no supervisor ran.
. "$(dirname "$0")/../../lib/blkback.sh"

known() {
    disk_field "$domain/xvda" '"\(.state) \(.name) \(.kind) \(.source) \(.mode) \(.size)"'
}

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M --ro
guest "$domain" blk --time 1 --blank "$XVDA"
closed="Closed xvda ram ram:16M ro $((16 * 1024 * 1024))"
wait_until "$LIMIT_ATTACH" "the back end to be closed" state_is "$domain" "$XVDA" 6
expect "what is shown" "$closed" "$(known)"
daemon_end TERM
daemon_start
wait_until "$LIMIT_ATTACH" "the disk to be shown" disk_is "$domain/xvda" .activity idle
expect "what the next supervisor shows" "$closed" "$(known)"

guest_start "$domain" blk --time 0 --blank "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
daemon_end KILL
kill -KILL "$started"
xenstore-write "/local/domain/$domain/device/vbd/$XVDA/state" 6
daemon_start
wait_until "$LIMIT_ATTACH" "the back end to be closed" state_is "$domain" "$XVDA" 6
expect "what is shown of a disk that was closed meanwhile" "$closed" "$(known)"
disk_detach "$domain" xvda
