#!/bin/sh
# SPDX-License-Identifier: MIT
# Simulator and simulated guest against a backend nobody here wrote: Debian's QEMU serves the guest's disk, the guest verifies
# every byte, and what it left is in the image.
set -eu
. "$(dirname "$0")/lib.sh"
simguest=$1
[ -x /usr/libexec/xen-qemu-system-i386 ] || { echo "qemu-system-xen is not installed"; exit 77; }

domid=$(simxen create)
image=$SIMXEN_DIR/disk.img
truncate -s 64M "$image"
qemu-backend "$domid" "51712=$image" >"$SIMXEN_DIR/qemu.log" 2>&1 &
qemu=$!
trap 'kill "$qemu"; cat "$SIMXEN_DIR/qemu.log"' EXIT
ready() { [ "$(xenstore-read "/local/domain/0/backend/qdisk/$domid/51712/state" 2>/dev/null)" = 2 ]; }
wait_for ready

for order in 0 2; do
    simxen exec "$domid" "$simguest" blk --requests 2000 --depth 16 --order $order --seed 7 --blank --state "$SIMXEN_DIR/model" 51712
done
[ "$(tr -d '\0' <"$image" | head -c 1 | wc -c)" -eq 1 ]

# Nothing was granted or mapped beyond the guest's life, and nothing revoked while QEMU still mapped it.
simxen list | awk -v d="$domid" '$1 == d && ($4 != 1 || $6 != 0) {exit 1}'
