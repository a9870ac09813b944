#!/bin/bash
# SPDX-License-Identifier: MIT
# Write barriers, from several rings, in every layout of requests, beside direct and indirect requests: what was taken before is done and synced, then the
# barrier's data is written and synced, and nothing else begins before that, as a log of what the worker asked of the kernel shows. Disks of other kinds
# serve them, too, and a read-only one does not offer them.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3 qemu-img
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0 IOLOG=$WORK/iolog
LD_PRELOAD=$RINGBACK_BUILD/tests/sim/blkback/iolog.so daemon_start
domain=$(simxen create)
truncate -s 64M "$WORK/disk.img"
offer() { xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/$1"; }
number() { jq ".devices[0].$1" "$WORK/result"; }

skipped=
for options in "--queues 4 --depth 96 --segments 64 --size 512-128K" "--abi x86_32 --queues 2" "--abi x86_64 --persistent no" "--abi arm --queues 4"; do
    disk_attach "$domain" xvda "raw:$WORK/disk.img"
    head -c 8 /dev/zero | dd of="$IOLOG" conv=notrunc status=none
    before=$(sha256sum <"$WORK/disk.img")
    # shellcheck disable=SC2086
    guest "$domain" blk --time 2 --barrier 15 --flush 0 --read 40 --state "$WORK/model" --verify-all --json $options "$XVDA" >"$WORK/result"
    [ "$(number barriers)" -gt 50 ] || fail "only $(number barriers) barriers"
    [ "$before" != "$(sha256sum <"$WORK/disk.img")" ] || fail "nothing was written"
    expect "barriers counted ($options)" "$(number barriers)" "$(disk_field "$domain/xvda" .barriers)"
    expect "flushes offered" 1 "$(offer feature-flush-cache)"
    expect "barriers offered" 1 "$(offer feature-barrier)"
    "$LIB/iolog.py" "$IOLOG" "$(number barriers)" "$(number barriers_empty)" || skipped=$?
    [ "${skipped:-77}" -eq 77 ] || fail "the order of the log ($options)"
    disk_detach "$domain" xvda
done

qemu-img create -q -f vpc "$WORK/disk.vhd" 64M
for disk in ram:16M "vhd:$WORK/disk.vhd"; do
    disk_attach "$domain" xvda "$disk"
    guest "$domain" blk --requests 3000 --barrier 20 --flush 5 --discard 5 --blank --verify-all --queues 4 --json "$XVDA" >"$WORK/result"
    expect "barriers counted ($disk)" "$(number barriers)" "$(disk_field "$domain/xvda" .barriers)"
    disk_detach "$domain" xvda
done

disk_attach "$domain" xvda "raw:$WORK/disk.img" --ro
guest "$domain" blk --requests 100 --barrier 50 "$XVDA"
expect "barriers offered of what cannot be written" 0 "$(offer feature-barrier)"
guest "$domain" hostile "$XVDA" barrier
[ -z "$skipped" ] || skip "no io_uring here"
