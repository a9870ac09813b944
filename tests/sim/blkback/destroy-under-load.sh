#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest destroyed in the middle of its requests leaves nothing: no node, no file, no process, no mapping.
. "$(dirname "$0")/../../lib/blkback.sh"

is_forgotten() {
    [ -z "$(xenstore-list "/local/domain/0/backend/vbd/$1" 2>/dev/null)" ] && [ -z "$(ls "$RUN/blkback")" ] && [ -z "$(ls "$WORK/ram")" ]
}

# Pages of the domain that others have mapped; none once it is no longer listed.
is_unmapped() {
    ! grep -q "^ *$1 " <<<"$(simxen list)"
}

daemon_start
truncate -s 32M "$WORK/disk.img"
for how in "" --abrupt; do
    domain=$(simxen create)
    disk_attach "$domain" xvda "raw:$WORK/disk.img"
    disk_attach "$domain" xvdb ram:32M
    guest_start "$domain" blk --time 0 "$XVDA" "$XVDB"
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvdb" 100
    workers=$(worker_pids)
    # xl pauses a domain before it takes its disks away; --abrupt kills it in the middle of whatever it does.
    [ -n "$how" ] || kill -STOP "$started"
    simxen destroy "$domain" ${how:+"$how"}
    wait "$started" 2>/dev/null || true
    wait_until "$LIMIT_ATTACH" "nodes and files to go" is_forgotten "$domain"
    for worker in $workers; do
        wait_until "$LIMIT_ATTACH" "the worker to end" dead "$worker"
    done
    wait_until "$LIMIT_ATTACH" "its pages to be unmapped" is_unmapped "$domain"
    say "destroyed ${how:-as xl does}: nothing is left"
done

# The image is free, and the next guest is served.
domain=$(simxen create)
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest "$domain" blk --time 1 "$XVDA"
