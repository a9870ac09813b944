#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest on a bridge of tapbridged that sends from very many addresses, or as if it were somebody else, or that takes nothing of what comes. Verified traffic
# of two others goes on, none of it is lost, what is forged reaches nobody, no entry of theirs leaves the table, and counters name the offender's port.
#
# The offender has a second card on a Linux bridge behind a tap of the same bridge, whose port may send from any address: there its flood gets into the
# table, where a guest behind another tap has to keep its place.
. "$(dirname "$0")/../../lib/netback.sh"
need curl jq
readonly COUNT=300 FLOOD=3000 ENTRIES_MAX=128
readonly MARK=simguest-hostile # at the end of each forged frame

bridge() {
    ringctl bridge "$1" lan --json --socket="$RUN/tapbridged.sock"
}

# port NAME FILTER: one value of what ringctl tells of a port.
port() {
    bridge ports | jq -rc --arg name "$1" ".port_list[] | select(.name == \$name) | $2"
}
port_above() { # NAME FILTER VALUE
    [ "$(port "$1" "$2")" -gt "$3" ]
}

# behind MAC: the port behind which it is.
behind() {
    bridge fdb | jq -r --arg mac "$1" '.fdb[] | select(.mac == $mac).port'
}
is_behind() { [ "$(behind "$1")" = "$2" ]; }

metrics() { # DAEMON
    curl -sf --unix-socket "$RUN/$1.sock" http://localhost/metrics
}

# drops DOMID [REASON]: what netbackd dropped of card 0 in either direction.
drops() {
    metrics netbackd | awk -v device="\"$1/0\"" -v reason="reason=\"${2:-}" \
        'index($0, "ringback_netback_drops_total{") == 1 && index($0, reason) && index($0, device) { sum += $NF } END { print sum + 0 }'
}
drops_above() { [ "$(drops "$1" "$2")" -gt "$3" ]; }

mac_of() { # DOMID DEVID
    xenstore-read "/local/domain/0/backend/vif/$1/$2/mac"
}

# marked FILE: whether a forged frame was captured.
marked() {
    grep -qa "$MARK" "$1"
}

# misbehave DEVID CASE OPTION...: as no driver would, with the process $hostile, which then takes nothing of what comes and can be looked at until
# behave; its port, and what was counted there, ends with its connection.
misbehave() {
    local devid=$1 case=$2
    shift 2
    net_start "$bad" hostile --pause 3600000 --count "$COUNT" --peer 10.0.0.2 --victim 10.0.0.1 --victim fd00::1 "$@" "$devid" "$case" never-drains
    hostile=$started
    wait_until "$LIMIT_GUEST" "the offender to have tried $case" has_tried "$case"
    grep -q "^ok  *$case " "$WORK/guest.$hostile" || fail "$(cat "$WORK/guest.$hostile")"
}
has_tried() {
    dead "$hostile" || grep -q "^[a-zA-Z]*  *$1 " "$WORK/guest.$hostile"
}

# behave: takes what comes again, and is served.
behave() {
    net_stop "$hostile"
}

# the_others: what must not have changed of the good guests' ports.
the_others() {
    local name
    for name in "vif$near.0" "vif$far.0"; do
        port "$name" '[.name, .state, .displaced, .counters.flooded, .counters.drops]'
    done
    say "$(behind "$(mac_of "$near" 0)") $(behind "$(mac_of "$far" 0)")"
}
the_others_are_well() { # AFTER-WHAT
    expect "the good guests' ports after $1" "$others" "$(the_others)"
}

received() { card_field "$near/0" .rx.packets; }
more_received() { [ "$(received)" -gt "$1" ]; }
traffic_goes_on() { # DURING-WHAT
    wait_until "$LIMIT_REQUEST" "the good guests' traffic to go on: $1" more_received "$(($(received) + 100))"
}

printf '[bridge lan]\ntaps = out0 out1\nentries-max = %s\n' "$ENTRIES_MAX" >"$WORK/switch.conf"
switch_start
for n in 0 1; do
    bridge_new br$n
    ip link set out$n master br$n up
done
daemon_start --drain-time=500
near=$(simxen create)
far=$(simxen create)
bad=$(simxen create)
hub=$(simxen create)
card_switched "$near" 0 lan
card_switched "$far" 0 lan
card_switched "$bad" 0 lan
card_attach "$bad" 1
card_attach "$hub" 0 --bridge br1

say "--- a port that was given no addresses may send from any, and others see it"
net_start "$far" up --address 10.0.0.2 --capture "$WORK/far.pcap" 0
far_up=$started
net_start "$near" up --address 10.0.0.1 0
near_up=$started
misbehave 0 spoofed-ipv4 --address 10.0.0.3
expect "frames that were dropped for that" 0 "$(port "vif$bad.0" .counters.drops.spoofed_ip)"
behave
net_stop "$near_up"
net_stop "$far_up"
marked "$WORK/far.pcap" || fail "nothing of it was captured"

