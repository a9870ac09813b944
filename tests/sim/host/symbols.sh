#!/bin/sh
# SPDX-License-Identifier: MIT
# Every library exports exactly what Debian's does: the same names with the same versions.
set -eu
ours=$1
theirs=/usr/lib/$(gcc -print-multiarch)
[ "$(uname -m)" = x86_64 ] || exit 77 # libxenctrl's list differs on other machines

symbols() {
    nm -D --defined-only --with-symbol-versions "$1" | awk '{print $3}' | sort
}

for name in libxenevtchn.so.1 libxengnttab.so.1 libxenctrl.so.4.17 libxenforeignmemory.so.1 libxendevicemodel.so.1; do
    [ -e "$theirs/$name" ] || { echo "$name: Debian's is not installed"; exit 77; }
    symbols "$theirs/$name" >"$ours/$name.theirs"
    symbols "$ours/$name" >"$ours/$name.ours"
    [ -s "$ours/$name.theirs" ]
    diff "$ours/$name.theirs" "$ours/$name.ours"
    [ "$(objdump -p "$ours/$name" | awk '/SONAME/ {print $2}')" = "$name" ]
    rm "$ours/$name.theirs" "$ours/$name.ours"
done
