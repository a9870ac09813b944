#!/bin/bash
# SPDX-License-Identifier: MIT
# A block device with sectors of 4096 bytes: the guest is told, is served whole ones, however its memory is cut, and refused parts of one.
. "$(dirname "$0")/../../lib/blkback.sh"
need losetup
image=$(mktemp)
loop=
forget() {
    [ -z "$loop" ] || losetup --detach "$loop"
    rm -f "$image"
}
at_end=forget
truncate -s 32M "$image"
loop=$(losetup --find --show --sector-size 4096 "$image" 2>/dev/null) || skip "no loop device with sectors of 4096 bytes can be made here"
daemon_start
domain=$(simxen create)
back=/local/domain/0/backend/vbd/$domain/$XVDA
disk_attach "$domain" xvda "raw:$loop"
for agreed in yes no; do
    guest "$domain" blk --time 1 --blank --state "$WORK/model" --verify-all --size 512-256K --segments 64 --barrier 5 --discard 5 --persistent "$agreed" "$XVDA"
done
expect "sector-size" 4096 "$(xenstore-read "$back/sector-size")"
expect "sectors, of 512 bytes" 65536 "$(xenstore-read "$back/sectors")"
before=$(sha256sum <"$loop")
guest "$domain" hostile "$XVDA" part-read part-write | tee "$WORK/hostile"
grep -q "2 ok" "$WORK/hostile" || fail "parts of a sector were not tried"
expect "the content" "$before" "$(sha256sum <"$loop")"
disk_detach "$domain" xvda
simguest check "$WORK/model.$XVDA" "$loop"
