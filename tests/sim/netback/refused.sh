#!/bin/bash
# SPDX-License-Identifier: MIT
# Cards that cannot be served are refused, each with the reason, to the toolstack or where the guest is at fault in `error`. Nothing of them is left, and a
# good one is served afterwards.
. "$(dirname "$0")/../../lib/netback.sh"

# card_nodes DEVID [KEY VALUE]...: a card as a toolstack describes it, and these keys of the back end's too; a value of - leaves out a key.
card_nodes() {
    local back=/local/domain/0/backend/vif/$domain/$1 front=/local/domain/$domain/device/vif/$1 key
    declare -A keys=([mac]=00:16:3e:00:00:77 [script]=/etc/xen/scripts/vif-bridge [bridge]=br0 [handle]=$1 [type]=vif [hotplug-status]="")
    shift
    while [ $# -gt 0 ]; do
        keys[$1]=$2
        shift 2
    done
    xenstore-write "$front/backend" "$back" "$front/backend-id" 0 "$front/state" 1 "$front/handle" 0 "$front/mac" "${keys[mac]}"
    xenstore-chmod -r "$front" "n$domain" r0
    xenstore-write "$back/frontend" "$front" "$back/frontend-id" "$domain"
    for key in "${!keys[@]}"; do
        [ "${keys[$key]}" = - ] || xenstore-write "$back/$key" "${keys[$key]}"
    done
    xenstore-chmod -r "$back" n0 "r$domain"
    xenstore-write "$back/online" 1 "$back/state" 1
}

said() { # DEVID KEY
    xenstore-read "/local/domain/0/backend/vif/$domain/$1/$2" 2>/dev/null
}

says() {
    [ -n "$(said "$@")" ]
}

# nothing_is_left DEVID: no node, no file, no tap.
nothing_is_left() {
    nothing_of "$domain" "$1" && [ "$(ip -o link | wc -l)" = "$links" ]
}

forget() { # DEVID
    xenstore-write "/local/domain/0/backend/vif/$domain/$1/online" 0 "/local/domain/0/backend/vif/$domain/$1/state" 5
    wait_until "$LIMIT_ATTACH" "card $1 to be closed" state_is "$domain" "$1" 6
    xenstore-rm "/local/domain/0/backend/vif/$domain/$1" 2>/dev/null || true # it may have gone by itself
    xenstore-rm "/local/domain/$domain/device/vif/$1"
    wait_until "$LIMIT_ATTACH" "nothing to be left of card $1" nothing_is_left "$1"
}

# refused REASON [KEY VALUE]...: such a card must be refused for exactly that reason.
refused() {
    local reason=$1
    shift
    card_nodes 1 "$@"
    wait_until "$LIMIT_ATTACH" "the card to be refused: $reason" says 1 ringback-error
    expect "the reason" "$reason" "$(said 1 ringback-error)"
    expect "what the toolstack is told" error "$(said 1 ringback-status)"
    expect "what xl tells its user" "$reason" "$(said 1 hotplug-error)"
    expect "the state" 2 "$(said 1 state)"
    forget 1
}

# front_refused REASON [KEY VALUE]...: the guest's keys of card 0, which is good but for these; a value of - leaves out a key.
front_refused() {
    local reason=$1 front=device/vif/0 key
    declare -A keys=([tx-ring-ref]=8 [rx-ring-ref]=9 [event-channel]=1 [request-rx-copy]=1)
    shift
    while [ $# -gt 0 ]; do
        keys[$1]=$2
        shift 2
    done
    simxen exec "$domain" xenstore-write "$front/state" 1
    wait_until "$LIMIT_ATTACH" "the card to be ready for a front end" state_is "$domain" 0 2
    for key in tx-ring-ref rx-ring-ref event-channel event-channel-tx event-channel-rx request-rx-copy multi-queue-num-queues ctrl-ring-ref event-channel-ctrl; do
        simxen exec "$domain" xenstore-rm "$front/$key" 2>/dev/null || true
    done
    for key in "${!keys[@]}"; do
        [ "${keys[$key]}" = - ] || simxen exec "$domain" xenstore-write "$front/$key" "${keys[$key]}"
    done
    simxen exec "$domain" xenstore-write "$front/state" 4
    wait_until "$LIMIT_ATTACH" "the front end to be refused: $reason" says 0 error
    [ "$(said 0 error)" = "$reason" ] || [[ "$(said 0 error)" =~ ^$reason$ ]] || fail "expected '$reason', found '$(said 0 error)'"
    say "refused: $(said 0 error)"
    wait_until "$LIMIT_ATTACH" "the card to be closed" state_is "$domain" 0 6
}

bridge_new br0 10.0.0.254/24
printf '[bridge lan]\n' >"$WORK/switch.conf"
daemon_start
domain=$(simxen create)
links=$(ip -o link | wc -l)

say "--- the toolstack's keys"
refused "mac is missing" mac -
for mac in "" 00:16:3e:00:00 00:16:3e:00:00:7g 01:16:3e:00:00:77 00-16-3e-00-00-77 00:16:3e:00:00:77:88; do
    refused "mac '$mac' is no address of a card" mac "$mac"
done
for name in "" . .. a/b "a b" a:b a%d sixteen-letters-; do
    refused "vifname '$name' is no name of a network device" vifname "$name"
done
refused "mtu is no number of 32 bits" mtu many
switched=(script /etc/xen/scripts/vif-ringback)
refused "bridge '' is no name of a bridge" "${switched[@]}" bridge -
refused "bridge 'a/b' is no name of a bridge" "${switched[@]}" bridge a/b
for ip in 10.0.0 10.0.0.1/33 10.0.0.1/ fd00::/129 fd00:::1 name; do
    refused "ip '$ip' is no address" "${switched[@]}" bridge lan ip "10.0.0.1 $ip"
done
refused "ip has more than 32 addresses" "${switched[@]}" bridge lan ip "$(printf '10.0.0.%d ' {1..33})"

say "--- names that are taken"
card_attach "$domain" 0 --vifname ours
links=$((links + 1))
refused "ours is the name of card $domain/0 already" vifname ours
[ -d /sys/class/net/ours ] || fail "the other card's tap is gone"
net "$domain" ping --address 10.0.0.1 --count 5 --rate 500 0 10.0.0.254
ip link add theirs type bridge
ip tuntap add dev theirs1 mode tap
ip tuntap add dev theirs2 mode tap multi_queue vnet_hdr
links=$((links + 3))
for name in theirs theirs1 theirs2; do
    refused "there is a network device $name that is not ours" vifname $name
    [ -d "/sys/class/net/$name" ] || fail "the host's $name is gone"
done

say "--- the name that xl's scripts look for"
ip link add "vif$domain.1" type bridge
links=$((links + 1))
card_nodes 1
wait_until "$LIMIT_ATTACH" "the card to wait for its name" card_is "$domain/1" .activity waiting-for-name
expect "the state of a card that waits" 1 "$(said 1 state)"
grep -qF "vif $domain/1: waits: there is a network device vif$domain.1 that is not ours" "$DAEMON_LOG" || fail "the log does not tell"
links=$((links - 1))
ip link delete "vif$domain.1"
wait_until "$LIMIT_ATTACH" "the card to be ready once the name is free" state_is "$domain" 1 2
expect "what the toolstack is told" ready "$(said 1 ringback-status)"
forget 1
ip link add "vif$domain.1" type bridge
links=$((links + 1))
card_nodes 1
wait_until "$LIMIT_ATTACH" "the card to wait for its name" card_is "$domain/1" .activity waiting-for-name
xenstore-write "/local/domain/0/backend/vif/$domain/1/online" 0 "/local/domain/0/backend/vif/$domain/1/state" 5
wait_until "$LIMIT_ATTACH" "a card that waited to be closed" state_is "$domain" 1 6
xenstore-rm "/local/domain/0/backend/vif/$domain/1"
xenstore-rm "/local/domain/$domain/device/vif/1"
[ -d "/sys/class/net/vif$domain.1/bridge" ] || fail "the host's vif$domain.1 is gone"
ip link delete "vif$domain.1"
links=$((links - 1))
taken=$(simxen create)
wait_until "$LIMIT_ATTACH" "nothing to be left of card 1" nothing_is_left 1
card_attach "$domain" 1 --vifname "vif$taken.0"
simxen vif-attach "$taken" 0 --bridge br0 --wait 1 && fail "a card was attached whose tap would be another's"
grep -qF "vif $taken/0: waits: vif$taken.0 is the name of card $domain/1 already" "$DAEMON_LOG" || fail "the log does not tell"
card_detach "$domain" 1
simxen destroy "$taken"
wait_until "$LIMIT_ATTACH" "nothing to be left of card 1" nothing_is_left 1

say "--- what the front end says"
front_refused "the front end's request-rx-copy is not 1: pages are copied, never flipped" request-rx-copy -
front_refused "the front end's request-rx-copy is not 1: pages are copied, never flipped" request-rx-copy 0
front_refused "the front end's tx-ring-ref is missing" tx-ring-ref -
front_refused "the front end's rx-ring-ref is missing" rx-ring-ref -
front_refused "the front end's tx-ring-ref is no number of 32 bits" tx-ring-ref 4294967296
front_refused "the front end's event-channel is missing" event-channel -
front_refused "the front end's event-channel is impossible" event-channel 0
front_refused "the front end's event-channel is impossible" event-channel 131072
front_refused "the front end's event-channel-rx is missing" event-channel-tx 1
front_refused "the front end's multi-queue-num-queues is more than was offered" multi-queue-num-queues 5
front_refused "the front end's multi-queue-num-queues is 0" multi-queue-num-queues 0
front_refused "the front end's queue-0/tx-ring-ref is missing" multi-queue-num-queues 2
front_refused "the front end's event-channel-ctrl is missing" ctrl-ring-ref 8
front_refused "queue 0 \(grant references 4000000000 and 9, event channels 1 and 1\), its pages: .*" tx-ring-ref 4000000000
front_refused "queue 0 \(grant references 8 and 100, event channels 1 and 1\), its pages: .*" rx-ring-ref 100
net "$domain" ping --address 10.0.0.1 --count 5 --rate 500 0 10.0.0.254

say "--- the switch is away, then knows no such bridge, then knows it"
card_nodes 1 "${switched[@]}" bridge lan
wait_until "$LIMIT_ATTACH" "the card to wait for the switch" card_is "$domain/1" .activity waiting-for-switch
expect "the state of a card that waits" 1 "$(said 1 state)"
switch_start
wait_until "$LIMIT_ATTACH" "the card to be ready" state_is "$domain" 1 2
expect "what the toolstack is told" ready "$(said 1 ringback-status)"
forget 1
refused "tapbridged: there is no bridge wan" "${switched[@]}" bridge wan
card_nodes 1 "${switched[@]}" bridge lan ip "10.0.0.0/24 fd00::1"
wait_until "$LIMIT_ATTACH" "the card to be ready" state_is "$domain" 1 2
forget 1
card_detach "$domain" 0
wait_until "$LIMIT_DAEMON" "everything to go with the last card" nothing_of "$domain"
