#!/bin/bash
# SPDX-License-Identifier: MIT
# A front end that writes its ring and jumps to Connected, as Mini-OS does.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:32M
for life in 1 2; do
    say "life $life"
    guest "$domain" blk --as minios --time 1 --blank --state "$WORK/state" --verify-all "$XVDA"
done
