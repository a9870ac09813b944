#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers and supervisors die while barriers wait for the requests before them, are being written, or are not yet answered: what was before a barrier is
# executed again before it, and nothing overtakes it; each is answered once. The log is that of barrier.sh, of all workers.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0 IOLOG=$WORK/iolog
export LD_PRELOAD=$RINGBACK_BUILD/tests/sim/blkback/iolog.so
daemon_keep
unset LD_PRELOAD
domain=$(simxen create)
other=$(simxen create)
truncate -s 64M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest_start "$domain" blk --queues 4 --depth 96 --read 30 --flush 0 --barrier 10 --size 4K-44K --time 0 --blank --verify-all --state "$WORK/model" \
    --persistent no "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
random_kills 40
say "$(disk_field "$domain/xvda" '"\(.worker.restarts) deaths, \(.replayed) requests executed again, \(.barriers) barriers"')"
guest_stop "$started"
disk_detach "$domain" xvda
simguest check "$WORK/model.$XVDA" "$WORK/disk.img"
skipped=
"$LIB/iolog.py" "$IOLOG" || skipped=$?
[ "${skipped:-77}" -eq 77 ] || fail "the order of the log"

# A RAM disk, whose requests are in flight in the copies of their data alone.
disk_attach "$other" xvda ram:32M
guest_start "$other" blk --queues 2 --depth 64 --barrier 20 --time 0 --blank --verify-all --persistent no "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$other/xvda" 100
random_kills 20
guest_stop "$started"
disk_detach "$other" xvda
[ -z "$skipped" ] || skip "no io_uring here"
