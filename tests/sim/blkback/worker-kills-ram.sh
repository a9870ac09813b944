#!/bin/bash
# SPDX-License-Identifier: MIT
# A RAM disk outlives the workers that serve it.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:32M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
for ((kill = 1; kill <= ${RINGBACK_KILLS:-10}; kill++)); do
    worker=$(disk_field "$domain/xvda" .worker.pid)
    kill -KILL "$worker"
    wait_until "$LIMIT_RECOVERY" "a successor after kill $kill" worker_replaced "$domain/xvda" "$worker"
done
guest_stop "$started"
