#!/bin/bash
# SPDX-License-Identifier: MIT
# A daemon that starts after the toolstack made the disk and the guest began to wait for it.
. "$(dirname "$0")/../../lib/blkback.sh"
mkdir -p "$WORK"
domain=$(simxen create)
toolstack_attach vbd "$domain" "$XVDA" params ram:16M
guest_start "$domain" blk --time 2 --blank --verify-all "$XVDA"
sleep 1
daemon_start
guest_finish "$started"
