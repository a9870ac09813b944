#!/bin/bash
# SPDX-License-Identifier: MIT
# What hostile guests have done to back ends, all of it, on a Linux bridge and on one of tapbridged: the offender's card is closed with a reason, or what it
# sent is dropped and counted. Other guests' verified traffic goes on beside it, and neither memory nor descriptors nor log grow.
#
# NETBACK_HOSTILE_COUNT says how often the cases repeat that do (the soak tier: a million).
. "$(dirname "$0")/../../lib/netback.sh"
count=${NETBACK_HOSTILE_COUNT:-300}

# drops REASON: of the offender's card, as often as it was for that reason, in all of its lives.
drops() {
    curl -sf --unix-socket "$RUN/netbackd.sock" http://localhost/metrics | awk -v device="\"$bad/0\"" -v reason="reason=\"$1\"" \
        'index($0, "ringback_netback_drops_total{") == 1 && index($0, reason) && index($0, device) { sum += $NF } END { print sum + 0 }'
}

misbehave() {
    net "$bad" hostile --count "$count" --address 10.0.0.3 --peer 10.0.0.2 --with ctrl 0 "$@"
}

sizes() {
    local pid
    for pid in "$daemon_pid" "$(card_field "$bad/0" .worker.pid)"; do
        say "$(resident_kb "$pid") $(descriptors "$pid")"
    done
}

# A sanitizer keeps what was freed, to see its use: not here, where memory is looked at.
export ASAN_OPTIONS=quarantine_size_mb=0:thread_local_quarantine_size_kb=0
bridge_new br0
printf '[bridge lan]\n' >"$WORK/switch.conf"
switch_start
daemon_start
for bridge in br0 lan; do
    say "--- $bridge"
    near=$(simxen create)
    far=$(simxen create)
    bad=$(simxen create)
    for domain in "$near" "$far" "$bad"; do
        if [ "$bridge" = br0 ]; then card_attach "$domain" 0; else card_switched "$domain" 0 lan; fi
    done
    net_start "$far" up --address 10.0.0.2 --lossy 0
    up=$started
    net_start "$near" udp --address 10.0.0.1 --time 600 --rate 200 --window 1 --lossy 0 10.0.0.2
    good=$started
    wait_until "$LIMIT_ATTACH" "the good guests to be connected" card_is "$near/0" .activity connected
    misbehave
    sizes >"$WORK/sizes.before"
    log=$(stat -c %s "$DAEMON_LOG")
    misbehave tx-producer-past endless malformed-closing bad-reference sizes random-slots ring-ref event-channel state-flood random-states event-storm
    misbehave tx-producer-past endless malformed-closing bad-reference sizes random-slots ring-ref event-channel state-flood random-states event-storm
    sizes >"$WORK/sizes.after"
    paste -d ' ' "$WORK/sizes.before" "$WORK/sizes.after" |
        awk '{ print; if ($3 > $1 + 2048 || $4 > $2 + 4) bad = 1 } END { exit bad }' || fail "something grows"
    grown=$(($(stat -c %s "$DAEMON_LOG") - log))
    say "the log grew by $grown bytes"
    [ "$grown" -le 131072 ] || fail "the log grows"
    for domain in "$near" "$far" "$bad"; do
        expect "restarts of guest $domain's worker" 0 "$(card_field "$domain/0" .worker.guest_restarts)"
    done
    for reason in runt size grant; do
        [ "$(drops $reason)" -gt 0 ] || fail "what was dropped for '$reason' is not counted"
    done
    net_stop "$good"
    # The offender floods the bridge too, and nobody owes a datagram to anybody.
    [ $(($(field lost) * 100)) -le "$(field sent)" ] || fail "$(field lost) datagrams of the good guests were lost"
    expect "datagrams that came twice, or in another order" "0 0" "$(field duplicated) $(field reordered)"
    [ "$(field received)" -gt 100 ] || fail "only $(field received) datagrams of the good guests came"
    net_stop "$up"
    for domain in "$near" "$far" "$bad"; do
        card_detach "$domain" 0
    done
done
