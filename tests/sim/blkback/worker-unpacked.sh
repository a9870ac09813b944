#!/bin/bash
# SPDX-License-Identifier: MIT
# Between an upgrade's unpacking and the restart, a supervisor goes on starting the worker it was built with, whatever lies under its path.
. "$(dirname "$0")/../../lib/blkback.sh"
mkdir -p "$WORK"
cp "$worker_program" "$WORK/worker"
daemon_start_with --worker="$WORK/worker"
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
cp /bin/false "$WORK/other"
mv "$WORK/other" "$WORK/worker"
for _ in 1 2 3; do
    worker=$(disk_field "$domain/xvda" .worker.pid)
    kill -KILL "$worker"
    wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$domain/xvda" "$worker"
done
expect "the worker's name" blkbackd-worker "$(cat "/proc/$(disk_field "$domain/xvda" .worker.pid)/comm")"
guest_stop "$started"
