# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# What tests of netbackd on the simulator share. Sourced by scripts that `simhost run` starts, with RINGBACK_BUILD naming the build.
#
# Everything is private to the test: the host, its network (a namespace of the test's own, with a bridge br0), the daemons' directories. What was
# started is stopped at exit, by process id. A test fails by its first command that fails, by fail, or by what a sanitizer wrote into a log.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
if [ -z "${NETBACK_NAMESPACE:-}" ]; then
    unshare --net true 2>/dev/null || skip "a network namespace is not permitted here"
    [ -w /dev/net/tun ] || skip "there is no /dev/net/tun"
    # shellcheck disable=SC2016 # for the inner shell, which has /sys tell of the new namespace
    NETBACK_NAMESPACE=1 exec unshare --net --mount -- sh -c 'mount -t sysfs none /sys && exec "$@"' - "$0" "$@"
fi
. "$(dirname "${BASH_SOURCE[0]}")/netguest.sh"

: "${RINGBACK_BUILD:?names the build directory}" "${SIMXEN_DIR:?is set by simhost run}"
PATH=$RINGBACK_BUILD/sim/guest:$RINGBACK_BUILD/tools/ringctl:$PATH
daemon_program=${NETBACK_DAEMON:-$RINGBACK_BUILD/daemons/netback/netbackd} # a broken one that a test must not let pass
worker_program=${NETBACK_WORKER:-$RINGBACK_BUILD/daemons/netback/worker/netbackd-worker}
switch_program=$RINGBACK_BUILD/daemons/bridge/tapbridged

# Seconds after which something hangs. Far more than it ever takes: none is a measure of speed.
readonly LIMIT_DAEMON=30   # a daemon starts or stops
readonly LIMIT_ATTACH=30   # a card is attached or detached
readonly LIMIT_RECOVERY=30 # a successor serves

LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly LIB WORK=$SIMXEN_DIR/test
RUN=$WORK/run
readonly DAEMON_LOG=$WORK/netbackd.log SWITCH_LOG=$WORK/tapbridged.log

started= # by net_start
daemon_pid=
switch_pid=
at_end=: # a command of the script's own, run at exit
crashes_expected= # not empty: workers may crash

mkdir -p "$WORK"

# ---- The host. ---------------------------------------------------------------------------------------------------------------

# bridge_new NAME [ADDRESS/LENGTH]: a Linux bridge, up; the host itself is at the address.
bridge_new() {
    ip link set lo up
    ip link add "$1" type bridge
    ip link set "$1" up
    [ $# -lt 2 ] || ip address add "$2" dev "$1"
}

# daemon_of BUILD: from now on another version is started: newer (0.1.1), or foreign (0.2.0, with channel and journal of another version); own.
daemon_of() {
    daemon_program=$RINGBACK_BUILD/tests/sim/netback/$1/netbackd
    worker_program=$RINGBACK_BUILD/tests/sim/netback/$1/netbackd-worker
    if [ "$1" = own ]; then
        daemon_program=$RINGBACK_BUILD/daemons/netback/netbackd
        worker_program=$RINGBACK_BUILD/daemons/netback/worker/netbackd-worker
    fi
}

# daemon_start OPTION...: netbackd.
daemon_start() {
    "$daemon_program" --config=/dev/null --run-dir="$RUN" --worker="$worker_program" "$@" </dev/null >>"$DAEMON_LOG" 2>&1 &
    daemon_pid=$!
    wait_until "$LIMIT_DAEMON" "netbackd to serve" control list
}

# daemon_end SIGNAL: ends netbackd; its workers go on.
daemon_end() {
    kill -"$1" "$daemon_pid" 2>/dev/null || true
    wait_until "$LIMIT_DAEMON" "netbackd to end" dead "$daemon_pid"
    wait "$daemon_pid" 2>/dev/null || true
    daemon_pid=
}

control() {
    local command=$1
    shift
    ringctl "$command" --socket="$RUN/netbackd.sock" "$@"
}

# switch_start: tapbridged, with the configuration $WORK/switch.conf.
switch_start() {
    "$switch_program" --config="$WORK/switch.conf" --run-dir="$RUN" </dev/null >>"$SWITCH_LOG" 2>&1 &
    switch_pid=$!
    wait_until "$LIMIT_DAEMON" "tapbridged to serve" curl -sf --unix-socket "$RUN/tapbridged.sock" http://localhost/v1/status
}

switch_end() {
    kill -"$1" "$switch_pid" 2>/dev/null || true
    wait_until "$LIMIT_DAEMON" "tapbridged to end" dead "$switch_pid"
    wait "$switch_pid" 2>/dev/null || true
    switch_pid=
}

# The processes of the workers that serve guests, one a line.
worker_pids() {
    local file
    for file in "$RUN"/netback/*/worker; do
        [ -e "$file" ] && cut -d' ' -f1 "$file"
    done
    return 0
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
        ! grep -qs "^$1-.* ${2:-}" "$RUN"/netback-taps/* && ! ip -o link | grep -q " vif$1\.${2:-}"
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

end() {
    local status=$? pid
    set +e
    for pid in "${guest_pids[@]}"; do
        kill -KILL "$pid" 2>/dev/null
    done
    [ -n "$daemon_pid" ] && kill -TERM "$daemon_pid" 2>/dev/null && wait "$daemon_pid" 2>/dev/null
    [ -n "$switch_pid" ] && kill -TERM "$switch_pid" 2>/dev/null && wait "$switch_pid" 2>/dev/null
    for pid in $(worker_pids); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = netbackd-worker ] && kill -KILL "$pid" 2>/dev/null
    done
    if grep -qE 'Sanitizer|runtime error:|assert' "$DAEMON_LOG" "$SWITCH_LOG" 2>/dev/null; then
        say "FAILED: see the daemons' logs" >&2
        status=1
    fi
    if [ -z "$crashes_expected" ] && grep -qE 'it crashed: signal|worker (exited with status|killed by signal (4|5|6|7|8|11|31) )' "$DAEMON_LOG" 2>/dev/null; then
        say "FAILED: a worker crashed" >&2
        status=1
    fi
    $at_end
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        tail -n 60 "$WORK"/*.log "$WORK"/guest.?????? 2>/dev/null
    fi
    exit "$status"
}
trap end EXIT
