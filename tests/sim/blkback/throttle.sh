#!/bin/bash
# SPDX-License-Identifier: MIT
# A limit holds requests back on the ring: nothing is taken that may not be started, nothing is done meanwhile, and what is larger than the
# limit passes all the same. One that is lifted or raised lets go of them at once.
. "$(dirname "$0")/../../lib/blkback.sh"

requests() { disk_field "$domain/xvda" '.requests | add'; }
waits() { disk_field "$domain/xvda" .throttle.waits; }
# How many requests the guest has put on the ring that were not taken from it.
left() { disk_field "$domain/xvda" '.queues[0] | (.req_prod - .req_cons)'; }
switches() { awk '/ctxt_switches/ {sum += $2} END {print sum}' "/proc/$worker/status"; }
ticks() { awk '{sub(/.*\) /, ""); print $12 + $13}' "/proc/$worker/stat"; }

# The guest has filled the ring, of which nothing is taken.
is_held() { [ "$(left)" -ge 20 ] && disk_is "$domain/xvda" .ring.in_flight 0; }

# throttle ARGUMENT...: of the disk.
throttle() {
    control throttle "$domain/xvda" "$@"
}

# held_with COUNT: that many requests were served, and no more will be, whatever comes.
held_with() {
    local before
    wait_until "$LIMIT_REQUEST" "the guest to be held" is_held
    expect "requests that passed" "$1" "$(requests)"
    worker=$(disk_field "$domain/xvda" .worker.pid)
    before="$(switches) $(ticks) $(disk_field "$domain/xvda" '.events, .polls.hit, .polls.missed, .throttle.waits' | xargs)"
    sleep 1
    say "before and after a second: $before; $(switches) $(ticks) $(disk_field "$domain/xvda" '.events, .polls.hit, .polls.missed, .throttle.waits' | xargs)"
    expect "requests that passed" "$1" "$(requests)"
    expect "events, polls and waits" "${before#* * }" "$(disk_field "$domain/xvda" '.events, .polls.hit, .polls.missed, .throttle.waits' | xargs)"
    [ $(($(switches) - ${before%% *})) -le 3 ] || fail "the worker is woken again and again"
    before=${before#* }
    [ $(($(ticks) - ${before%% *})) -le 20 ] || fail "the worker spins"
}

# bytes_held POLL_TIME: with a daemon that watches idle rings for so long at most.
bytes_held() {
    daemon_start_with --poll-time="$1"
    domain=$(simxen create)
    disk_attach "$domain" xvda ram:16M

    # A byte a second: the first request passes and is paid for in half a day.
    throttle --bandwidth=1
    guest "$domain" blk --requests 1 --size 44K-44K --read 0 --flush 0 "$XVDA"
    expect "waits of a single request" 0 "$(waits)" # what it owes makes nobody wait
    guest_start "$domain" blk --requests 200 --size 44K-44K --read 0 --flush 0 --verify-all "$XVDA"
    held_with 2
    expect "bytes that were written" 90112 "$(disk_field "$domain/xvda" .bytes.write)"
    expect "waits" 1 "$(waits)"
    # Raised, and what is owed is forgotten: all that is left passes.
    throttle --bandwidth=1G
    guest_finish "$started"
    expect "errors" 0 "$(disk_field "$domain/xvda" '.errors | add')"
    expect "requests that passed" 574 "$(requests)" # and those of the verification
    [ "$(disk_field "$domain/xvda" .throttle.waited_ns)" -ge 1000000000 ] || fail "more than a second was waited, and is not counted"
}

bytes_held 0
daemon_end TERM
bytes_held 100

# Requests: one, then one each second.
throttle --bandwidth=none --iops=1
before=$(requests)
begin=$(date +%s)
guest_start "$domain" blk --requests 100 --size 4K-4K --flush 10 --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "the guest to be held" is_held
three_waits() { [ "$(waits)" -ge "$1" ]; }
wait_until "$LIMIT_REQUEST" "the guest to be held thrice" three_waits $(($(waits) + 3))
passed=$(($(requests) - before))
seconds=$(($(date +%s) - begin + 1))
say "$passed requests in $seconds s"
[ "$passed" -le $((seconds + 2)) ] || fail "$passed requests passed in $seconds s"
[ "$passed" -ge 2 ] || fail "no request passed"
throttle none
guest_finish "$started"

# Without limits nothing waits.
before=$(waits)
guest "$domain" blk --requests 500 --verify-all "$XVDA"
expect "waits" "$before" "$(waits)"
