#!/bin/bash
# SPDX-License-Identifier: MIT
# While no supervisor runs a disk is removed, one is added, one front end closes, and one guest is destroyed: the next supervisor adopts the
# workers and does what is to be done, while the disk that is left is served on by the same process.
. "$(dirname "$0")/../../lib/blkback.sh"

open_images() {
    find "/proc/$1/fd" -lname "$WORK/*.img" 2>/dev/null | wc -l
}

daemon_start
kept=$(simxen create)
gone=$(simxen create)
for image in kept removed closed; do
    truncate -s 16M "$WORK/$image.img"
done
disk_attach "$kept" xvda "raw:$WORK/kept.img"
disk_attach "$kept" xvdb "raw:$WORK/removed.img"
disk_attach "$kept" xvdc "raw:$WORK/closed.img"
disk_attach "$gone" xvda ram:16M
guest_start "$kept" blk --time 0 --blank --verify-all "$XVDA"
user=$started
guest_start "$kept" blk --time 0 --blank --hold "$XVDB"
guest_start "$kept" blk --time 0 --blank 51744
closing=$started
guest_start "$gone" blk --time 0 --blank "$XVDA"
for disk in "$kept/xvda" "$kept/xvdb" "$kept/xvdc" "$gone/xvda"; do
    wait_until "$LIMIT_REQUEST" "requests of $disk to be served" has_served "$disk" 100
done
worker=$(disk_field "$kept/xvda" .worker.pid)
other=$(disk_field "$gone/xvda" .worker.pid)
[ "$(open_images "$worker")" -ge 3 ] || fail "the worker should hold three images"
daemon_end KILL

xenstore-rm "/local/domain/0/backend/vbd/$kept/$XVDB"
xenstore-rm "/local/domain/$kept/device/vbd/$XVDB"
simxen destroy "$gone" --abrupt
toolstack_attach vbd "$kept" 51760 params ram:16M dev xvde
kill -TERM "$closing" # it closes its disk and waits for the back end
closing_begun() { [ "$(xenstore-read "/local/domain/$kept/device/vbd/51744/state")" = 5 ]; }
wait_until "$LIMIT_REQUEST" "the front end to close" closing_begun
for process in "$worker" "$other"; do
    alive "$process" || fail "worker $process did not survive its supervisor"
done

daemon_start
wait_until "$LIMIT_RECOVERY" "the disk to be served" disk_is "$kept/xvda" .activity connected
expect "its worker" "$worker" "$(disk_field "$kept/xvda" .worker.pid)"
wait_until "$LIMIT_DAEMON" "the worker of the guest that is gone to end" dead "$other"
guest_finish "$closing"
wait_until "$LIMIT_ATTACH" "the new disk to be offered" state_is "$kept" 51760 2
guest "$kept" blk --time 1 --blank --verify-all 51760
lets_go() { [ -z "$(find "/proc/$worker/fd" -lname "$WORK/removed.img")" ]; }
wait_until "$LIMIT_DAEMON" "the worker to let go of the removed disk" lets_go
flock -n "$WORK/removed.img" true || fail "the removed disk's image is in use"
[ -z "$(find "$RUN/blkback" -name "$XVDB")" ] || fail "the removed disk's run directory is left"
expect "what was executed again" 0 "$(disk_field "$kept/xvda" .replayed)"
expect "restarts" 0 "$(disk_field "$kept/xvda" .worker.guest_restarts)"
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$kept/xvda" "$(disk_field "$kept/xvda" .requests.read)"
guest_stop "$user"
expect "its worker" "$worker" "$(disk_field "$kept/xvda" .worker.pid)"
