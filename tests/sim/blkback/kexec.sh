#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest whose kernel is replaced in the middle of its requests, many times.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
truncate -s 32M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest "$domain" blk --reconnect 20 --time 4 --blank --state "$WORK/state" --verify-all "$XVDA"
disk_detach "$domain" xvda
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"
