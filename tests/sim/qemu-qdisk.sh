#!/bin/bash
# SPDX-License-Identifier: MIT
# The simulator and its guest, checked by a program nobody here wrote: Debian's unmodified QEMU serves the guest's verified I/O, and
# qemu's image then holds what the guest wrote.
. "$(dirname "$0")/../lib/blkback.sh"
[ -x "${SIMHOST_QEMU:-/usr/libexec/xen-qemu-system-i386}" ] || skip "qemu-system-xen is not installed"
need qemu-img
mkdir -p "$WORK"
domain=$(simxen create)
qemu-img create -q -f qcow2 "$WORK/disk.qcow2" 64M
truncate -s 64M "$WORK/disk.img"
toolstack_attach qdisk "$domain" "$XVDA" params "aio:$WORK/disk.img" type aio removable 0 bootable 1
toolstack_attach qdisk "$domain" "$XVDB" dev xvdb params "qcow2:$WORK/disk.qcow2" type qcow2 removable 0 bootable 1
qemu-backend "$domain" >"$WORK/qemu.log" 2>&1 &
qemu=$!
guest_pids+=("$qemu")

guest "$domain" blk --time 3 --blank --state "$WORK/state" --verify-all "$XVDA" "$XVDB"
guest "$domain" blk --time 2 --order 4 --depth 256 --blank --state "$WORK/state" --verify-all "$XVDA" "$XVDB"
guest "$domain" blk --time 2 --abi x86_32 --blank --state "$WORK/state" --verify-all "$XVDA" "$XVDB"

kill -TERM "$qemu"
wait_until 30 "QEMU to end" dead "$qemu"
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"
qemu-img convert -f qcow2 -O raw "$WORK/disk.qcow2" "$WORK/converted.img"
simguest check "$WORK/state.$XVDB" "$WORK/converted.img"
