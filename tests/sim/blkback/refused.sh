#!/bin/bash
# SPDX-License-Identifier: MIT
# Images that cannot be served are refused with the reason, and leave a guest that can be given another.
. "$(dirname "$0")/../../lib/blkback.sh"
need qemu-img
daemon_start
domain=$(simxen create)
disk_refused "$domain" xvda "raw:$WORK/none.img" none.img "No such file"
disk_refused "$domain" xvda "vhd:$WORK/none.vhd" none.vhd "No such file"
disk_refused "$domain" xvda "tape:$WORK/none" tape
disk_refused "$domain" xvda "raw:relative/path" relative/path
disk_refused "$domain" xvda ram:a-lot a-lot
disk_refused "$domain" xvda "raw:$WORK" "regular file"
head -c 1M /dev/urandom >"$WORK/noise.vhd"
disk_refused "$domain" xvda "vhd:$WORK/noise.vhd" footer conectix
: >"$WORK/empty.vhd"
disk_refused "$domain" xvda "vhd:$WORK/empty.vhd" "too short"
qemu-img create -q -f vpc "$WORK/cut.vhd" 16M
truncate -s 1000 "$WORK/cut.vhd"
disk_refused "$domain" xvda "vhd:$WORK/cut.vhd" "past the end"

disk_attach "$domain" xvda ram:16M
guest "$domain" blk --time 1 --blank --verify-all "$XVDA"
