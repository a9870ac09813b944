#!/bin/bash
# SPDX-License-Identifier: MIT
# A worker that does not answer is replaced: a detach that waits for it ends well, and the guest's other disk is served on.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
disk_attach "$domain" xvdb ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
hung=$(worker_pids)
kill -STOP "$hung"
guest_start "$domain" blk --time 1 --blank "$XVDB" # its connect waits for the hung worker
wait_until "$LIMIT_REQUEST" "the hung worker to be replaced" dead "$hung"
guest_finish "$started"
disk_detach "$domain" xvdb
expect "the reason" "killed because it did not answer" "$(disk_field "$domain/xvda" .worker.last_death)"
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
guest_stop "${guest_pids[0]}"
disk_detach "$domain" xvda
