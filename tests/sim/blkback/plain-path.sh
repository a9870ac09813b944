#!/bin/bash
# SPDX-License-Identifier: MIT
# A plain path means a raw file.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
truncate -s 16M "$WORK/disk.img"
disk_attach "$domain" xvda "$WORK/disk.img"
guest "$domain" blk --time 1 --blank --state "$WORK/state" --verify-all "$XVDA"
disk_detach "$domain" xvda
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"
