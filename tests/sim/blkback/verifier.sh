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

# An old version of a sector: the one that a neighbour holds now. Then one byte that is another. Both in the first sector that was written, or
# beside it.
cp "$WORK/disk.img" "$WORK/good.img"
byte=$({ cmp "$WORK/good.img" /dev/zero 2>&1 || true; } | sed -n "s/.*differ: byte \([0-9]*\),.*/\1/p") # from 1
sector=$(((byte - 1) / 512))
for damage in misplaced changed; do
    if [ $damage = misplaced ]; then
        dd if="$WORK/good.img" of="$WORK/disk.img" bs=512 count=1 skip="$sector" seek=$((sector + 1)) conv=notrunc status=none
    else
        printf '\0' | dd of="$WORK/disk.img" bs=1 seek=$((byte - 1)) conv=notrunc status=none
    fi
    ! simguest check "$WORK/state.$XVDA" "$WORK/disk.img" || fail "the check misses a $damage sector"
    disk_attach "$domain" xvda "raw:$WORK/disk.img"
    ! guest "$domain" blk --time 1 --read 100 --blank --state "$WORK/state" --verify-all "$XVDA" || fail "the guest misses a $damage sector"
    disk_detach "$domain" xvda
    cp "$WORK/good.img" "$WORK/disk.img"
done
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"
