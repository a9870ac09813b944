#!/bin/bash
# SPDX-License-Identifier: MIT
# The verifier itself: a sector that changes behind its back must not escape it.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
truncate -s 16M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest "$domain" blk --time 1 --read 0 --blank --state "$WORK/state" "$XVDA"
disk_detach "$domain" xvda

# An old version of a sector: the one that a neighbour holds now. Then one flipped bit.
cp "$WORK/disk.img" "$WORK/good.img"
for damage in misplaced flipped; do
    if [ $damage = misplaced ]; then
        dd if="$WORK/good.img" of="$WORK/disk.img" bs=512 count=1 skip=100 seek=101 conv=notrunc status=none
    else
        printf '\x5a' | dd of="$WORK/disk.img" bs=1 seek=1000000 conv=notrunc status=none
    fi
    ! simguest check "$WORK/state.$XVDA" "$WORK/disk.img" || fail "the check misses a $damage sector"
    disk_attach "$domain" xvda "raw:$WORK/disk.img"
    ! guest "$domain" blk --time 1 --read 100 --blank --state "$WORK/state" --verify-all "$XVDA" || fail "the guest misses a $damage sector"
    disk_detach "$domain" xvda
    cp "$WORK/good.img" "$WORK/disk.img"
done
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"
