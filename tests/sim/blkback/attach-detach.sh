#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk is attached, used and detached many times while the guest runs; nothing of it is left each time.
# RINGBACK_CYCLES says how often (the soak tier: more).
. "$(dirname "$0")/../../lib/blkback.sh"

is_forgotten() {
    ! xenstore-exists "/local/domain/0/backend/vbd/$domain/$XVDB" && ! control show "$domain/xvdb" && ! compgen -G "$RUN/blkback/*/$XVDB"
}

daemon_start
served=".requests | .read + .write + .flush"
domain=$(simxen create)
truncate -s 16M "$WORK/disk.img"
for ((cycle = 1; cycle <= ${RINGBACK_CYCLES:-20}; cycle++)); do
    disk_attach "$domain" xvdb "raw:$WORK/disk.img"
    guest_start "$domain" blk --requests 200 --blank --state "$WORK/state" --hold "$XVDB"
    wait_until "$LIMIT_REQUEST" "200 requests to be served" disk_is "$domain/xvdb" "$served" 200
    disk_detach "$domain" xvdb
    guest_finish "$started" >/dev/null
    wait_until "$LIMIT_ATTACH" "disk $cycle to be forgotten" is_forgotten
done
simguest check "$WORK/state.$XVDB" "$WORK/disk.img"
