#!/bin/bash
# SPDX-License-Identifier: MIT
# A worker that looks at images one after the other is not taken for hung because the first ones take their time.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3
TEST_WORKER_DELAY=8 daemon_start_with --log-level=info --worker="$(realpath "$(dirname "$0")/../../lib/worker.py")"
domain=$(simxen create)
for devid in 51712 51728 51744; do
    toolstack_attach vbd "$domain" "$devid" params ram:16M
done
for devid in 51712 51728 51744; do
    wait_until "$LIMIT_REQUEST" "disk $devid to be offered" state_is "$domain" "$devid" 2
done
expect "deaths" "null" "$(disk_field "$domain/xvda" .worker.last_death)"
