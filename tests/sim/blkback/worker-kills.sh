#!/bin/bash
# SPDX-License-Identifier: MIT
# The worker is killed again and again at random moments while its guest verifies every answer: the guest sees nothing of it.
# RINGBACK_KILLS says how often (the soak tier: more).
. "$(dirname "$0")/../../lib/blkback.sh"

daemon_start
domain=$(simxen create)
truncate -s 64M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest_start "$domain" blk --time 0 --size 4K-44K --read 30 --flush 50 --blank --state "$WORK/state" --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
kill_workers "$domain/xvda" "${RINGBACK_KILLS:-40}"
guest_stop "$started"
disk_detach "$domain" xvda
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"
