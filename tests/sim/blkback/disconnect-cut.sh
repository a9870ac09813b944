#!/bin/bash
# SPDX-License-Identifier: MIT
# The connection to xenstored is cut, and back at once, while a disk is on its way down, or up, with a worker that does not answer
# any more. What xenstore wants of it then is done when the worker has ended, and nothing is left.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3

cut_shortly() {
    kill -USR1 "$proxy"
    wait_until "$LIMIT_DAEMON" "the daemon to miss xenstored" disk_is "$domain/xvda" .state Unknown
    kill -USR2 "$proxy"
    wait_until "$LIMIT_DAEMON" "the daemon to find the disk in xenstore" disk_is "$domain/xvda" .state "$1"
}

# stop_worker: it does not answer from now on.
stop_worker() {
    worker=$(worker_pids)
    kill -STOP "$worker"
}

# disk_waits ACTIVITY: for the worker.
disk_waits() {
    wait_until "$LIMIT_DAEMON" "the disk to be $1" disk_is "$domain/xvda" .activity "$1"
}

mkdir -p "$WORK"
python3 "$(dirname "$0")/../../lib/proxy.py" "$WORK/store" "$SIMXEN_DIR/socket" &
proxy=$!
guest_pids+=("$proxy") # ended at exit like them
wait_until "$LIMIT_DAEMON" "the proxy" env XENSTORED_PATH="$WORK/store" xenstore-exists /
XENSTORED_PATH=$WORK/store daemon_start
truncate -s 16M "$WORK/disk.img"

say "on its way down"
domain=$(simxen create)
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest_start "$domain" blk --time 0 --blank "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 10
stop_worker
kill -KILL "$started"
disk_detach "$domain" xvda &
detach=$!
wait_until "$LIMIT_ATTACH" "the disk to be closing" state_is "$domain" "$XVDA" 5
xenstore-write "/local/domain/$domain/device/vbd/$XVDA/state" 6 # as the guest would
disk_waits disconnecting
cut_shortly Closing
disk_waits disconnecting
kill -KILL "$worker"
wait "$detach" || fail "the disk was not detached"
nothing_left() { [ -z "$(find "$RUN/blkback" "$WORK/ram" -mindepth 1)" ]; }
wait_until "$LIMIT_DAEMON" "everything to go with the disk" nothing_left
simxen destroy "$domain"

say "on its way up"
domain=$(simxen create)
disk_attach "$domain" xvda "raw:$WORK/disk.img"
stop_worker
guest_start "$domain" blk --requests 200 "$XVDA"
user=$started
disk_waits measuring
cut_shortly InitWait
disk_waits disconnecting
kill -KILL "$worker"
guest_finish "$user"
disk_detach "$domain" xvda
wait_until "$LIMIT_DAEMON" "everything to go with the disk" nothing_left
