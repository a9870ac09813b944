#!/bin/bash
# SPDX-License-Identifier: MIT
# A RAM disk keeps its content while no daemon runs and its worker is gone: stop; start continues it.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
worker=$(worker_pids)
daemon_end TERM
kill -KILL "$worker"
wait_until "$LIMIT_DAEMON" "the worker to end" dead "$worker"
daemon_start
wait_until "$LIMIT_RECOVERY" "the disk to be served" disk_is "$domain/xvda" .activity connected
expect "how long the recovery took, as nobody saw its beginning" null "$(disk_field "$domain/xvda" .worker.last_recovery_ms)"
guest_stop "$started"
