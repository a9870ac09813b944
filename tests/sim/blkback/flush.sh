#!/bin/bash
# SPDX-License-Identifier: MIT
# Flushes among writes are served and counted.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
truncate -s 16M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest_start "$domain" blk --requests 500 --read 0 --flush 40 --hold --json "$XVDA"
wait_until "$LIMIT_REQUEST" "500 requests" disk_is "$domain/xvda" '.requests | .read + .write + .flush' 500
counted=$(disk_field "$domain/xvda" .requests.flush)
guest_stop "$started" >"$WORK/result"
cat "$WORK/result"
flushes=$(jq '.devices[0].flushes' "$WORK/result")
[ "$flushes" -gt 100 ] || fail "only $flushes flushes"
expect "flushes counted" "$flushes" "$counted"
