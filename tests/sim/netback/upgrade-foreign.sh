#!/bin/bash
# SPDX-License-Identifier: MIT
# A version with another channel and another journal takes over under a stream, and the old one again: the workers are drained, not guessed at, nothing is
# taken from a journal and no stream is lost. A supervisor that is killed while it drains leaves a worker that serves on.
. "$(dirname "$0")/../../lib/netback.sh"
version_is() {
    card_is "$far/0" .worker.version "$1" && card_is "$far/0" .activity connected && card_is "$near/0" .activity connected
}

received() { card_field "$far/0" .rx.bytes; }
more_received() { [ "$(received)" -gt "$1" ]; }

bridge_new br0
daemon_start
guest_new
far=$domain
guest_new
near=$domain
net_start "$far" up --address 10.0.0.2 --queues 2 --lossy 0
up=$started
net_start "$near" tcp --address 10.0.0.1 --queues 2 --bytes 100G --limit 300 0 10.0.0.2
stream=$started
wait_until "$LIMIT_ATTACH" "the stream" more_received 100000
for build in foreign own foreign own; do
    version=0.2.0
    [ "$build" = foreign ] || version=0.1.0
    daemon_end KILL
    daemon_of "$build"
    # Now and then killed at some moment of it.
    for delay in 0.03 0.06; do
        "$daemon_program" --config=/dev/null --run-dir="$RUN" --worker="$worker_program" </dev/null >>"$DAEMON_LOG" 2>&1 &
        daemon_pid=$!
        sleep "$delay"
        daemon_end KILL
    done
    daemon_start
    wait_until "$LIMIT_RECOVERY" "a worker of version $version" version_is "$version"
    for card in "$far/0" "$near/0"; do
        expect "what was taken from a journal, and restarts, of $card" "0 0 0" \
            "$(card_field "$card" '"\([.queues[].tx.replayed] | add) \(.worker.restarts) \(.worker.guest_restarts)"')"
    done
    wait_until "$LIMIT_RECOVERY" "more of the stream" more_received "$(($(received) + 100000))"
done
grep -q "speaks channel 3, journal 2, and we, 0.1.0, 2 and 1: it is to be drained" "$DAEMON_LOG" || fail "the log does not tell the versions"
alive "$stream" || fail "the stream ended before its time: $(cat "$WORK/guest.$stream")"
kill -TERM "$stream"
wait "$stream" || true
expect "bytes of the stream that were wrong, and complaints" '0 ""' "$(tail -n 1 "$WORK/guest.$stream" | jq -r '"\(.wrong) \(.complaint | tojson)"')"
net_stop "$up"
