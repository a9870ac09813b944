#!/bin/bash
# SPDX-License-Identifier: MIT
# tapbridged, netbackd, workers, and all of them are killed, and stopped, under a stream between two guests on a bridge of tapbridged: the stream arrives
# whole, and the bridge knows its ports and addresses again.
. "$(dirname "$0")/../../lib/netback.sh"
kills=${NETBACK_KILLS:-2} # of each
printf '[bridge lan]\n' >"$WORK/switch.conf"
ip link set lo up
switch_start
daemon_start
near=$(simxen create)
far=$(simxen create)
card_switched "$near" 0 lan
card_switched "$far" 0 lan
net_start "$far" up --address 10.0.0.2 --queues 2 --lossy 0
up=$started
net_start "$near" tcp --address 10.0.0.1 --queues 2 --limit 300 --bytes 100G 0 10.0.0.2
stream=$started

received() { card_field "$far/0" .rx.bytes; }
more_received() { [ "$(received)" -gt "$1" ]; }

of_switch() {
    curl -sf --unix-socket "$RUN/tapbridged.sock" "http://localhost/v1/bridges/lan$1" | jq -rc "$2"
}

# What the bridge knows: ports, and who is behind each.
known() {
    of_switch "" '[.port_list[] | "\(.name) \(.state)"] | sort'
    of_switch /fdb '[.fdb[] | "\(.mac) \(.port)"] | sort'
}
as_before() { [ "$(known)" = "$before" ]; }

both_connected() {
    card_is "$near/0" .activity connected && card_is "$far/0" .activity connected
}

wait_until "$LIMIT_ATTACH" "the stream" more_received 100000
before=$(known)
say "$before"
[[ $before == *vif$near.0*vif$far.0* ]] || fail "the bridge does not know its ports"
flight=0
for ((i = 0; i < kills; i++)); do
    for what in switch switch-stopped daemon near workers all; do
        workers=$(worker_pids)
        from=$(received)
        # shellcheck disable=SC2086 # several
        case $what in
        near) kill -KILL "$(card_field "$near/0" .worker.pid)" ;;
        workers | all) kill -KILL $workers ;;
        esac
        if [[ $what = daemon || $what = all ]]; then
            kill -KILL "$daemon_pid"
        fi
        case $what in
        switch | all) switch_end KILL && switch_start ;;
        switch-stopped) switch_end TERM && switch_start ;;
        esac
        if [[ $what = daemon || $what = all ]]; then
            daemon_end KILL
            daemon_start
        fi
        wait_until "$LIMIT_RECOVERY" "the cards to be served after: $what" both_connected
        wait_until "$LIMIT_RECOVERY" "the ports and addresses to be known again after: $what" as_before
        wait_until "$LIMIT_RECOVERY" "more of the stream after: $what" more_received "$((from + 200000))"
        [[ $what = workers || $what = all || $what = near ]] ||
            expect "the workers after: $what" "$workers" "$(worker_pids)"
        alive "$stream" || fail "the stream ended before its time, after: $what: $(cat "$WORK/guest.$stream")"
        flight=$((flight + 1))
    done
done
kill -TERM "$stream"
wait "$stream" || true
say "$flight times; $(tail -n 1 "$WORK/guest.$stream" | jq -c '{acknowledged, verified, wrong, resent, timeouts, complaint}')"
expect "bytes of the stream that were wrong, and complaints" '0 ""' "$(tail -n 1 "$WORK/guest.$stream" | jq -r '"\(.wrong) \(.complaint | tojson)"')"
net "$near" tcp --address 10.0.0.1 --bytes 1M 0 10.0.0.2
net_stop "$up"
