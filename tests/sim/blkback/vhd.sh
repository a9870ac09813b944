#!/bin/bash
# SPDX-License-Identifier: MIT
# Images made by qemu-img, dynamic and fixed, hold what is written to them, as qemu-img reads them afterwards.
. "$(dirname "$0")/../../lib/blkback.sh"
need qemu-img
daemon_start
domain=$(simxen create)
for subformat in dynamic fixed; do
    image=$WORK/$subformat.vhd
    qemu-img create -q -f vpc -o "subformat=$subformat,force_size=on" "$image" 40M
    disk_attach "$domain" xvda "vhd:$image"
    guest "$domain" blk --time 3 --blank --state "$WORK/$subformat" --verify-all "$XVDA"
    disk_detach "$domain" xvda
    qemu-img convert -f vpc -O raw "$image" "$WORK/$subformat.img"
    simguest check "$WORK/$subformat.$XVDA" "$WORK/$subformat.img"
done
