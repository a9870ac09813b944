#!/bin/bash
# SPDX-License-Identifier: MIT
# Disks of several queues are recovered, adopted, drained and replaced as any: workers die at chosen calls, among them those by which a successor takes one
# ring after the other, and at random; supervisors die; other versions take over. Each request of each queue is answered once.
. "$(dirname "$0")/../../lib/blkback.sh"

served_more() {
    local before
    before=$(disk_field "$domain/xvda" '[.queues[].requests.read] | tojson')
    all_served() { disk_is "$domain/xvda" "[[.queues[].requests.read], $before] | transpose | map(.[0] > .[1]) | all" true; }
    wait_until "$LIMIT_REQUEST" "requests of every queue to be served after $1" all_served
}

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:64M
guest_start "$domain" blk --queues 4 --depth 96 --persistent no --segments 64 --size 512-128K --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "four queues" disk_is "$domain/xvda" '.queues | length' 4
served_more "the start"
for rule in copy:kill@1 copy:kill@150 notify:kill@1 notify:kill@3 copy:kill@50,map:kill@1 copy:kill@50,map:kill@3 copy:kill@50,bind:kill@2 \
    copy:kill@50,bind:kill@4 notify:kill@2,notify:kill@3; do
    dies_at "$rule"
    simxen fault "$domain" none
    served_more "$rule"
done
say "$(disk_field "$domain/xvda" '"\(.worker.restarts) deaths, executed again, of each queue: \([.queues[].replayed])"')"
[ "$(disk_field "$domain/xvda" '[.queues[] | select(.replayed > 0)] | length')" -gt 1 ] || fail "only one queue had requests in flight"

# A supervisor that is gone, and both.
worker=$(disk_field "$domain/xvda" .worker.pid)
daemon_end KILL
daemon_start
wait_until "$LIMIT_RECOVERY" "the disk to be adopted" disk_is "$domain/xvda" .activity connected
expect "the worker" "$worker" "$(disk_field "$domain/xvda" .worker.pid)"
served_more "an adoption"
kill -KILL "$daemon_pid" "$worker"
daemon_end KILL
daemon_start
wait_until "$LIMIT_RECOVERY" "the disk to be recovered" disk_is "$domain/xvda" .activity connected
served_more "the death of both"

# Other versions: one that speaks another channel and journal, and ours again.
replayed=$(disk_field "$domain/xvda" .replayed)
for build in foreign own newer own; do
    case $build in
    foreign) version=0.2.0 ;;
    newer) version=0.1.1 ;;
    own) version=0.1.0 ;;
    esac
    daemon_end KILL
    daemon_of "$build"
    daemon_start
    replaced() { disk_is "$domain/xvda" '"\(.worker.version) \(.activity)"' "$version connected"; }
    wait_until "$LIMIT_RECOVERY" "a worker of version $version" replaced
    served_more "a change to version $version"
done
expect "what was executed again by that" "$replayed" "$(disk_field "$domain/xvda" .replayed)"
expect "the guest's view of the back end" 4 "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/state")"
guest_stop "$started"
disk_detach "$domain" xvda
daemon_end TERM

# And at random.
daemon_keep
other=$(simxen create)
truncate -s 64M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
disk_attach "$other" xvda ram:64M
guest_start "$domain" blk --queues 4 --depth 64 --read 30 --flush 50 --size 4K-44K --time 0 --blank --verify-all --state "$WORK/raw" --persistent no "$XVDA"
raw=$started
guest_start "$other" blk --queues 2 --order 1 --depth 64 --time 0 --blank --verify-all --persistent no "$XVDA"
ram=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$other/xvda" 100
random_kills 60
guest_stop "$raw"
guest_stop "$ram"
disk_detach "$domain" xvda
simguest check "$WORK/raw.$XVDA" "$WORK/disk.img"
