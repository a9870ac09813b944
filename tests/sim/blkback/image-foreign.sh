#!/bin/bash
# SPDX-License-Identifier: MIT
# The image that is recorded is that of another connection: a supervisor without xenstore does not resume the disk with it, and does when
# xenstore says what the image is.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3

mkdir -p "$WORK"
python3 "$(dirname "$0")/../../lib/proxy.py" "$WORK/store" "$SIMXEN_DIR/socket" &
proxy=$!
guest_pids+=("$proxy") # ended at exit like them
wait_until "$LIMIT_DAEMON" "the proxy" env XENSTORED_PATH="$WORK/store" xenstore-exists /
XENSTORED_PATH=$WORK/store daemon_start
truncate -s 16M "$WORK/disk.img"
domain=$(simxen create)
disk_attach "$domain" xvda "raw:$WORK/disk.img"
disk_attach "$domain" xvdb ram:16M
guest_start "$domain" blk --time 0 "$XVDA"
wait_until "$LIMIT_REQUEST" "the first connection" disk_is "$domain/xvda" .activity connected
image=$(echo "$RUN/blkback/$domain"-*/"$XVDA/image")
cp "$image" "$WORK/image"
guest_stop "$started"
wait_until "$LIMIT_DAEMON" "the disk to be let go of" disk_is "$domain/xvda" .activity idle
guest_start "$domain" blk --time 0 "$XVDA" "$XVDB"
for disk in xvda xvdb; do
    wait_until "$LIMIT_REQUEST" "the second connection of $disk" disk_is "$domain/$disk" .activity connected
done
kill -USR1 "$proxy"
daemon_end KILL
worker=$(worker_pids)
kill -KILL "$worker"
wait_until "$LIMIT_DAEMON" "the worker to end" dead "$worker"
cp "$WORK/image" "$image"
XENSTORED_PATH=$WORK/store daemon_start
wait_until "$LIMIT_RECOVERY" "the other disk to be served" worker_replaced "$domain/xvdb" "$worker"
expect "what the disk does without xenstore" idle "$(disk_field "$domain/xvda" .activity)"
kill -USR2 "$proxy"
wait_until "$LIMIT_RECOVERY" "the disk to be served" worker_replaced "$domain/xvda" "$worker"
guest_stop "$started"
