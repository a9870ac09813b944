#!/bin/bash
# SPDX-License-Identifier: MIT
# Other readers and writers: qemu-img reads what we make and makes what we read; libvhdi knows chains.
set -euo pipefail
. "$(dirname "$0")/common.sh"
command -v qemu-img >/dev/null || exit 77

truncate -s 33M disk.raw
scribble disk.raw 0 3000000
scribble disk.raw $((20 << 20)) 5000000 2

# From QEMU: each of its formats, with the size it means.
for options in subformat=fixed subformat=dynamic subformat=fixed,force_size=on subformat=dynamic,force_size=on; do
    rm -f q.vhd
    qemu-img convert -f raw -O vpc -o $options disk.raw q.vhd
    size=$(qemu-img info -f vpc --output=json q.vhd | jq '."virtual-size"')
    cp disk.raw wanted.raw && truncate -s "$size" wanted.raw
    "$ringctl" vhd info --json q.vhd | jq -e ".size == $size" >/dev/null || fail "$options: another size than QEMU's $size"
    as_raw vhd:q.vhd back.raw && same wanted.raw back.raw
    "$ringctl" vhd check q.vhd >/dev/null || fail "$options: not in order"
    # What is made larger here is that for QEMU.
    "$ringctl" vhd resize q.vhd 70M
    truncate -s 70M wanted.raw
    qemu-img compare -f vpc -F raw q.vhd wanted.raw >/dev/null || fail "$options: QEMU reads another content after resize"
done

# To QEMU.
for options in "" --fixed; do
    rm -f o.vhd
    # shellcheck disable=SC2086
    "$ringctl" vhd convert $options raw:disk.raw vhd:o.vhd
    qemu-img compare -f vpc -F raw o.vhd disk.raw >/dev/null || fail "QEMU reads another content ($options)"
done

# A coalesced chain is an ordinary image for QEMU.
"$ringctl" vhd snapshot o.vhd child.vhd
cp child.vhd coalesced.vhd
"$ringctl" vhd coalesce coalesced.vhd
qemu-img compare -f vpc -F raw coalesced.vhd disk.raw >/dev/null || fail "QEMU reads another content of a coalesced chain"

# libvhdi says of a child what we do.
if command -v vhdiinfo >/dev/null; then
    uuid=$("$ringctl" vhd info --json o.vhd | jq -r .uuid)
    vhdiinfo child.vhd >said || fail "vhdiinfo does not read a child"
    grep -q "Disk type.*[Dd]ifferential" said || fail "vhdiinfo does not know it as a child: $(cat said)"
    grep -qi "Parent identifier.*$uuid" said || fail "vhdiinfo reads another parent's identifier: $(cat said)"
    grep -q "Parent filename.*o.vhd" said || fail "vhdiinfo reads another parent's name: $(cat said)"
    grep -q "Disk type.*Dynamic" <<<"$(vhdiinfo coalesced.vhd)" || fail "vhdiinfo does not know a coalesced chain as dynamic"
fi
