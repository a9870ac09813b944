#!/bin/bash
# SPDX-License-Identifier: MIT
# `ringctl vhd check` and `repair`: what is wrong is said, what can be put right is, and the rest of the image stays as it is.
set -euo pipefail
. "$(dirname "$0")/common.sh"

truncate -s 8M disk.raw
scribble disk.raw 0 $((8 << 20))
"$ringctl" vhd convert raw:disk.raw vhd:good.vhd

# damaged WORDS CONTENT: check says so and changes nothing; repair does it; then it reads as CONTENT.
damaged() {
    local sum
    sum=$(sha256sum bad.vhd)
    refused 1 "$1" "$ringctl" vhd check bad.vhd
    [ "$sum" = "$(sha256sum bad.vhd)" ] || fail "check has written to the image"
    grep -q "$1.*(repaired)" <<<"$("$ringctl" vhd repair bad.vhd)" || fail "'$1' was not repaired"
    "$ringctl" vhd check bad.vhd >/dev/null || fail "after '$1' the image is not in order"
    as_raw vhd:bad.vhd back.raw
    same "$2" back.raw
}

size=$(stat -c %s good.vhd)
cp good.vhd bad.vhd && scribble bad.vhd 0 512
damaged "copy of the footer at the beginning" disk.raw
cp good.vhd bad.vhd && scribble bad.vhd $((size - 512)) 512
damaged "footer at the end" disk.raw
cp good.vhd bad.vhd && truncate -s $((size - 1)) bad.vhd
damaged "footer at the end" disk.raw

# An entry that points nowhere: its block is lost, the others are not.
cp good.vhd bad.vhd && printf '\x7f\xff\xff\xf0' | dd of=bad.vhd bs=1 seek=$((1536 + 4)) conv=notrunc status=none
cp disk.raw lost.raw && dd if=/dev/zero of=lost.raw bs=1M seek=2 count=2 conv=notrunc status=none
damaged "entry 1 points at sector" lost.raw

# What cannot be put right.
cp good.vhd bad.vhd && dd if=good.vhd of=bad.vhd bs=1 skip=1536 seek=$((1536 + 4)) count=4 conv=notrunc status=none
refused 1 "overlapping blocks" "$ringctl" vhd repair bad.vhd
cp good.vhd bad.vhd && scribble bad.vhd 512 1024
refused 1 "cxsparse" "$ringctl" vhd repair bad.vhd
cp good.vhd bad.vhd && scribble bad.vhd 0 512 && scribble bad.vhd $((size - 512)) 512
refused 1 "conectix" "$ringctl" vhd repair bad.vhd
refused 1 "conectix" "$ringctl" vhd check bad.vhd
