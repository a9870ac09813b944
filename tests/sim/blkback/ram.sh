#!/bin/bash
# SPDX-License-Identifier: MIT
# A RAM disk holds what is written to it, and is zeroes at first.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:64M
guest "$domain" blk --time 3 --blank --verify-all "$XVDA"
