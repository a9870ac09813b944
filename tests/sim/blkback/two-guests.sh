#!/bin/bash
# SPDX-License-Identifier: MIT
# Two guests with two disks each are served at once, by a worker each.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
first=$(simxen create)
second=$(simxen create)
truncate -s 32M "$WORK/first.img" "$WORK/second.img"
for domain in "$first" "$second"; do
    disk_attach "$domain" xvda ram:32M
done
disk_attach "$first" xvdb "raw:$WORK/first.img"
disk_attach "$second" xvdb "raw:$WORK/second.img"
guest_start "$first" blk --time 3 --blank --verify-all "$XVDA" "$XVDB"
one=$started
guest_start "$second" blk --time 3 --blank --verify-all "$XVDA" "$XVDB"
other=$started
wait_until "$LIMIT_REQUEST" "both to be served" has_served "$second/xvdb" 0
expect "workers" 2 "$(worker_pids | sort -u | wc -l)"
guest_finish "$one"
guest_finish "$other"
