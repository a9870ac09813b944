#!/bin/bash
# SPDX-License-Identifier: MIT
# Parents that are not followed: the disk is refused, and the reason is in xenstore and in the log. What was refused leaves nothing behind, and the
# disk can be had when its parent is what it has to be.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3
RINGCTL=$RINGBACK_BUILD/tools/ringctl/ringctl
daemon_start
domain=$(simxen create)
mkdir -p "$WORK/images/real"
cd "$WORK/images"
"$RINGCTL" vhd create 8M base.vhd
"$RINGCTL" vhd snapshot base.vhd child.vhd
before=$(descriptors "$daemon_pid")

# refuse IMAGE REASON
refuse() {
    disk_refused "$domain" xvda "vhd:$WORK/images/$1" "$2"
    grep -qF "vbd $domain/51712: " <<<"$(grep -F "$2" "$DAEMON_LOG")" || fail "the log does not say '$2'"
}

# refuse_instead REASON: what stands where the parent was.
refuse_instead() {
    refuse child.vhd "$1"
    rm -rf base.vhd
}
mv base.vhd ../kept.vhd
refuse_instead "No such file"
mkfifo base.vhd
refuse_instead "not a regular file"
ln -s /dev/zero base.vhd
refuse_instead "leads out of the child's folder"
ln -s ../kept.vhd base.vhd
refuse_instead "leads out of the child's folder"
mkdir base.vhd
refuse_instead "not a regular file"
if mknod base.vhd c 1 5 2>/dev/null; then
    refuse_instead "not a regular file"
fi
"$RINGCTL" vhd create 8M base.vhd
refuse_instead "its child is of"
ln child.vhd base.vhd
refuse_instead "the chain of parents is a loop: it comes back to"
head -c 64K /dev/urandom >base.vhd
refuse_instead "parent 1: "

# The toolstack reads it, too.
toolstack_attach vbd "$domain" 51728 params "vhd:$WORK/images/child.vhd"
told() { grep -qF 'ringback-error = "cannot open the parent' <<<"$(xenstore-ls "/local/domain/0/backend/vbd/$domain/51728")"; }
wait_until "$LIMIT_ATTACH" "the reason in xenstore" told
xenstore-rm "/local/domain/0/backend/vbd/$domain/51728"
xenstore-rm "/local/domain/$domain/device/vbd/51728"

# Somebody writes to it.
cp ../kept.vhd base.vhd
exec 9<base.vhd
flock -x 9
refuse child.vhd "is being written by somebody else"
exec 9<&-

# Locators that lead elsewhere.
# edited PATH: edited.vhd is child.vhd with this in all of its locators.
edited() {
    cp child.vhd edited.vhd
    "$LIB/vhdlocate.py" edited.vhd "$1"
}
edited "$WORK/kept.vhd"
refuse edited.vhd "is absolute"
edited "../kept.vhd"
refuse edited.vhd "leaves the child's folder"
edited "real/../../kept.vhd"
refuse edited.vhd "leaves the child's folder"

# More parents than can be handed over.
parent=base
for ((i = 1; i <= 61; i++)); do
    "$RINGCTL" vhd snapshot "$parent.vhd" "deep-$i.vhd"
    parent=deep-$i
done
refuse deep-61.vhd "more than 60 parents"
disk_attach "$domain" xvda "vhd:$WORK/images/deep-60.vhd"
guest "$domain" blk --requests 300 --blank --verify-all "$XVDA"
disk_detach "$domain" xvda

disk_attach "$domain" xvda "vhd:$WORK/images/child.vhd"
guest "$domain" blk --requests 300 --blank --verify-all "$XVDA"
disk_detach "$domain" xvda
let_go() { [ "$(descriptors "$daemon_pid")" -le "$before" ]; }
wait_until "$LIMIT_DAEMON" "the descriptors of the refused to be closed" let_go
