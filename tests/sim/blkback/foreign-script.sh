#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk whose hotplug script is not ours, as xl's stock `block`: nothing is opened before the script is done, and what it made is used.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
back=/local/domain/0/backend/vbd/$domain/$XVDA

# The path in params does not exist; the script makes another one of it.
toolstack_attach vbd "$domain" "$XVDA" params "$WORK/not-there" script /etc/xen/scripts/block
wait_until "$LIMIT_ATTACH" "InitWait" state_is "$domain" "$XVDA" 2
expect "what the script is told" ready "$(xenstore-read "$back/ringback-status")"
guest_start "$domain" blk --time 1 --blank --state "$WORK/state" --verify-all "$XVDA"
front_is_ready() { [ "$(xenstore-read "/local/domain/$domain/device/vbd/$XVDA/state")" = 3 ]; }
wait_until "$LIMIT_REQUEST" "the front end to write its part" front_is_ready
state_is "$domain" "$XVDA" 2 || fail "it connected before the script was done"
truncate -s 16M "$WORK/disk.img"
xenstore-write "$back/physical-device-path" "$WORK/disk.img"
xenstore-write "$back/hotplug-status" connected
guest_finish "$started"
disk_detach "$domain" xvda
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"

# Without physical-device-path it is params itself.
toolstack_attach vbd "$domain" "$XVDA" params "$WORK/disk.img" script /etc/xen/scripts/block hotplug-status connected
guest "$domain" blk --time 1 "$XVDA"
disk_detach "$domain" xvda

# A script of that kind that names nothing: the device closes, with the reason.
toolstack_attach vbd "$domain" "$XVDA" params "$WORK/not-there" script /etc/xen/scripts/block hotplug-status connected
! simxen exec "$domain" simguest blk --limit 10 --time 1 "$XVDA" 2>/dev/null || fail "a missing disk was served"
[[ $(xenstore-read "$back/error") == *"$WORK/not-there"* ]] || fail "no reason in xenstore"
