# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# What tests of netbackd on the simulator share. Sourced by scripts that `simhost run` starts, with RINGBACK_BUILD naming the build.
#
# Beside what daemon.sh keeps private: its network is a namespace of the test's own.
FAMILY=netback
. "$(dirname "${BASH_SOURCE[0]}")/daemon.sh"
if [ -z "${NETBACK_NAMESPACE:-}" ]; then
    unshare --net true 2>/dev/null || skip "a network namespace is not permitted here"
    [ -w /dev/net/tun ] || skip "there is no /dev/net/tun"
    # shellcheck disable=SC2016 # for the inner shell, which has /sys tell of the new namespace
    NETBACK_NAMESPACE=1 exec unshare --net --mount -- sh -c 'mount -t sysfs none /sys && exec "$@"' - "$0" "$@"
fi
. "$(dirname "${BASH_SOURCE[0]}")/netguest.sh"

daemon_program=${NETBACK_DAEMON:-$daemon_program} # a broken one that a test must not let pass
worker_program=${NETBACK_WORKER:-$worker_program}
switch_program=$RINGBACK_BUILD/daemons/bridge/tapbridged

readonly SWITCH_LOG=$WORK/tapbridged.log
logs+=("$SWITCH_LOG")

started= # by net_start
switch_pid=
switch_keeper= # of who starts it again

# ---- The host. ---------------------------------------------------------------------------------------------------------------

# bridge_new NAME [ADDRESS/LENGTH]: a Linux bridge, up; the host itself is at the address.
bridge_new() {
    ip link set lo up
    ip link add "$1" type bridge
    ip link set "$1" up
    [ $# -lt 2 ] || ip address add "$2" dev "$1"
}

# daemon_start OPTION...: netbackd.
daemon_start() {
    daemon_launch "$@"
}

# switch_start: tapbridged, with the configuration $WORK/switch.conf.
switch_start() {
    "$switch_program" --config="$WORK/switch.conf" --run-dir="$RUN" </dev/null >>"$SWITCH_LOG" 2>&1 &
    switch_pid=$!
    wait_until "$LIMIT_DAEMON" "tapbridged to serve" curl -sf --unix-socket "$RUN/tapbridged.sock" http://localhost/v1/status
}

# switch_keep: the same, started again whenever it ends.
switch_keep() {
    keep tapbridged "$switch_program" --config="$WORK/switch.conf" --run-dir="$RUN"
    switch_keeper=$keeper
    wait_until "$LIMIT_DAEMON" "tapbridged to serve" curl -sf --unix-socket "$RUN/tapbridged.sock" http://localhost/v1/status
}

switch_end() {
    kill -"$1" "$switch_pid" 2>/dev/null || true
    wait_until "$LIMIT_DAEMON" "tapbridged to end" dead "$switch_pid"
    wait "$switch_pid" 2>/dev/null || true
    switch_pid=
}

# ---- Domains and cards. --------------------------------------------------------------------------------------------------------

# card_attach DOMID DEVID [OPTION VALUE]...: as xl does it, on br0.
card_attach() {
    local domid=$1 devid=$2
    shift 2
    simxen vif-attach "$domid" "$devid" --bridge br0 --hotplug "$LIB/vif-bridge" "$@"
}

# card_switched DOMID DEVID BRIDGE [OPTION VALUE]...: on a bridge of tapbridged.
card_switched() {
    local domid=$1 devid=$2 bridge=$3
    shift 3
    simxen vif-attach "$domid" "$devid" --bridge "$bridge" --script /etc/xen/scripts/vif-ringback "$@"
}

card_detach() {
    simxen vif-detach "$1" "$2"
}

# guest_new [OPTION VALUE]...: a domain with card 0 on br0; its number is $domain.
guest_new() {
    domain=$(simxen create)
    card_attach "$domain" 0 "$@"
}

# card_field DOMID/N FILTER: one value of what netbackd tells.
card_field() {
    curl -sf --unix-socket "$RUN/netbackd.sock" "http://localhost/v1/devices/$1" | jq -r "$2"
}

card_is() {
    [ "$(card_field "$1" "$2" 2>/dev/null)" = "$3" ]
}

# worker_replaced DOMID/N OLD: whether another worker than process OLD serves the card.
worker_replaced() {
    local now
    now=$(card_field "$1" 'select(.activity == "connected") | .worker.pid // empty')
    [ -n "$now" ] && [ "$now" != "$2" ]
}

# nothing_of DOMID [DEVID]: no node of the back end, no file, no tap.
nothing_of() {
    ! compgen -G "$RUN/netback/$1-*/${2:-}" && ! xenstore-exists "/local/domain/0/backend/vif/$1${2:+/$2}" &&
        ! grep -qs "^$1-.* ${2:-}" "$RUN"/netback-taps/* && ! grep -q " vif$1\.${2:-}" <<<"$(ip -o link)"
}

# state_is DOMID DEVID STATE: of the back end, in xenstore.
state_is() {
    [ "$(xenstore-read "/local/domain/0/backend/vif/$1/$2/state" 2>/dev/null)" = "$3" ]
}

# ---- What is held. -------------------------------------------------------------------------------------------------------------

# held: everything that can be left over, one count a line.
held() {
    say "descriptors of the daemon: $(descriptors "$daemon_pid")"
    say "processes of the daemon: $(children "$daemon_pid")"
    say "watches: $(watches)"
    say "nodes: $(nodes)"
    say "files: $(find "$RUN" -not -name restarts | wc -l)"
    say "network devices: $(ip -o link | wc -l)"
    simxen list
}

# ---- The end. ------------------------------------------------------------------------------------------------------------------

end_daemons() {
    [ -n "$keeper_pid" ] && daemon_unkeep
    [ -n "$switch_keeper" ] && unkeep tapbridged "$switch_keeper"
    [ -n "$daemon_pid" ] && kill -TERM "$daemon_pid" 2>/dev/null && wait "$daemon_pid" 2>/dev/null
    [ -n "$switch_pid" ] && kill -TERM "$switch_pid" 2>/dev/null && wait "$switch_pid" 2>/dev/null
}
trap end EXIT
