#!/bin/bash
# SPDX-License-Identifier: MIT
# What earlier times left behind goes at the next start: guests and disks that vanished while no daemon ran, their workers and RAM disks.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
gone=$(simxen create)
kept=$(simxen create)
disk_attach "$gone" xvda ram:16M
disk_attach "$kept" xvda ram:16M
disk_attach "$kept" xvdb ram:16M
guest_start "$kept" blk --time 0 --blank --verify-all "$XVDA"
guest "$gone" blk --time 1 --blank "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$kept/xvda" 100
expect "guests" 2 "$(worker_pids | wc -l)"
orphan=$(cut -d' ' -f1 "$RUN/blkback/$gone"-*/worker)
daemon_end KILL

simxen destroy "$gone" --abrupt
xenstore-rm "/local/domain/0/backend/vbd/$kept/$XVDB"
xenstore-rm "/local/domain/$kept/device/vbd/$XVDB"
alive "$orphan" || fail "the worker did not survive its supervisor"
mkdir "$RUN/blkback/99-00000000.1" "$RUN/blkback/not ours"
touch "$RUN/blkback/98-00000000.1" # no directory: it must not keep the daemon from serving others
truncate -s 1M "$WORK/ram/99-00000000.1-51712"

daemon_start
rm "$RUN/blkback/98-00000000.1"
wait_until "$LIMIT_DAEMON" "the worker to be ended" dead "$orphan"
one_guest() { [ "$(ls -d "$RUN"/blkback/[0-9]*)" = "$(ls -d "$RUN/blkback/$kept"-*)" ]; }
wait_until "$LIMIT_DAEMON" "the run directories to go" one_guest
expect "RAM disks" "$(basename "$RUN/blkback/$kept"-*)-$XVDA" "$(ls "$WORK/ram")"
[ -z "$(find "$RUN/blkback" -name "$XVDB")" ] || fail "the device's run directory is left"
[ -d "$RUN/blkback/not ours" ] || fail "something that is not ours was removed"
node_gone() { ! xenstore-exists "/local/domain/0/backend/vbd/$gone/$XVDA"; }
wait_until "$LIMIT_DAEMON" "the back end's node to go" node_gone
wait_until "$LIMIT_RECOVERY" "the disk to be served" disk_is "$kept/xvda" .activity connected
guest_stop "$started"
disk_detach "$kept" xvda
nothing_left() { [ -z "$(ls -d "$RUN"/blkback/[0-9]* 2>/dev/null)" ] && [ -z "$(ls "$WORK/ram")" ]; }
wait_until "$LIMIT_DAEMON" "everything to go with the last disk" nothing_left
