#!/bin/bash
# SPDX-License-Identifier: MIT
# A newer version is installed under streams, and then the older one again: workers of the other version are adopted, then replaced a few at a time by
# plan. No stream loses anything, no card is disconnected, no restart is counted.
. "$(dirname "$0")/../../lib/netback.sh"
guests=3 # that send, each to one of its own

version_is() {
    card_is "$1/0" .worker.version "$2" && card_is "$1/0" .activity connected
}

received() { card_field "$1/0" .rx.bytes; }
more_received() { [ "$(received "$1")" -gt "$2" ]; }

# How many of the guests are without a worker that serves them.
without_worker() {
    control list --json | jq '[.devices[] | select(.activity != "connected") | .domid] | unique | length'
}

bridge_new br0
daemon_start
fars=() nears=() streams=() ups=()
for ((i = 0; i < guests; i++)); do
    guest_new
    fars+=("$domain")
    net_start "$domain" up --address "10.0.0.10$i" --lossy 0
    ups+=("$started")
    guest_new
    nears+=("$domain")
    net_start "$domain" tcp --address "10.0.0.20$i" --bytes 100G --limit 300 0 "10.0.0.10$i"
    streams+=("$started")
done
for domain in "${fars[@]}"; do
    wait_until "$LIMIT_ATTACH" "guest $domain to be connected" more_received "$domain" 100000
done
for build in newer own; do
    version=0.1.1
    [ "$build" = newer ] || version=0.1.0
    daemon_end TERM
    daemon_of "$build"
    daemon_start --replace-parallel=2
    most=0
    replaced() {
        local now
        now=$(without_worker)
        [ "$now" -le "$most" ] || most=$now
        for domain in "${fars[@]}" "${nears[@]}"; do
            version_is "$domain" "$version" || return 1
        done
    }
    wait_until "$LIMIT_RECOVERY" "all workers to be of version $version" replaced
    say "$version: at most $most guests seen without their worker at a time"
    [ "$most" -le 2 ] || fail "$most guests were without a worker at a time"
    expect "workers replaced by plan" "$((2 * guests))" "$(grep -c "has drained; replacing it" "$DAEMON_LOG")"
    : >"$DAEMON_LOG"
    for domain in "${fars[@]}" "${nears[@]}"; do
        expect "restarts of guest $domain's worker" "0 0" "$(card_field "$domain/0" '"\(.worker.restarts) \(.worker.guest_restarts)"')"
    done
    for domain in "${fars[@]}"; do
        wait_until "$LIMIT_RECOVERY" "more of the stream to guest $domain" more_received "$domain" "$(($(received "$domain") + 100000))"
    done
done
for stream in "${streams[@]}"; do
    alive "$stream" || fail "a stream ended before its time: $(cat "$WORK/guest.$stream")"
    kill -TERM "$stream"
    wait "$stream" || true
    expect "bytes of the stream that were wrong, and complaints" '0 ""' "$(tail -n 1 "$WORK/guest.$stream" | jq -r '"\(.wrong) \(.complaint | tojson)"')"
done
for up in "${ups[@]}"; do
    net_stop "$up"
done
