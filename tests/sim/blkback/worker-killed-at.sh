#!/bin/bash
# SPDX-License-Identifier: MIT
# The worker is killed at a chosen call: in the middle of copying a guest's data, before it tells the guest of answers, and while it maps
# the ring, the guest's pages, and binds the channel, as somebody's successor. The guest sees nothing of it.
. "$(dirname "$0")/../../lib/blkback.sh"

# kill_at AGREED RULE...: under the load of a guest that agrees to persistent grants, or not.
kill_at() {
    local agreed=$1 rule
    shift
    disk_attach "$domain" xvda ram:32M
    guest_start "$domain" blk --persistent "$agreed" --time 0 --blank --verify-all "$XVDA"
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
    for rule in "$@"; do
        dies_at "$rule"
        wait_until "$LIMIT_REQUEST" "requests to be served after $rule" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
        simxen fault "$domain" none
    done
    say "persistent grants: $agreed: $(disk_field "$domain/xvda" .worker.restarts) deaths"
    guest_stop "$started"
    disk_detach "$domain" xvda
}

daemon_start
domain=$(simxen create)
kill_at no copy:kill@1 copy:kill@2 copy:kill@37 notify:kill@1 notify:kill@5 copy:kill@100,map:kill@1 copy:kill@100,bind:kill@1 \
    notify:kill@3,notify:kill@4 copy:kill@50,copy:kill@51,copy:kill@52
# The first mapping is the ring's, the others those of data, again after each death.
kill_at yes notify:kill@1 notify:kill@5 notify:kill@9,map:kill@1 notify:kill@9,bind:kill@1 notify:kill@3,map:kill@2 notify:kill@3,map:kill@7 \
    notify:kill@3,map:kill@100 notify:kill@2,map:kill@30,map:kill@31
