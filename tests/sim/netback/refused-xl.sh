#!/bin/bash
# SPDX-License-Identifier: MIT
# What whoever attaches a card that is refused gets to see, with the scripts that xl has for a tap: vif-bridge, unmodified, knows nothing of netbackd. The
# attachment fails with netbackd's reason, and no device of the host's, or of another card's, is taken for the card's tap.
. "$(dirname "$0")/../../lib/netback.sh"
need curl jq
[ -x /etc/xen/scripts/vif-bridge ] || skip "there is no vif-bridge"
mount -t tmpfs none /run         # the scripts' locks
mount -t tmpfs none /var/log/xen # their log

# attach DEVID [OPTION VALUE]...: as xl does it, in $said and $status.
attach() {
    local devid=$1
    shift
    status=0
    said=$(simxen vif-attach "$domain" "$devid" --bridge br0 --hotplug /etc/xen/scripts/vif-bridge "$@" 2>&1) || status=$?
    say "$said"
}

# refused REASON DEVID [OPTION VALUE]...
refused() {
    local reason=$1
    shift
    attach "$@"
    expect "the status" 1 "$status"
    [[ $said == *": $reason" ]] || fail "expected '$reason'"
    wait_until "$LIMIT_ATTACH" "nothing to be left of the card" nothing_of "$domain" "$1"
}

bridge_new br0 10.0.0.254/24
daemon_start
domain=$(simxen create)
say "--- refused before there is a tap"
refused "mac '01:16:3e:00:00:77' is no address of a card" 0 --mac 01:16:3e:00:00:77
refused "mac '' is no address of a card" 0 --mac ""
refused "mtu is no number of 32 bits" 0 --mtu many
say "--- by another script"
said=$(simxen vif-attach "$domain" 0 --bridge br0 --mac 01:16:3e:00:00:77 --hotplug "exit 1" 2>&1) && fail "it was attached"
[[ $said == *": mac '01:16:3e:00:00:77' is no address of a card" ]] || fail "no reason: $said"

say "--- the name is the host's"
ip link add "vif$domain.0" type bridge
before=$(ip -o link show "vif$domain.0")
attach 0 --wait 2
expect "the status" 1 "$status"
[[ $said == *"the back end's state did not become 2"* ]] || fail "another failure was expected"
expect "the host's device" "$before" "$(ip -o link show "vif$domain.0")"
grep -qF "vif $domain/0: waits: there is a network device vif$domain.0 that is not ours" "$DAEMON_LOG" || fail "the log does not tell"
attach 0 --wait 2 --vifname ours
expect "the status" 1 "$status"
say "--- a name that is the host's, which it would be renamed to"
ip link delete "vif$domain.0"
ip tuntap add dev theirs mode tap multi_queue vnet_hdr
attach 0 --vifname theirs
expect "the status" 1 "$status"
[[ $said == *" theirs already exists." ]] || fail "the script itself does not say so"
[ -d /sys/class/net/theirs ] || fail "the host's tap is gone"

say "--- a name of its own"
attach 0 --vifname ours
expect "the status" 0 "$status"
[ -d /sys/class/net/br0/brif/ours ] || fail "it is not in its bridge"
net_start "$domain" up --address 10.0.0.1 0
wait_until "$LIMIT_ATTACH" "it to be connected" card_is "$domain/0" .activity connected
expect "its name" ours "$(card_field "$domain/0" .netdev)"
worker=$(card_field "$domain/0" .worker.pid)
daemon_end KILL
daemon_start
wait_until "$LIMIT_RECOVERY" "it to be adopted" card_is "$domain/0" .activity connected
expect "its worker" "$worker" "$(card_field "$domain/0" .worker.pid)"
net_stop "$started"
net "$domain" ping --address 10.0.0.1 --count 5 --rate 500 0 10.0.0.254 # a new life, without a script
card_detach "$domain" 0
no_tap() { [ ! -e /sys/class/net/ours ] && [ ! -e "$RUN/netback-taps/ours" ] && [ ! -e "$RUN/netback-taps/vif$domain.0" ]; }
wait_until "$LIMIT_ATTACH" "its tap and its notes to go" no_tap

say "--- a rate that cannot be read is none, and no reason to refuse"
attach 0 --rate many
expect "the status" 0 "$status"
card_detach "$domain" 0

say "--- a good one"
attach 0
expect "the status" 0 "$status"
expect "what is left of a reason" "" "$(xenstore-read "/local/domain/0/backend/vif/$domain/0/hotplug-error" 2>/dev/null)"
[ -d "/sys/class/net/br0/brif/vif$domain.0" ] || fail "it is not in its bridge"
net_start "$domain" up --address 10.0.0.1 0
wait_until "$LIMIT_ATTACH" "it to be connected" card_is "$domain/0" .activity connected
net_stop "$started"
card_detach "$domain" 0
