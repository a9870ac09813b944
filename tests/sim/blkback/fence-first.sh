#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk is given up because its workers end while they connect: not before the last one's I/O has ended is its image free for others.
. "$(dirname "$0")/../../lib/blkback.sh"
crashes_expected=1
need python3 flock

has_died() {
    [ "$(grep -c "exited with status 9; replacing it" "$DAEMON_LOG")" -ge "$1" ]
}

mkdir -p "$WORK"
TEST_WORKER_HOLD=$WORK/hold daemon_start_with --log-level=info --worker="$(realpath "$(dirname "$0")/../../lib/worker.py")"
domain=$(simxen create)
truncate -s 16M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest_start "$domain" blk --time 1 --blank "$XVDA"
for death in 1 2 3; do
    wait_until "$LIMIT_REQUEST" "death $death" has_died "$death"
    wait_until "$LIMIT_REQUEST" "the fence" disk_is "$domain/xvda" .worker.state fenced
    ! flock -n "$WORK/disk.img" true || fail "the image is free while the I/O of worker $death may be under way"
    touch "$WORK/hold.$death"
done
wait_until "$LIMIT_REQUEST" "the disk to be given up" state_is "$domain" "$XVDA" 6
[[ $(disk_field "$domain/xvda" .last_error) == *"again and again"*"exited with status 9" ]] || fail "closed for another reason"
flock -n "$WORK/disk.img" true || fail "the image is still in use"
