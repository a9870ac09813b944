#!/bin/bash
# SPDX-License-Identifier: MIT
# Secure discards are offered of a RAM disk, and leave zeros in its memory; they are not of an image, where such a request is refused and does nothing.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
offered() { xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/discard-secure"; }
# One at a time, three in four of which are of the whole disk; the seed makes them the same each time.
discard=(blk --read 0 --flush 0 --discard 100 --discard-secure --discard-max 64M --depth 1 --requests 20 --seed 1)

disk_attach "$domain" xvda ram:16M
memory=$(echo "$WORK/ram"/*)
guest "$domain" blk --read 0 --flush 0 --requests 2000 "$XVDA"
! cmp -s -n $((16 << 20)) "$memory" /dev/zero || fail "nothing was written"
expect "secure discards of a RAM disk" 1 "$(offered)"
guest "$domain" "${discard[@]}" "$XVDA"
cmp -n $((16 << 20)) "$memory" /dev/zero || fail "the memory still holds what was discarded"
disk_detach "$domain" xvda

truncate -s 16M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest "$domain" blk --read 0 --flush 0 --requests 500 "$XVDA"
expect "secure discards of an image" 0 "$(offered)"
before=$(sha256sum <"$WORK/disk.img")
guest "$domain" hostile "$XVDA" discard-secure
expect "the image" "$before" "$(sha256sum <"$WORK/disk.img")"
