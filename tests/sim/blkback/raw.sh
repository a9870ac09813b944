#!/bin/bash
# SPDX-License-Identifier: MIT
# A raw file holds what is written to it, also when read without us; and a second life of the guest finds what the first one wrote.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
truncate -s 48M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest "$domain" blk --time 2 --blank --state "$WORK/state" "$XVDA"
guest "$domain" blk --time 2 --blank --state "$WORK/state" --verify-all "$XVDA"
disk_detach "$domain" xvda
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"
expect "the image's size" $((48 << 20)) "$(stat -c %s "$WORK/disk.img")"
