#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest sends no more than its `rate` allows, in no time however short, and what it sends comes all the same; a change is followed while it sends, and
# what is no rate is no limit, and logged.
. "$(dirname "$0")/../../lib/netback.sh"
readonly BURST=131072 # bytes that may go at once after a pause, whatever the rate

sent() { card_field "$near/0" .tx.bytes; }
waits() { card_field "$near/0" '[.queues[].tx.waits] | add'; }
now_us() { awk '{ printf "%.0f", $1 * 1000000 }' /proc/uptime; }

more_waits() {
    [ "$(waits)" -ge "$1" ]
}

more_sent() {
    [ "$(sent)" -ge "$1" ]
}

# set_rate TEXT LOG: the toolstack writes it, and the log tells how it is understood.
set_rate() {
    local lines
    lines=$(grep -cF "$2" "$DAEMON_LOG" || true)
    xenstore-write "/local/domain/0/backend/vif/$near/0/rate" "$1"
    told() { [ "$(grep -cF "$2" "$DAEMON_LOG")" -gt "$1" ]; }
    wait_until "$LIMIT_ATTACH" "the log to say: $2" told "$lines" "$2"
}

# held_to BYTES US WAITS: while it waits for its rate so many times more, no more is sent than that many windows allow. A slow machine sends less; none may send more.
held_to() {
    local bytes=$1 window=$2 begin first end last allowed
    wait_until "$LIMIT_GUEST" "the guest to be held to its rate" more_waits "$(($(waits) + 2))"
    begin=$(now_us)
    first=$(sent)
    wait_until "$LIMIT_GUEST" "the guest to wait for its rate" more_waits "$(($(waits) + $3))"
    last=$(sent)
    end=$(now_us)
    allowed=$((bytes * ((end - begin) / window + 2) + BURST))
    say "$bytes bytes each $window us: $((last - first)) bytes in $((end - begin)) us, $allowed allowed"
    [ $((last - first)) -le $allowed ] || fail "$((last - first)) bytes were sent"
    [ "$last" -gt "$first" ] || fail "nothing was sent"
}

bridge_new br0
daemon_start
guest_new
far=$domain
guest_new --rate 100000,50000
near=$domain
net_start "$far" up --address 10.0.0.2 --lossy 0
up=$started
expect "the rate" "100000 50000" "$(card_field "$near/0" '"\(.rate.bytes) \(.rate.window_us)"')"
net_start "$near" udp --address 10.0.0.1 --one-way --lossy --time 600 0 10.0.0.2
flood=$started
wait_until "$LIMIT_ATTACH" "frames to be sent" more_sent 100000

held_to 100000 50000 20
set_rate 500000,20000 "may send 500000 bytes each 20000 us"
held_to 500000 20000 20
set_rate 20000,100000 "may send 20000 bytes each 100000 us"
held_to 20000 100000 10
kill -KILL "$(card_field "$near/0" .worker.pid)"
held_to 20000 100000 10
daemon_end KILL
daemon_start
held_to 20000 100000 10
set_rate 500000,20000 "may send 500000 bytes each 20000 us"
daemon_end KILL
xenstore-write "/local/domain/0/backend/vif/$near/0/rate" 4000,100000 # while there is none to follow it
daemon_start
wait_until "$LIMIT_RECOVERY" "the card to be served" card_is "$near/0" .activity connected
held_to 4000 100000 5
set_rate 20000,100000 "may send 20000 bytes each 100000 us"
expect "the rate" "20000 100000" "$(card_field "$near/0" '"\(.rate.bytes) \(.rate.window_us)"')"

# unlimited TEXT LOG...: it does not wait any more.
unlimited() {
    local before
    set_rate "$@"
    expect "the rate" null "$(card_field "$near/0" .rate)"
    wait_until "$LIMIT_GUEST" "more to be sent" more_sent "$(($(sent) + 500000))"
    before=$(waits)
    wait_until "$LIMIT_GUEST" "more to be sent" more_sent "$(($(sent) + 2000000))"
    expect "waits for the rate" "$before" "$(waits)"
    set_rate 500000,20000 "may send 500000 bytes each 20000 us"
    held_to 500000 20000 5
}
unlimited 0,0 "may send without a limit"
unlimited 1000,0 "may send without a limit"
unlimited quick "rate 'quick' is not 'BYTES,MICROSECONDS': there is no limit"
unlimited 1000 "rate '1000' is not 'BYTES,MICROSECONDS': there is no limit"
unlimited 1000,99999999999 "rate '1000,99999999999' is impossible: there is no limit"
unlimited "+5,1000" "rate '+5,1000' is not 'BYTES,MICROSECONDS': there is no limit"
net_stop "$flood"
net_stop "$up"
