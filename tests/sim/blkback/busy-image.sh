#!/bin/bash
# SPDX-License-Identifier: MIT
# An image that a guest writes to is not given to another one, which waits; once it is free, it is.
. "$(dirname "$0")/../../lib/blkback.sh"

daemon_start
first=$(simxen create)
second=$(simxen create)
truncate -s 16M "$WORK/disk.img"
disk_attach "$first" xvda "raw:$WORK/disk.img"
guest_start "$first" blk --time 0 --blank "$XVDA"
holder=$started
wait_until "$LIMIT_REQUEST" "the first guest to be served" has_served "$first/xvda" 0
disk_attach "$second" xvda "raw:$WORK/disk.img"
guest_start "$second" blk --requests 2000 "$XVDA"
waiter=$started

wait_until "$LIMIT_ATTACH" "the second guest to wait for the image" disk_is "$second/xvda" .activity waiting-for-image
served=$(disk_field "$first/xvda" .requests.read)
wait_until "$LIMIT_REQUEST" "the first guest to go on" has_served "$first/xvda" "$((served + 1000))"
disk_is "$second/xvda" .activity waiting-for-image || fail "two guests use one image"
guest_stop "$holder"
disk_detach "$first" xvda
guest_finish "$waiter"
