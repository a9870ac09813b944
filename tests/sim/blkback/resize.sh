#!/bin/bash
# SPDX-License-Identifier: MIT
# Disks become larger under a guest's verified I/O: a raw image by ringctl and by whoever writes to the file, VHDs by ringctl. The guest sees the new size
# without a new connection, and uses all of it; other programs read what it wrote there. What cannot be is refused, and changes nothing.
. "$(dirname "$0")/../../lib/blkback.sh"
need qemu-img python3
RINGCTL=$RINGBACK_BUILD/tools/ringctl/ringctl
daemon_start
domain=$(simxen create)
back=/local/domain/0/backend/vbd/$domain/$XVDA
cd "$WORK"

# told BYTES: of the guest.
told() {
    [ "$(xenstore-read "$back/sectors")" = $(($1 / 512)) ] && [ "$(xenstore-read "$back/state")" = 4 ]
}

# seen BYTES: by the guest.
seen() {
    grep -q "has $(($1 / 512)) sectors now" "$WORK/guest.$user"
}

# used FILE OFFSET: whether something is written behind that.
used() {
    ! cmp -s -n $(($(stat -c %s "$1") - $2)) -i "$2:0" "$1" /dev/zero
}

resize() {
    control resize --timeout="$LIMIT_ATTACH" "$domain/xvda" "$1"
}

# refused SIZE REASON
refused() {
    local said
    said=$(resize "$1" 2>&1) && fail "it is made $1"
    [[ $said == *"$2"* ]] || fail "$1 was refused, but not for '$2': $said"
}

truncate -s 16M raw.img
qemu-img create -q -f vpc -o subformat=dynamic,force_size=on dynamic.vhd 16M
qemu-img create -q -f vpc -o subformat=fixed,force_size=on fixed.vhd 16M
"$RINGCTL" vhd create 16M base.vhd
"$RINGCTL" vhd snapshot base.vhd child.vhd
for spec in raw:$WORK/raw.img vhd:$WORK/{dynamic,fixed,child}.vhd; do
    rm -f "model.$XVDA" check.raw
    disk_attach "$domain" xvda "$spec"
    guest_start "$domain" blk --time 0 --blank --grows --span 96M --state model --verify-all --json "$XVDA"
    user=$started
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 50
    refused 8M "cannot be made smaller"
    refused 100000001 "not a positive multiple of 512"
    resize 40M
    wait_until "$LIMIT_ATTACH" "the guest to be told of 40M ($spec)" told $((40 << 20))
    wait_until "$LIMIT_REQUEST" "the guest to see 40M ($spec)" seen $((40 << 20))
    resize 40M
    case $spec in
    raw:*) truncate -s $(((64 << 20) + 100)) raw.img ;; # by somebody else, and not in whole sectors
    *) resize 64M ;;
    esac
    wait_until "$LIMIT_ATTACH" "the guest to be told of 64M ($spec)" told $((64 << 20))
    wait_until "$LIMIT_REQUEST" "the guest to see 64M ($spec)" seen $((64 << 20))
    expect "the size that is shown ($spec)" $((64 << 20)) "$(disk_field "$domain/xvda" .size)"
    wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/xvda" "$(($(disk_field "$domain/xvda" .requests.read) + 500))"
    guest_stop "$user" >said
    tail -n 1 said >result
    expect "the size that the guest saw ($spec)" $((64 << 11)) "$(jq '.devices[0].sectors' result)"
    expect "how often it saw another ($spec)" 2 "$(jq '.devices[0].resizes' result)"
    disk_detach "$domain" xvda
    case $spec in
    raw:*) cp raw.img check.raw ;;
    *child*) "$RINGCTL" vhd convert vhd:child.vhd raw:check.raw ;;
    *) qemu-img convert -f vpc -O raw "${spec#vhd:}" check.raw ;;
    esac
    [ "$(($(stat -c %s check.raw) / 512))" = $((64 << 11)) ] || fail "$spec has $(stat -c %s check.raw) bytes for another program"
    used check.raw $((40 << 20)) || fail "nothing was written behind the former end of $spec"
    truncate -s 96M check.raw
    simguest check "model.$XVDA" check.raw
done
"$RINGCTL" vhd check dynamic.vhd
"$RINGCTL" vhd check child.vhd

# What cannot be.
refused 32M "serves no"
disk_attach "$domain" xvda ram:16M
refused 32M "not connected"
guest_start "$domain" blk --time 0 --blank "$XVDA"
user=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 50
refused 32M "RAM disk"
guest_stop "$user"
disk_detach "$domain" xvda

"$RINGCTL" vhd create 32M parent.vhd
"$RINGCTL" vhd snapshot parent.vhd small.vhd
python3 - small.vhd $((16 << 20)) <<'END'
import struct, sys
path, size = sys.argv[1], int(sys.argv[2])
data = bytearray(open(path, "rb").read())
for at in (0, len(data) - 512):
    data[at + 48:at + 56] = struct.pack(">Q", size)
    data[at + 64:at + 68] = b"\0" * 4
    data[at + 64:at + 68] = struct.pack(">I", ~sum(data[at:at + 512]) & 0xffffffff)
open(path, "wb").write(data)
END
disk_attach "$domain" xvda "vhd:$WORK/small.vhd"
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
user=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 50
refused 32M "a parent is larger"
told $((16 << 20)) || fail "the guest was told of a disk that is not"
guest_stop "$user"
