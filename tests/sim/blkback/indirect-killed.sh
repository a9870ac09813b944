#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers die with indirect requests in flight: in the middle of reading a list of segments, of moving the data, before the guest is told; and both
# processes at random. Each request is executed again from what the journal holds of it, or answered, once: the guest sees nothing.
. "$(dirname "$0")/../../lib/blkback.sh"

load() {
    guest_start "$domain" blk --segments 256 --depth 24 --size 4K-1M --time 0 --blank --verify-all "$@" "$XVDA"
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 50
}

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:64M
load --persistent no
# Lists of 100, 20 and 13 segments: no data is of so many bytes.
for rule in copy/800:kill@1 copy/160:kill@1 copy/104:kill@1 copy:kill@1 copy:kill@700 notify:kill@1 copy:kill@500,copy:kill@501 \
    copy:kill@300,map:kill@1; do
    dies_at "$rule"
    simxen fault "$domain" none
    wait_until "$LIMIT_REQUEST" "requests to be served after $rule" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
done
say "$(disk_field "$domain/xvda" '"\(.worker.restarts) deaths, \(.replayed) requests executed again, \(.indirect.requests) indirect ones"')"
[ "$(disk_field "$domain/xvda" .replayed)" -gt 0 ] || fail "nothing was executed again"
guest_stop "$started"
disk_detach "$domain" xvda
daemon_end TERM

# And at random, the supervisor too.
daemon_keep
other=$(simxen create)
truncate -s 64M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
disk_attach "$other" xvda ram:64M
guest_start "$domain" blk --segments 256 --depth 24 --size 48K-256K --read 20 --flush 50 --time 0 --blank --verify-all --state "$WORK/raw" \
    --persistent no "$XVDA"
raw=$started
guest_start "$other" blk --segments 32 --depth 32 --size 4K-128K --time 0 --blank --verify-all --persistent no "$XVDA"
ram=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 50
random_kills 60
guest_stop "$raw"
guest_stop "$ram"
disk_detach "$domain" xvda
simguest check "$WORK/raw.$XVDA" "$WORK/disk.img"
