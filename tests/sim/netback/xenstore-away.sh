#!/bin/bash
# SPDX-License-Identifier: MIT
# The connection to xenstored is cut under a stream, and workers and netbackd are killed meanwhile: the guests are served on before it is back, by
# successors that stay. What was removed, destroyed or changed meanwhile is seen to then.
. "$(dirname "$0")/../../lib/netback.sh"
need python3

cut_off() {
    kill -USR1 "$proxy"
    wait_until "$LIMIT_DAEMON" "the daemon to miss xenstored" card_is "$far/0" .state Unknown
}

# still_cut: for what was seen since to mean anything.
still_cut() {
    card_is "$far/0" .state Unknown || fail "the connection is back too early"
}

let_in() {
    kill -USR2 "$proxy"
    wait_until "$LIMIT_DAEMON" "the daemon to find the card in xenstore" card_is "$far/0" .state Connected
}

received() { card_field "$far/0" .rx.bytes; }
more_received() { [ "$(received)" -gt "$1" ]; }
streams_on() {
    for card in "$far/0" "$near/0"; do
        wait_until "$LIMIT_RECOVERY" "card $card to be served" card_is "$card" .activity connected
    done
    wait_until "$LIMIT_RECOVERY" "more of the stream" more_received "$(($(received) + 100000))"
}

start() { XENSTORED_PATH=$WORK/store daemon_start; }

python3 "$LIB/proxy.py" "$WORK/store" "$SIMXEN_DIR/socket" &
proxy=$!
guest_pids+=("$proxy") # ended at exit like them
wait_until "$LIMIT_DAEMON" "the proxy" env XENSTORED_PATH="$WORK/store" xenstore-exists /
bridge_new br0
start
guest_new
far=$domain
guest_new
near=$domain
net_start "$far" up --address 10.0.0.2 --lossy 0
up=$started
net_start "$near" tcp --address 10.0.0.1 --bytes 100G --limit 300 0 10.0.0.2
stream=$started
wait_until "$LIMIT_ATTACH" "the card to be connected" card_is "$far/0" .activity connected
streams_on

say "--- workers die, then netbackd, then both"
for what in workers KILL TERM both; do
    cut_off
    old=$(worker_pids)
    # shellcheck disable=SC2086 # several
    case $what in
    workers) kill -KILL $old ;;
    KILL | TERM) daemon_end "$what" && start ;;
    both) daemon_end KILL && kill -KILL $old && start ;;
    esac
    if [[ $what = KILL || $what = TERM ]]; then
        streams_on
        expect "the workers after: $what" "$old" "$(worker_pids)"
    else
        for each in $old; do
            for card in "$far/0" "$near/0"; do
                wait_until "$LIMIT_RECOVERY" "a successor after: $what" worker_replaced "$card" "$each"
            done
        done
        streams_on
    fi
    still_cut
    old=$(worker_pids)
    let_in
    streams_on
    expect "the workers since" "$old" "$(worker_pids)"
done

say "--- a card is removed, a guest destroyed, a rate set"
guest_new
removed=$domain
net_start "$removed" up 0
guest_new
destroyed=$domain
net_start "$destroyed" up 0
for domain in "$removed" "$destroyed"; do
    wait_until "$LIMIT_ATTACH" "the card to be connected" card_is "$domain/0" .activity connected
done
cut_off
xenstore-rm "/local/domain/0/backend/vif/$removed/0"
xenstore-rm "/local/domain/$removed/device/vif/0"
simxen destroy "$destroyed" --abrupt
xenstore-write "/local/domain/0/backend/vif/$near/0/rate" 100000000,50000
streams_on
still_cut
let_in
for domain in "$removed" "$destroyed"; do
    wait_until "$LIMIT_DAEMON" "everything to go with the card of guest $domain" nothing_of "$domain" 0
done
wait_until "$LIMIT_DAEMON" "the rate to be seen" card_is "$near/0" '"\(.rate.bytes) \(.rate.window_us)"' "100000000 50000"
streams_on

alive "$stream" || fail "the stream ended before its time: $(cat "$WORK/guest.$stream")"
kill -TERM "$stream"
wait "$stream" || true
expect "bytes of the stream that were wrong, and complaints" '0 ""' "$(tail -n 1 "$WORK/guest.$stream" | jq -r '"\(.wrong) \(.complaint | tojson)"')"
net_stop "$up"
for domain in "$far" "$near"; do
    card_detach "$domain" 0
    wait_until "$LIMIT_DAEMON" "everything to go with the last card" nothing_of "$domain" 0
done
