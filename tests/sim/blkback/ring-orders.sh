#!/bin/bash
# SPDX-License-Identifier: MIT
# Rings of 1, 2, 4, 8 and 16 pages are served, filled to the last slot.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:32M
for order in 0 1 2 3 4; do
    slots=$((32 << order))
    result=$(guest "$domain" blk --time 1 --order "$order" --depth "$slots" --size 512-4K --verify-all --json "$XVDA")
    say "$result"
    expect "slots of a ring of order $order" "$slots" "$(jq '.devices[0].ring_slots' <<<"$result")"
done
