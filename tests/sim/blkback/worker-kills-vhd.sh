#!/bin/bash
# SPDX-License-Identifier: MIT
# The same on a VHD that grows meanwhile: the image stays whole, as qemu-img sees it.
. "$(dirname "$0")/../../lib/blkback.sh"
need qemu-img
daemon_start
domain=$(simxen create)
qemu-img create -q -f vpc -o subformat=dynamic,force_size=on "$WORK/disk.vhd" 512M
disk_attach "$domain" xvda "vhd:$WORK/disk.vhd"
guest_start "$domain" blk --time 0 --size 4K-44K --read 30 --flush 50 --span 192M --blank --state "$WORK/state" --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
kill_workers "$domain/xvda" "${RINGBACK_KILLS:-10}"
guest_stop "$started"
disk_detach "$domain" xvda
qemu-img convert -f vpc -O raw "$WORK/disk.vhd" "$WORK/disk.img"
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"
