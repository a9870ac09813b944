# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
# What tests share that change a VHD under its guest. Sourced after blkback.sh: a daemon runs then, $domain is a guest, and the images are in the current directory.
need python3

readonly RINGCTL=$RINGBACK_BUILD/tools/ringctl/ringctl
daemon_start
domain=$(simxen create)
mkdir "$WORK/images"
cd "$WORK/images" || exit 1

# served COUNT: the disk is, and has so many requests more.
served() {
    wait_until "$LIMIT_RECOVERY" "the disk to be served" disk_is "$domain/xvda" .activity connected
    wait_until "$LIMIT_REQUEST" "$1 more requests to be served" has_served "$domain/xvda" "$(($(disk_field "$domain/xvda" .requests.read) + $1))"
}

# half_used MIB: disk.vhd of twice that, which a guest, $user, uses the first half of. What is in the other is always there to be copied.
half_used() {
    { head -c "$1M" /dev/zero && head -c "$1M" /dev/urandom; } >"$WORK/first.raw"
    "$RINGCTL" vhd convert raw:"$WORK/first.raw" vhd:disk.vhd
    disk_attach "$domain" xvda "vhd:$WORK/images/disk.vhd"
    guest_start "$domain" blk --time 0 --blank --span "$1M" --discard 2 --state "$WORK/model" --verify-all "$XVDA"
    user=$started
}

# half_right MIB: that image stands by itself, other programs read the same of it, and the guest and nobody else has written to it.
half_right() {
    "$RINGCTL" vhd check disk.vhd
    "$RINGCTL" vhd convert vhd:disk.vhd raw:"$WORK/check.raw"
    "$LIB/vhdread.py" disk.vhd | cmp - "$WORK/check.raw" || fail "another reader reads something else"
    cmp -i "$1M" "$WORK/first.raw" "$WORK/check.raw" || fail "what nobody wrote to is something else"
    truncate -s "$1M" "$WORK/check.raw"
    simguest check "$WORK/model.$XVDA" "$WORK/check.raw"
}
