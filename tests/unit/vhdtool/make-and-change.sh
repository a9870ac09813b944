#!/bin/bash
# SPDX-License-Identifier: MIT
# `ringctl vhd`: images are made, converted, snapshot, coalesced and made larger, and what they hold stays the same.
set -euo pipefail
. "$(dirname "$0")/common.sh"

# Raw to dynamic and fixed and back; zeros take no room.
truncate -s $((21 << 20)) disk.raw
scribble disk.raw $((3 << 20)) 100000
scribble disk.raw $((20 << 20)) 1048576 2
"$ringctl" vhd convert raw:disk.raw vhd:disk.vhd
"$ringctl" vhd convert --fixed raw:disk.raw vhd:fixed.vhd
as_raw vhd:disk.vhd back.raw && same disk.raw back.raw
as_raw vhd:fixed.vhd back.raw && same disk.raw back.raw
[ "$(stat -c %b disk.vhd)" -lt $((11 << 11)) ] || fail "a dynamic image of two blocks takes $(stat -c %b disk.vhd) sectors"
"$ringctl" vhd info --json disk.vhd | jq -e '.type == "dynamic" and .used == 2 and .size == 22020096' >/dev/null || fail "info is wrong"
"$ringctl" vhd check disk.vhd >/dev/null

# A chain of a raw image, and two children; each holds what was written to it.
mkdir below
cp disk.raw below/base.raw
"$ringctl" vhd snapshot raw:below/base.raw one.vhd
"$ringctl" vhd snapshot one.vhd two.vhd
as_raw vhd:two.vhd back.raw && same disk.raw back.raw
"$ringctl" vhd info --json two.vhd | jq -e '.type == "differencing" and (.parents | length) == 2' >/dev/null || fail "the chain is not shown"
"$ringctl" vhd check two.vhd >/dev/null

# Coalesced, it needs its parents no more; they are as they were.
sum=$(sha256sum one.vhd below/base.raw)
"$ringctl" vhd coalesce two.vhd
[ "$sum" = "$(sha256sum one.vhd below/base.raw)" ] || fail "coalesce has changed a parent"
mkdir away && mv two.vhd away/
as_raw vhd:away/two.vhd back.raw && same disk.raw back.raw
"$ringctl" vhd info --json away/two.vhd | jq -e '.type == "dynamic" and .parents == []' >/dev/null || fail "it has a parent still"
refused 1 "has no parent" "$ringctl" vhd coalesce away/two.vhd

# Larger, with zeros.
for image in disk.vhd fixed.vhd away/two.vhd; do
    "$ringctl" vhd resize $image 50M
    "$ringctl" vhd check $image >/dev/null
    as_raw vhd:$image back.raw
    cp disk.raw larger.raw && truncate -s 50M larger.raw
    same larger.raw back.raw
    refused 1 "only be made larger" "$ringctl" vhd resize $image 20M
done

# The largest there is, and one more.
"$ringctl" vhd create 2040G huge.vhd
"$ringctl" vhd info --json huge.vhd | jq -e '.size == 2190433320960' >/dev/null || fail "the largest has another size"
"$ringctl" vhd snapshot huge.vhd huge-child.vhd
"$ringctl" vhd coalesce huge-child.vhd
refused 1 "2040 GiB" "$ringctl" vhd create 2041G toolarge.vhd
refused 1 "is there already" "$ringctl" vhd create 1M disk.vhd
[ ! -e toolarge.vhd ] || fail "what was refused has left a file"

# Command lines.
refused 2 "there is no command" "$ringctl" vhd frobnicate
refused 2 "does not take --fixed" "$ringctl" vhd info --fixed disk.vhd
refused 2 "usage" "$ringctl" vhd create 1M
refused 2 "is no size" "$ringctl" vhd create 1X x.vhd
refused 2 "which kind" "$ringctl" vhd convert disk.vhd raw:x
refused 2 "not a number" "$ringctl" vhd coalesce --rate=0 disk.vhd
for command in create info check repair convert snapshot coalesce resize; do
    grep -q "usage: ringctl vhd $command" <<<"$("$ringctl" vhd $command --help)" || fail "$command has no help"
done
grep -q coalesce <<<"$("$ringctl" vhd --help)" || fail "there is no help"
