#!/bin/bash
# SPDX-License-Identifier: MIT
# Supervisor and worker are killed at once, in either order, under load: the next supervisor recovers the disks from their journals.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
truncate -s 32M "$WORK/disk.img"
disk_attach "$domain" xvda ram:16M
disk_attach "$domain" xvdb "raw:$WORK/disk.img"
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA" "$XVDB"
for order in "supervisor first" "worker first" "supervisor first" "worker first"; do
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
    worker=$(disk_field "$domain/xvda" .worker.pid)
    if [ "$order" = "worker first" ]; then
        kill -KILL "$worker" "$daemon_pid"
    else
        kill -KILL "$daemon_pid" "$worker"
    fi
    daemon_end KILL
    daemon_start
    wait_until "$LIMIT_RECOVERY" "the disks to be served" disk_is "$domain/xvda" .activity connected
    wait_until "$LIMIT_RECOVERY" "the disks to be served" disk_is "$domain/xvdb" .activity connected
    [ "$(disk_field "$domain/xvda" .worker.pid)" != "$worker" ] || fail "the worker lives on"
done
for disk in xvda xvdb; do
    expect "the deaths of its workers, of which nobody was told" 4 "$(disk_field "$domain/$disk" .worker.restarts)"
done
guest_stop "$started"
