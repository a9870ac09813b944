#!/bin/bash
# SPDX-License-Identifier: MIT
# The same cases that depend on the layout of requests, in the other ABI and in a ring of several pages.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:32M
guest "$domain" hostile --abi x86_32 --order 2 --count 3000 "$XVDA" poison producer-past-ring producer-past-ring-live producer-behind \
    bad-segment flip-operation flip-segment-count flip-sector flip-reference flip-range
