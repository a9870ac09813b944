#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest discards on every kind of disk, and finds what it wrote last where it has not. What is discarded takes no room any more in an image, and
# another program reads the rest of it as it was.
. "$(dirname "$0")/../../lib/blkback.sh"
need qemu-img
RINGCTL=$RINGBACK_BUILD/tools/ringctl/ringctl
daemon_start
domain=$(simxen create)
back=/local/domain/0/backend/vbd/$domain/$XVDA
cd "$WORK"
truncate -s 16M raw.img
qemu-img create -q -f vpc -o subformat=fixed,force_size=on fixed.vhd 16M
qemu-img create -q -f vpc -o subformat=dynamic,force_size=on dynamic.vhd 16M
"$RINGCTL" vhd create 16M base.vhd
"$RINGCTL" vhd snapshot base.vhd child.vhd
load=(--read 30 --discard 30 --flush 5 --size 512-44K)

# offered KEY VALUE
offered() {
    expect "$1 of $spec" "$2" "$(xenstore-read "$back/$1")"
}

for spec in ram:16M raw:$WORK/raw.img vhd:$WORK/{fixed,dynamic,child}.vhd; do
    rm -f "model.$XVDA"
    disk_attach "$domain" xvda "$spec"
    guest "$domain" blk "${load[@]}" --requests 4000 --blank --state model --json "$XVDA" >result
    [ "$(jq '.devices[0].discards' result)" -gt 100 ] || fail "the guest has not discarded: $(cat result)"
    expect "discards of $spec that are counted" "$(jq '.devices[0].discards' result)" "$(disk_field "$domain/xvda" .requests.discard)"
    expect "bytes of $spec that are counted" "$(jq '.devices[0].bytes_discarded' result)" "$(disk_field "$domain/xvda" .bytes.discard)"
    # It is connected no more, and these are of its last life.
    offered feature-discard 1
    offered discard-granularity 4096
    offered discard-alignment 0
    offered discard-secure "$([ "$spec" = ram:16M ] && echo 1 || echo 0)"
    guest "$domain" hostile "$XVDA" discard-past-end discard-across-end discard-wraps discard-shifts-out discard-all-there-is discard-secure
    # A ram disk is another one when it is attached again.
    guest "$domain" blk "${load[@]}" --persistent no --depth 4 --discard-max 8M --requests 500 --verify-all --state model2 "$XVDA"
    rm -f "model2.$XVDA"
    disk_detach "$domain" xvda
done

# room FILE: bytes it takes.
room() {
    sync "$1"
    echo $(($(stat -c %b "$1") * 512))
}

for spec in raw:$WORK/raw.img vhd:$WORK/{dynamic,child}.vhd; do
    image=${spec#*:}
    rm -f "model.$XVDA"
    disk_attach "$domain" xvda "$spec"
    guest "$domain" blk --read 0 --size 44K --requests 3000 --state model "$XVDA"
    before=$(room "$image")
    guest "$domain" blk --read 0 --flush 0 --discard 100 --discard-max 16M --requests 100 --state model --verify-all "$XVDA"
    after=$(room "$image")
    disk_detach "$domain" xvda
    say "$spec: $before bytes, then $after"
    [ "$after" -lt $((before / 2)) ] || fail "$spec takes $after bytes after discards, $before before"
    [ "$spec" != "vhd:$WORK/dynamic.vhd" ] || qemu-img convert -f vpc -O raw dynamic.vhd check.raw
    [ "$spec" != "vhd:$WORK/child.vhd" ] || "$RINGCTL" vhd convert vhd:child.vhd raw:check.raw
    [ "$spec" != "raw:$WORK/raw.img" ] || cp raw.img check.raw
    simguest check "model.$XVDA" check.raw
    rm check.raw
done
# More than a worker does at once.
truncate -s 200M large.img
rm -f "model.$XVDA"
disk_attach "$domain" xvda "raw:$WORK/large.img"
guest "$domain" blk --read 0 --size 44K --discard 50 --discard-max 200M --depth 4 --requests 500 --blank --state model --verify-all --json "$XVDA" >result
[ "$(jq '.devices[0].bytes_discarded / .devices[0].discards > 30e6' result)" = true ] || fail "discards were small: $(cat result)"
disk_detach "$domain" xvda
simguest check "model.$XVDA" large.img
"$RINGCTL" vhd check dynamic.vhd
"$RINGCTL" vhd check child.vhd
