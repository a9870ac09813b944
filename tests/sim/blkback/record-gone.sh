#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk is removed by force and made anew while no daemon runs: what is recorded of its connection goes before InitWait is written. Nothing of
# the old disk, which may have been another image, can be recovered into the new one; that one is served as any. A RAM disk's content is gone.
. "$(dirname "$0")/../../lib/blkback.sh"

mkdir -p "$WORK"
truncate -s 16M "$WORK/other.img"
for new in "raw:$WORK/other.img" ram:16M ram:8M; do
    say "$new instead of a RAM disk"
    daemon_start
    domain=$(simxen create)
    disk_attach "$domain" xvda ram:16M
    guest_start "$domain" blk --time 0 --blank "$XVDA"
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
    record=$(echo "$RUN/blkback/$domain"-*/"$XVDA"/connection)
    [ -e "$record" ] || fail "no connection is recorded"
    daemon_end KILL
    kill -KILL "$started"
    wait "$started" || true
    xenstore-rm "/local/domain/0/backend/vbd/$domain/$XVDA"
    xenstore-rm "/local/domain/$domain/device/vbd/$XVDA"

    toolstack_attach vbd "$domain" "$XVDA" params "$new" script /etc/xen/scripts/block-ringback
    daemon_start
    wait_until "$LIMIT_ATTACH" "InitWait" state_is "$domain" "$XVDA" 2
    [ ! -e "$record" ] || fail "the connection of the disk that was removed is still recorded"
    xenstore-write "/local/domain/0/backend/vbd/$domain/$XVDA/hotplug-status" connected
    guest "$domain" blk --time 1 --blank --verify-all "$XVDA"
    disk_detach "$domain" xvda
    daemon_end TERM
done
