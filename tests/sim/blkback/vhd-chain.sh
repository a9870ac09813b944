#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest writes to a chain of three parents, each of which it has written to before: it reads what it wrote last, whoever dies meanwhile. Parents
# stay as they were. Afterwards ringctl reads the same of the chain, and so does a reader that shares nothing with it. Then the same, but for the deaths, on a raw parent.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3
daemon_start
domain=$(simxen create)
mkdir "$WORK/images"
cd "$WORK/images"

# life COUNT IMAGE [OPTION]...: the guest writes on.
life() {
    local count=$1 image=$2
    shift 2
    disk_attach "$domain" xvda "$image"
    guest "$domain" blk --requests "$count" --read 20 --state "$WORK/model" "$@" "$XVDA"
    disk_detach "$domain" xvda
}

RINGCTL=$RINGBACK_BUILD/tools/ringctl/ringctl
"$RINGCTL" vhd create 24M base.vhd
life 400 "vhd:$WORK/images/base.vhd" --blank
for child in a b c; do
    "$RINGCTL" vhd snapshot "${parent:-base}.vhd" $child.vhd
    parent=$child
    [ $child = c ] || life 200 "vhd:$WORK/images/$child.vhd"
done
sha256sum base.vhd a.vhd b.vhd >"$WORK/sums"

disk_attach "$domain" xvda "vhd:$WORK/images/c.vhd"
guest_start "$domain" blk --time 0 --read 60 --state "$WORK/model" --verify-all "$XVDA"
user=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
expect "the parents that are shown" "b.vhd a.vhd base.vhd" "$(disk_field "$domain/xvda" '[.parents[] | sub(".*/"; "")] | join(" ")')"

# The worker alone: its successor has the same descriptors.
for ((i = 0; i < 10; i++)); do
    worker=$(disk_field "$domain/xvda" .worker.pid)
    kill -KILL "$worker"
    wait_until "$LIMIT_RECOVERY" "a successor to serve" worker_replaced "$domain/xvda" "$worker"
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
done
# The supervisor alone: the next one is told of all descriptors, and gives them to the next worker.
for ((i = 0; i < 3; i++)); do
    worker=$(disk_field "$domain/xvda" .worker.pid)
    daemon_end KILL
    daemon_start
    wait_until "$LIMIT_RECOVERY" "the worker to be adopted" disk_is "$domain/xvda" .activity connected
    expect "the worker" "$worker" "$(disk_field "$domain/xvda" .worker.pid)"
    expect "the parents that are shown" 3 "$(disk_field "$domain/xvda" '.parents | length')"
    kill -KILL "$worker"
    wait_until "$LIMIT_RECOVERY" "a successor to serve" worker_replaced "$domain/xvda" "$worker"
done
# Both: the chain is found again.
for ((i = 0; i < 3; i++)); do
    worker=$(disk_field "$domain/xvda" .worker.pid)
    kill -KILL "$daemon_pid" "$worker"
    daemon_end KILL
    daemon_start
    wait_until "$LIMIT_RECOVERY" "the disk to be served" worker_replaced "$domain/xvda" "$worker"
    expect "the parents that are shown" 3 "$(disk_field "$domain/xvda" '.parents | length')"
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
done
expect "its back end" 4 "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/state")"
guest_stop "$user"
disk_detach "$domain" xvda

sha256sum --quiet -c "$WORK/sums" || fail "a parent was written to"
"$RINGCTL" vhd check c.vhd
"$RINGCTL" vhd convert vhd:c.vhd raw:c.raw
simguest check "$WORK/model.$XVDA" c.raw
"$LIB/vhdread.py" c.vhd b.vhd a.vhd base.vhd | cmp - c.raw || fail "another reader reads something else"

rm "$WORK/model.$XVDA"
truncate -s 24M base.raw
life 400 "raw:$WORK/images/base.raw" --blank
"$RINGCTL" vhd snapshot --raw base.raw on-raw.vhd
sha256sum base.raw >"$WORK/sums"
life 400 "vhd:$WORK/images/on-raw.vhd" --verify-all
sha256sum --quiet -c "$WORK/sums" || fail "the raw parent was written to"