say "--- the good guests"
net_start "$far" up --address 10.0.0.2 --address fd00::2 --capture "$WORK/far.pcap" 0
far_up=$started
wait_until "$LIMIT_ATTACH" "the second guest to be connected" card_is "$far/0" .activity connected
net_start "$near" udp --address 10.0.0.1 --address fd00::1 --capture "$WORK/near.pcap" --time 600 --rate 200 --window 1 0 10.0.0.2
near_udp=$started
net_start "$hub" up --address 10.0.0.4 --capture "$WORK/hub.pcap" 0
hub_up=$started
wait_until "$LIMIT_ATTACH" "the guest behind a tap to be known" is_behind "$(mac_of "$hub" 0)" out1
card_detach "$bad" 0
card_switched "$bad" 0 lan --ip "10.0.0.3 fd00::3"
wait_until "$LIMIT_ATTACH" "the good guests' traffic" more_received 100
others=$(the_others)
say "$others"

for what in "mac-flood spoofed_mac 1" "spoofed-mac spoofed_mac 2" "spoofed-arp-mac spoofed_mac 3" "spoofed-arp spoofed_ip 3" "spoofed-ipv4 spoofed_ip 3" \
    "spoofed-ipv6 spoofed_ip 3" "spoofed-nd-mac spoofed_mac 2" "spoofed-nd spoofed_ip 4"; do
    say "--- $what"
    read -r case reason kinds <<<"$what"
    read -r case reason kinds <<<"$what"
    misbehave 0 "$case" --address 10.0.0.3 --address fd00::3
    # The normal frame that it ends with is of no protocol that ports with addresses may send.
    mac=0 ip=1
    if [ "$reason" = spoofed_mac ]; then mac=$((COUNT * kinds)); else ip=$((COUNT * kinds + 1)); fi
    expect "forged MAC and IP addresses of the offender" "[$mac,$ip]" "$(port "vif$bad.0" '.counters.drops | [.spoofed_mac, .spoofed_ip]')"
    expect "the offender's entries" 0 "$(port "vif$bad.0" .entries)"
    expect "what metrics tell of it" "$mac" \
        "$(metrics tapbridged | sed -n "s/^ringback_port_drops_total{bridge=\"lan\",port=\"vif$bad.0\",reason=\"spoofed_mac\"} //p")"
    the_others_are_well "$case"
    traffic_goes_on "$case"
    behave
done

say "--- a flood from behind a tap"
misbehave 1 mac-flood --count "$FLOOD" --address 10.0.0.5
port_above out0 .displaced "$ENTRIES_MAX" || fail "the flood displaced only $(port out0 .displaced) entries of its own"
expect "entries of others that it displaced" 0 "$(port out1 .displaced)"
expect "where the guest behind another tap is" out1 "$(behind "$(mac_of "$hub" 0)")"
[ "$(bridge fdb | jq '[.fdb[] | select(.age != null)] | length')" -le "$ENTRIES_MAX" ] || fail "the table is larger than it may be"
the_others_are_well "a flood"
traffic_goes_on "after a flood"
behave

say "--- a good guest's address from behind a tap"
misbehave 1 spoofed-mac --address 10.0.0.5
port_above out0 .counters.drops.spoofed_mac 0 || fail "what came by the tap was not counted there"
the_others_are_well "its address was used behind a tap"
behave
net_stop "$hub_up"

say "--- a port that never drains"
misbehave 0 spoofed-mac --address 10.0.0.3
net_start "$hub" frames --to "$(mac_of "$bad" 0)" --one-way --lossy --time 600 --rate 5000 --size 1400 0
flood=$started
wait_until "$LIMIT_REQUEST" "frames to find no room in its port" port_above "vif$bad.0" .counters.drops.no_room 100
wait_until "$LIMIT_REQUEST" "netbackd to drop what waited too long" drops_above "$bad" full 0
traffic_goes_on "beside a port that never drains"
the_others_are_well "a port that never drains"
expect "the offender's port" open "$(port "vif$bad.0" .state)"
net_stop "$flood"
behave

say "--- the end"
# One datagram is under way at a time, and one that is lost is waited for in vain: so none was when the next ones come, but for the last.
traffic_goes_on "to the end"
kill -TERM "$near_udp"
wait "$near_udp" || true
result=$(tail -n 1 "$WORK/guest.$near_udp")
say "$result"
[ "$(field lost)" -le 1 ] || fail "$(field lost) datagrams were lost"
expect "datagrams that came twice, in another order, or changed" "0 0 0" "$(field duplicated) $(field reordered) $(field corrupt)"
expect "complaints" "" "$(field complaint)"
expect "frames that were for others" 0 "$(field foreign)"
[ "$(field received)" -gt 1000 ] || fail "only $(field received) datagrams of the good guests came"
net_stop "$far_up"
expect "frames that were for others" 0 "$(field foreign)"
for domain in "$near" "$far"; do
    expect "what netbackd dropped of guest $domain" 0 "$(drops "$domain")"
    expect "restarts of guest $domain's worker" 0 "$(card_field "$domain/0" .worker.guest_restarts)"
done
expect "restarts of the offender's worker" 0 "$(card_field "$bad/0" .worker.guest_restarts)"
for file in near far hub; do
    [ "$(wc -c <"$WORK/$file.pcap")" -gt 10000 ] || fail "nothing was captured by $file"
    ! marked "$WORK/$file.pcap" || fail "a forged frame reached guest $file"
done
