#!/bin/bash
# SPDX-License-Identifier: MIT
# No frame is lost at the start of day, with no sleep anywhere. The guest pushes one frame before it connects, with no event that anybody could hear; says
# Connected; pushes another. Both leave exactly once, however long the back end takes until it serves, and the port until it forwards; the toolstack
# sees InitWait; and Connected is never written before the port forwards.
. "$(dirname "$0")/../../lib/netback.sh"
# No frame of the host's own wakes a worker: it has to see the guest's by itself.
echo 1 | tee /proc/sys/net/ipv6/conf/{all,default}/disable_ipv6 >/dev/null
bridge_new br0
ip link set br0 type bridge stp_state 1 forward_delay 200 # 2 s of listening and 2 of learning, where that is wanted
daemon_start
guest_new
far=$domain
net_start "$far" up 0
observer=$started
wait_until "$LIMIT_ATTACH" "the observer's card to be connected" card_is "$far/0" .activity connected

forwards() { # NETDEV
    [ "$(cat "/sys/class/net/$1/brport/state" 2>/dev/null)" = 3 ]
}

# watch_states DOMID FILE: writes each state of the card, and whether its port forwards when the state is seen, until killed.
watch_states() {
    local state last=
    while :; do
        state=$(xenstore-read "/local/domain/0/backend/vif/$1/0/state" 2>/dev/null) || continue
        [ "$state" != "$last" ] || continue
        echo "$state $(forwards "vif$1.0" && echo forwards || echo blocked)"
        last=$state
    done >"$2"
}

watcher=
end_watcher() { [ -z "$watcher" ] || kill "$watcher"; }
at_end=end_watcher

# try BEFORE-MAPPING AFTER-HOTPLUG STP: milliseconds the netbackd is stopped when the guest has connected; seconds the hotplug script takes.
try() {
    local before=$1 hotplug=$2 stp=$3
    say "--- stopped for $before ms, hotplug $hotplug s, spanning tree $stp"
    ip link set br0 type bridge stp_state "$stp"
    domain=$(simxen create)
    mkfifo "$WORK/go.$domain"
    (VIF_BRIDGE_DELAY=$hotplug card_attach "$domain" 0) &
    attach=$!
    wait_until "$LIMIT_ATTACH" "InitWait" state_is "$domain" 0 2
    watch_states "$domain" "$WORK/states.$domain" &
    watcher=$!
    guest_pids+=("$watcher" "$attach") # ended at exit like them
    [ "$before" = 0 ] || kill -STOP "$daemon_pid"
    net_start "$domain" start-of-day --time 2 0
    guest=$started
    if [ "$before" != 0 ]; then
        wait_until "$LIMIT_ATTACH" "the front end to say Connected" front_is "$domain" 4
        sleep "$(awk "BEGIN { print $before / 1000 }")"
        kill -CONT "$daemon_pid"
    fi
    wait "$attach" || fail "the toolstack gave up"
    wait_until "$LIMIT_ATTACH" "Connected" state_is "$domain" 0 4
    net_finish "$guest"
    kill "$watcher"
    wait "$watcher" 2>/dev/null || true
    watcher=
    tr '\n' ',' <"$WORK/states.$domain"; echo
    grep -q '^2 ' "$WORK/states.$domain" || fail "the toolstack did not see InitWait"
    ! grep -q '^4 blocked' "$WORK/states.$domain" || fail "Connected was written before the port forwards"
    sent=$((sent + 2))
    simxen vif-detach "$domain" 0
}

front_is() { # DOMID STATE
    [ "$(xenstore-read "/local/domain/$1/device/vif/0/state" 2>/dev/null)" = "$2" ]
}

sent=0
for before in 0 5 50 500; do
    for hotplug in 0 0.05 1; do
        try "$before" "$hotplug" 0
    done
done
try 0 0 1
net_stop "$observer"
expect "numbered frames that came" "$sent" "$(field received)"
expect "frames that came twice" 0 "$(field duplicated)"
