#!/bin/bash
# SPDX-License-Identifier: MIT
# netbackd is stopped and started under a stream: the guest's tap, its place in the bridge and its connection stay. What is detached or destroyed under
# traffic, or while there is no netbackd, leaves neither worker nor files nor tap.
. "$(dirname "$0")/../../lib/netback.sh"

is_member() { # DOMID
    [ "$(readlink "/sys/class/net/vif$1.0/master")" ] && [ "$(cat "/sys/class/net/vif$1.0/carrier")" = 1 ]
}

# streams_on: the stream advances.
received() { card_field "$far/0" .rx.bytes; }
more_received() { [ "$(received)" -gt "$1" ]; }
streams_on() {
    wait_until "$LIMIT_RECOVERY" "more of the stream" more_received "$(($(received) + 100000))"
}

# A guest that floods, for ever.
flooding_guest() {
    guest_new
    net_start "$domain" udp --address 10.0.0.9 --one-way --lossy --time 600 0 10.0.0.2
    busy() { [ "$(card_field "$domain/0" .tx.packets)" -gt 100 ]; }
    wait_until "$LIMIT_ATTACH" "guest $domain to flood" busy
}

bridge_new br0
daemon_start
guest_new
far=$domain
guest_new
near=$domain
net_start "$far" up --address 10.0.0.2 --lossy 0
up=$started
net_start "$near" tcp --address 10.0.0.1 --bytes 4G --limit 300 0 10.0.0.2
stream=$started
wait_until "$LIMIT_ATTACH" "the card to be connected" card_is "$far/0" .activity connected
streams_on
index=$(cat "/sys/class/net/vif$far.0/ifindex")
workers=$(worker_pids)

say "--- stopped and started"
for signal in TERM KILL TERM; do
    daemon_end "$signal"
    is_member "$far" || fail "the tap is not in its bridge, or has no carrier, without netbackd"
    daemon_start
    wait_until "$LIMIT_RECOVERY" "the card to be served" card_is "$far/0" .activity connected
    streams_on
    is_member "$far" || fail "the tap is not in its bridge, or has no carrier"
    expect "the tap" "$index" "$(cat "/sys/class/net/vif$far.0/ifindex")"
    expect "the workers" "$workers" "$(worker_pids)"
done

say "--- detached under traffic"
flooding_guest
simxen vif-detach "$domain" 0 &
detach=$!
wait_until "$LIMIT_ATTACH" "the back end to close" state_is "$domain" 0 5
simxen exec "$domain" xenstore-write device/vif/0/state 6
wait "$detach" || fail "it did not close"
wait_until "$LIMIT_ATTACH" "nothing to be left" nothing_of "$domain" 0
kill -KILL "$started" 2>/dev/null || true
flooding_guest # and one that does not mind
! simxen vif-detach "$domain" 0 --wait 1 || fail "it closed under a guest that did not"
wait_until "$LIMIT_ATTACH" "nothing to be left" nothing_of "$domain" 0
kill -KILL "$started" 2>/dev/null || true

say "--- destroyed under traffic"
for how in "" --abrupt; do
    flooding_guest
    simxen destroy "$domain" ${how:+"$how"}
    wait_until "$LIMIT_ATTACH" "nothing to be left" nothing_of "$domain"
done

say "--- destroyed, or detached, while there is no netbackd"
flooding_guest
destroyed=$domain
worker_of_destroyed=$(card_field "$destroyed/0" .worker.pid)
flooding_guest
detached=$domain
daemon_end TERM
simxen destroy "$destroyed" --abrupt
kill -KILL "$started" 2>/dev/null || true
xenstore-rm "/local/domain/0/backend/vif/$detached/0" && xenstore-rm "/local/domain/$detached/device/vif/0"
alive "$worker_of_destroyed" || fail "the worker did not stay"
[ -d "/sys/class/net/vif$destroyed.0" ] || fail "the tap did not stay"
daemon_start
for domain in "$destroyed" "$detached"; do
    wait_until "$LIMIT_DAEMON" "nothing to be left of guest $domain" nothing_of "$domain" 0
    no_directory() { ! compgen -G "$RUN/netback/$domain-*"; }
    wait_until "$LIMIT_DAEMON" "the directory of guest $domain to be gone" no_directory
done
wait_until "$LIMIT_DAEMON" "the worker to be gone" dead "$worker_of_destroyed"

streams_on
kill -TERM "$stream"
wait "$stream" || true
expect "bytes of the stream that were wrong" 0 "$(tail -n 1 "$WORK/guest.$stream" | jq .wrong)"
expect "what the guest complains of" "" "$(tail -n 1 "$WORK/guest.$stream" | jq -r .complaint)"
net_stop "$up"
