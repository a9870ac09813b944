#!/bin/bash
# SPDX-License-Identifier: MIT
# A CD-ROM, as libxl writes it: the guest is told so, and that it is removable and read-only, which it is even where the toolstack says otherwise. An empty
# drive is refused with that reason. A removable disk is one that can be written.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
back=/local/domain/0/backend/vbd/$domain
head -c 2M /dev/urandom >"$WORK/cd.iso"
before=$(sha256sum <"$WORK/cd.iso")
readonly CDROM=1 REMOVABLE=2 READONLY=4
info() { xenstore-read "$back/$1/info"; }

toolstack_attach vbd "$domain" "$XVDA" device-type cdrom removable 1 mode w params "raw:$WORK/cd.iso"
guest "$domain" blk --requests 200 --state "$WORK/model" "$XVDA"
expect "info of a CD-ROM" $((CDROM | REMOVABLE | READONLY)) "$(info "$XVDA")"
expect "its mode" ro "$(disk_field "$domain/xvda" .mode)"
guest "$domain" hostile "$XVDA" write-read-only
expect "its content" "$before" "$(sha256sum <"$WORK/cd.iso")"

toolstack_attach vbd "$domain" "$XVDB" dev xvdb removable 1 params ram:16M
guest "$domain" blk --requests 200 --blank "$XVDB"
expect "info of a removable disk" $REMOVABLE "$(info "$XVDB")"

readonly XVDC=51744 XVDD=51760
toolstack_attach vbd "$domain" "$XVDC" dev xvdc device-type cdrom removable 1 params ""
toolstack_attach vbd "$domain" "$XVDD" dev xvdd device-type cdrom removable 1
for drive in "$XVDC" "$XVDD"; do
    refused() { [ "$(xenstore-read "$back/$drive/ringback-status" 2>/dev/null)" = error ]; }
    wait_until "$LIMIT_ATTACH" "the empty drive to be refused" refused
    expect "why" "the CD-ROM drive is empty" "$(xenstore-read "$back/$drive/ringback-error")"
    expect "its state" 2 "$(xenstore-read "$back/$drive/state")"
done
