#!/bin/bash
# SPDX-License-Identifier: MIT
# As kills.sh, on a bridge of tapbridged, which is killed, too: alone, and together with netbackd and a worker.
. "$(dirname "$0")/../../lib/netback.sh"
. "$(dirname "$0")/../../lib/netkills.sh"
on_lan() {
    card_switched "$1" "$2" lan
}

is_on_lan() {
    curl -sf --unix-socket "$RUN/tapbridged.sock" http://localhost/v1/bridges/lan | jq -e ".port_list[] | select(.name == \"vif${guests[0]}.0\")"
}

printf '[bridge lan]\n' >"$WORK/switch.conf"
ip link set lo up
switch_keep
daemon_keep --log-level=warning
first_guest on_lan
kill -TERM "$(cat "$WORK/tapbridged.pid")"
wait_until "$LIMIT_DAEMON" "the table to be saved" test -e "$RUN/tapbridged/lan"
wait_until "$LIMIT_DAEMON" "tapbridged to serve again" is_on_lan
first_guest_goes
guest_pair tcp on_lan
guest_pair udp on_lan
each=$((kills / 15)) # of those that netbackd is one of
kill_all worker=$((kills - kills / 5 - 3 * each)) switch=$((kills / 5)) supervisor=$each both=$each all=$each
streams_end
guests_go
until_held nothing "everything to go with the last card"
