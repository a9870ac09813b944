#!/bin/bash
# SPDX-License-Identifier: MIT
# A dynamic VHD with many blocks in use: opening it takes more than a small one does.
. "$(dirname "$0")/../../lib/blkback.sh"
need qemu-img
mkdir -p "$WORK"
truncate -s 300M "$WORK/disk.img"
for ((block = 0; block < 150; block++)); do
    printf x | dd of="$WORK/disk.img" bs=2M seek="$block" conv=notrunc status=none
done
qemu-img convert -f raw -O vpc -o subformat=dynamic,force_size=on "$WORK/disk.img" "$WORK/disk.vhd"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda "vhd:$WORK/disk.vhd"
guest "$domain" blk --time 2 --state "$WORK/state" --verify-all "$XVDA"
disk_detach "$domain" xvda
qemu-img convert -f vpc -O raw "$WORK/disk.vhd" "$WORK/disk.img"
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"
