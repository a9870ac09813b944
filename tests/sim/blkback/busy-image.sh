#!/bin/bash
# SPDX-License-Identifier: MIT
# An image that a guest writes to is not given to another one; once it is free, it is.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
first=$(simxen create)
second=$(simxen create)
truncate -s 16M "$WORK/disk.img"
disk_attach "$first" xvda "raw:$WORK/disk.img"
guest_start "$first" blk --time 0 --blank "$XVDA"
wait_until "$LIMIT_REQUEST" "the first guest to be served" has_served "$first/xvda" 0
control attach --timeout="$LIMIT_ATTACH" disk "$second" xvda "raw:$WORK/disk.img" >/dev/null 2>&1 || true
if simxen exec "$second" simguest blk --limit 3 --time 1 "$XVDA" 2>/dev/null; then
    fail "two guests write to one image"
fi
guest_stop "$started"
disk_detach "$first" xvda
guest "$second" blk --time 1 "$XVDA"
