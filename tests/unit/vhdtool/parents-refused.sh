#!/bin/bash
# SPDX-License-Identifier: MIT
# Which parents are not followed: loops, absolute paths, paths that leave the folder, FIFOs, devices, and images that are not the parent.
set -euo pipefail
. "$(dirname "$0")/common.sh"

mkdir chain outside
"$ringctl" vhd create 4M chain/base.vhd
"$ringctl" vhd snapshot chain/base.vhd chain/child.vhd
"$ringctl" vhd check chain/child.vhd >/dev/null

# A child cannot be made outside of the folder of its parent.
refused 1 "in the folder of outside/child.vhd or below it" "$ringctl" vhd snapshot chain/base.vhd outside/child.vhd

# What stands where the parent was.
replaced() {
    refused 1 "$1" "$ringctl" vhd check chain/child.vhd
    rm -rf chain/base.vhd
}
mv chain/base.vhd kept.vhd
replaced "cannot open the parent"
mkfifo chain/base.vhd
replaced "not a regular file"
ln -s /dev/null chain/base.vhd
replaced "leads out of the child's folder"
ln -s ../kept.vhd chain/base.vhd
replaced "leads out of the child's folder"
mkdir chain/base.vhd
replaced "not a regular file"
if mknod chain/base.vhd b 7 0 2>/dev/null; then
    replaced "not a regular file"
fi
"$ringctl" vhd create 4M chain/base.vhd
replaced "its child is of"
cp chain/child.vhd chain/base.vhd # a chain that never ends, were it not for the identifiers
replaced "" # the copy's parent is itself
ln chain/child.vhd chain/base.vhd
replaced "loop"
mkdir chain/real && cp kept.vhd chain/real/ && ln -s real/kept.vhd chain/base.vhd
"$ringctl" vhd check chain/child.vhd >/dev/null || fail "a link within the folder is not followed"
rm chain/base.vhd

# Locators that were edited: the name in the header, and all three forms.
cp kept.vhd chain/base.vhd
edited() {
    cp chain/child.vhd chain/edited.vhd
    "$lib/vhdlocate.py" chain/edited.vhd "$1"
    refused 1 "$2" "$ringctl" vhd check chain/edited.vhd
}
edited "$work/chain/base.vhd" "is absolute"
edited 'C:\base.vhd' "is absolute"
edited "../kept.vhd" "leaves the child's folder"
edited 'x\..\..\kept.vhd' "" # in one form its parts are names, in the others they lead out
edited "./x/../base.vhd" "leaves the child's folder"
edited "missing.vhd" "cannot open the parent"
edited "$(printf 'a\tb')" "control character"

# Somebody writes to a parent: it cannot be read from. Somebody uses the image: it cannot be changed.
exec 9<chain/base.vhd
flock -x 9
refused 1 "base.vhd is in use" "$ringctl" vhd check chain/child.vhd
exec 9<&-
exec 9<chain/child.vhd
flock -s 9
refused 1 "child.vhd is in use" "$ringctl" vhd coalesce chain/child.vhd
refused 1 "child.vhd is in use" "$ringctl" vhd repair chain/child.vhd
