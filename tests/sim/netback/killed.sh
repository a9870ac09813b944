#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers, netbackd, and both are killed while a stream runs from guest to guest: the stream arrives whole, no ring is lost, nobody's link goes down.
. "$(dirname "$0")/../../lib/netback.sh"
kills=${NETBACK_KILLS:-2} # of each; the soak tier: more
in_flight=0 # kills after which the guests had frames to answer that a dead worker had taken
bridge_new br0
daemon_start
guest_new
near=$domain
guest_new
far=$domain
net_start "$far" up --address 10.0.0.2 --queues 2 0
up=$started
net_start "$near" tcp --address 10.0.0.1 --queues 2 --limit 300 --bytes 1000G 0 10.0.0.2
stream=$started
for card in "$near/0" "$far/0"; do
    wait_until "$LIMIT_ATTACH" "card $card to be connected" card_is "$card" .activity connected
done

# replaced_both OLD: whether others than these serve both guests.
served_by_others() {
    local card old
    for card in "$near/0" "$far/0"; do
        for old in $1; do
            worker_replaced "$card" "$old" || return 1
        done
    done
}

# Frames that were taken from a dead worker's journal.
replayed() {
    { card_field "$near/0" '[.queues[].tx.replayed] | add' && card_field "$far/0" '[.queues[].tx.replayed] | add'; } | awk '{ sum += $1 } END { print sum }'
}

taken=$(replayed)
for ((i = 0; i < kills; i++)); do
    for what in near far both daemon all; do
        old=$(worker_pids)
        case $what in
        near) victims=$(card_field "$near/0" .worker.pid) ;;
        far) victims=$(card_field "$far/0" .worker.pid) ;;
        both) victims=$old ;;
        daemon) victims=$daemon_pid ;;
        all) victims="$daemon_pid $old" ;;
        esac
        # shellcheck disable=SC2086 # several
        kill -KILL $victims
        if [[ $what = daemon || $what = all ]]; then
            wait "$daemon_pid" 2>/dev/null || true
            daemon_start
        fi
        for victim in $victims; do
            wait_until "$LIMIT_RECOVERY" "process $victim to be gone" dead "$victim"
        done
        [ "$what" = daemon ] || wait_until "$LIMIT_RECOVERY" "successors after killing $what" served_by_others "$victims"
        for card in "$near/0" "$far/0"; do
            wait_until "$LIMIT_RECOVERY" "card $card to be served after killing $what" card_is "$card" .activity connected
        done
        now=$(replayed)
        in_flight=$((in_flight + (now > taken)))
        taken=$now
    done
done
alive "$stream" || fail "the stream ended before its time: $(cat "$WORK/guest.$stream")"
kill -TERM "$stream" # it has sent as much as it could: what came is verified as it comes
wait "$stream" || true
say "$((5 * kills)) times killed, $in_flight of them amid frames that a successor went on with"
tail -n 1 "$WORK/guest.$stream" | jq -c '{acknowledged, verified, wrong, resent, timeouts, complaint}'
expect "bytes of the stream that were wrong" 0 "$(tail -n 1 "$WORK/guest.$stream" | jq .wrong)"
expect "what the near guest complains of" "" "$(tail -n 1 "$WORK/guest.$stream" | jq -r .complaint)"
net "$near" tcp --address 10.0.0.1 --bytes 1M 0 10.0.0.2
net_stop "$up"
