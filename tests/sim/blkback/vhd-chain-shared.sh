#!/bin/bash
# SPDX-License-Identifier: MIT
# Two guests' disks are children of one image, which neither can change for the other. Who wants to write to it waits until both are gone, also when
# the supervisor, or all, died meanwhile; who has it to write keeps others from using it as a parent.
. "$(dirname "$0")/../../lib/blkback.sh"
RINGCTL=$RINGBACK_BUILD/tools/ringctl/ringctl
daemon_start
one=$(simxen create)
two=$(simxen create)
writer=$(simxen create)
cd "$WORK"
"$RINGCTL" vhd create 8M base.vhd
disk_attach "$one" xvda "vhd:$WORK/base.vhd"
guest "$one" blk --requests 200 --read 0 --blank --state "$WORK/one" "$XVDA"
disk_detach "$one" xvda
cp "one.$XVDA" "two.$XVDA"
"$RINGCTL" vhd snapshot base.vhd one.vhd
"$RINGCTL" vhd snapshot base.vhd two.vhd
sum=$(sha256sum <base.vhd)

disk_attach "$one" xvda "vhd:$WORK/one.vhd"
disk_attach "$two" xvda "vhd:$WORK/two.vhd"
guest_start "$one" blk --time 0 --state "$WORK/one" --verify-all "$XVDA"
first=$started
guest_start "$two" blk --time 0 --state "$WORK/two" --verify-all "$XVDA"
second=$started
wait_until "$LIMIT_REQUEST" "the first to be served" has_served "$one/xvda" 50
wait_until "$LIMIT_REQUEST" "the second to be served" has_served "$two/xvda" 50

disk_attach "$writer" xvda "vhd:$WORK/base.vhd"
guest_start "$writer" blk --requests 200 --read 0 "$XVDA"
waiter=$started
wait_until "$LIMIT_ATTACH" "the writer to wait" disk_is "$writer/xvda" .activity waiting-for-image

# still_waits WHAT: both are served, and the image is theirs.
still_waits() {
    local disk
    for disk in "$one/xvda" "$two/xvda"; do
        wait_until "$LIMIT_RECOVERY" "$disk to be served ($1)" disk_is "$disk" .activity connected
        wait_until "$LIMIT_REQUEST" "requests of $disk to be served ($1)" has_served "$disk" "$(disk_field "$disk" .requests.read)"
    done
    wait_until "$LIMIT_ATTACH" "the writer to wait ($1)" disk_is "$writer/xvda" .activity waiting-for-image
    expect "the parent ($1)" "$sum" "$(sha256sum <base.vhd)"
}
still_waits "at first"
for signal in KILL TERM; do
    daemon_end $signal
    flock -n -x base.vhd true && fail "without a supervisor anybody can write to the parent (SIG$signal)"
    daemon_start
    still_waits "after the supervisor's end by SIG$signal"
done
for ((i = 0; i < 3; i++)); do
    mapfile -t workers < <(worker_pids)
    kill -KILL "$daemon_pid" "${workers[@]}"
    daemon_end KILL
    daemon_start
    still_waits "after the death of all, $i"
done

guest_stop "$first"
disk_detach "$one" xvda
disk_is "$writer/xvda" .activity waiting-for-image || fail "the second guest's parent is written to"
guest_stop "$second"
disk_detach "$two" xvda
guest_finish "$waiter"
[ "$(sha256sum <base.vhd)" != "$sum" ] || fail "the writer has written nothing"
wait_until "$LIMIT_ATTACH" "the writer's disk to be at rest" disk_is "$writer/xvda" .activity idle

# The other way round.
guest_start "$writer" blk --time 0 "$XVDA"
first=$started
wait_until "$LIMIT_REQUEST" "the writer to be served" has_served "$writer/xvda" 50
disk_refused "$one" xvda "vhd:$WORK/one.vhd" "base.vhd is being written by somebody else"
guest_stop "$first"
