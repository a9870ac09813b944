#!/bin/bash
# SPDX-License-Identifier: MIT
# What hostile guests have done to back ends, all of it; another guest's verified I/O goes on beside it unaffected.
#
# RINGBACK_HOSTILE_COUNT says how often the cases repeat that do (the soak tier: a million).
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
good=$(simxen create)
bad=$(simxen create)
disk_attach "$good" xvda ram:32M
disk_attach "$bad" xvda ram:32M
guest_start "$good" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "the good guest to be served" has_served "$good/xvda" 100
served=$(disk_field "$good/xvda" .requests.read)

for agreed in yes no; do
    guest "$bad" hostile --persistent $agreed --count "${RINGBACK_HOSTILE_COUNT:-5000}" "$XVDA"
done

wait_until "$LIMIT_REQUEST" "the good guest to be served afterwards" has_served "$good/xvda" "$((served + 100))"
expect "restarts of the good guest's worker" 0 "$(disk_field "$good/xvda" .worker.guest_restarts)"
expect "restarts of the bad guest's worker" 0 "$(disk_field "$bad/xvda" .worker.guest_restarts)"
guest_stop "$started"
