#!/bin/bash
# SPDX-License-Identifier: MIT
# The same with a guest that has already jumped to Connected.
. "$(dirname "$0")/../../lib/blkback.sh"
mkdir -p "$WORK"
domain=$(simxen create)
toolstack_attach vbd "$domain" "$XVDA" params ram:16M
guest_start "$domain" blk --as minios --time 2 --blank --verify-all "$XVDA"
front_jumped() {
    [ "$(xenstore-read "/local/domain/$domain/device/vbd/$XVDA/state")" = 4 ]
}
wait_until "$LIMIT_REQUEST" "the front end to jump" front_jumped
daemon_start
guest_finish "$started"
