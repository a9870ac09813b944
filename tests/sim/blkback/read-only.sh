#!/bin/bash
# SPDX-License-Identifier: MIT
# A read-only disk is read; writes, flushes and discards fail, and the image stays as it was.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
truncate -s 16M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest "$domain" blk --time 1 --blank --state "$WORK/state" "$XVDA"
disk_detach "$domain" xvda
before=$(sha256sum <"$WORK/disk.img")

disk_attach "$domain" xvda "raw:$WORK/disk.img" --ro
guest "$domain" blk --time 1 --blank --state "$WORK/state" --verify-all "$XVDA"
guest "$domain" hostile "$XVDA" write-read-only flush-read-only discard-read-only bad-segment flip-operation
disk_detach "$domain" xvda
expect "the image" "$before" "$(sha256sum <"$WORK/disk.img")"
