#!/bin/bash
# SPDX-License-Identifier: MIT
# An indirect request that crashes every worker that executes it parks its disk, told of by what its entry in the journal says: the operation inside and
# how many segments it has. Tried again without the fault, everything is answered.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/parking.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:64M
guest_start "$domain" blk --limit "$LIMIT_PARKED" --persistent no --segments 64 --size 48K-56K --read 0 --flush 0 --time 0 --blank --verify-all "$XVDA"
writes() { [ "$(disk_field "$domain/xvda" .requests.write)" -gt "$1" ]; }
wait_until "$LIMIT_REQUEST" "requests to be served" writes 50
simxen fault "$domain" 'copy/104:crash@*' # the list of one of 13 segments
wait_parked "$domain/xvda"
control show "$domain/xvda" >"$WORK/shown"
expect "the request" "write 13 0 3" "$(disk_field "$domain/xvda" '.parked.request | "\(.operation) \(.segments) \(.sectors) \(.attempts)"')"
grep -q "request *write of 13 segments at " "$WORK/shown" || fail "ringctl says: $(cat "$WORK/shown")"
grep -q "vbd $domain/$XVDA: parked: a write of 13 segments" "$DAEMON_LOG" || fail "the log does not tell"
simxen fault "$domain" none
control resume "$domain/xvda"
wait_until "$LIMIT_REQUEST" "the disk to be served" writes "$(disk_field "$domain/xvda" .requests.write)"
guest_stop "$started"
