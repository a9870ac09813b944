#!/bin/bash
# SPDX-License-Identifier: MIT
# An idle ring is watched before it is slept on: its guest is served with fewer events than requests. An event that brings no request is no
# reason to watch; nothing is watched for long.
. "$(dirname "$0")/../../lib/blkback.sh"
need curl
[ "$(nproc)" -ge 2 ] || skip "with one processor nothing is watched"

polls() {
    disk_field "$domain/xvda" '.polls.hit + .polls.missed'
}

# At most one watch for each wait, which a request ends.
polls_are_bounded() {
    disk_field "$domain/xvda" '.polls.hit + .polls.missed <= (.requests | .read + .write + .flush) + (.errors | add) + 1'
}

# As long as may be, so that a busy machine does not matter.
daemon_start_with --poll-time=10000 --poll-budget=100
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest "$domain" blk --depth 1 --time 3 --blank --verify-all "$XVDA"
say "$(control show --json "$domain/xvda" | jq -c '{requests, events, polls}')"
expect "whether watching ever succeeded" true "$(disk_field "$domain/xvda" '.polls.hit > 0')"
expect "whether that saved events" true "$(disk_field "$domain/xvda" '.events < (.requests | .read + .write + .flush)')"
expect "one watch a wait" true "$(polls_are_bounded)"
curl -s --unix-socket "$RUN/blkbackd.sock" http://localhost/metrics | grep ringback_blkback_polls_total || fail "no metric tells of it"

# Without requests: events, many of them, then nothing.
guest "$domain" hostile --count "${RINGBACK_HOSTILE_COUNT:-5000}" "$XVDA" event-storm
expect "one watch a wait, with an event storm" true "$(polls_are_bounded)"
guest_start "$domain" blk --requests 100 --read 0 --hold "$XVDA"
wait_until "$LIMIT_REQUEST" "100 requests" disk_is "$domain/xvda" '.ring.in_flight == 0 and .queues[0].rsp_prod >= 100' true
sleep 0.5
before=$(polls)
sleep 0.5
expect "watches while idle" "$before" "$(polls)"
guest_stop "$started"
