# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# What tests of the simulated guest's network front end share. Sourced by scripts that `simhost run` starts, with RINGBACK_BUILD naming the build.
#
# Everything is private to the test: the host, the reflector that plays the back end. What was started is stopped at exit, by process id.
set -euo pipefail

: "${RINGBACK_BUILD:?names the build directory}" "${SIMXEN_DIR:?is set by simhost run}"
PATH=$RINGBACK_BUILD/sim/guest:$RINGBACK_BUILD/tests/sim/netfront:$PATH

# Seconds after which something hangs. Far more than it ever takes.
readonly LIMIT_GUEST=60

readonly WORK=$SIMXEN_DIR/test
reflector_pid=
started=
guest_pids=()

say() {
    printf '%s\n' "$*"
}

fail() {
    say "FAILED: $*" >&2
    exit 1
}

# expect WHAT WANTED FOUND
expect() {
    [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"
}

# reflector_start OPTION...: see its head comment.
reflector_start() {
    mkdir -p "$WORK"
    reflector "$@" </dev/null >"$WORK/reflector.log" 2>&1 &
    reflector_pid=$!
}

reflector_stop() {
    local status=0
    kill -TERM "$reflector_pid"
    wait "$reflector_pid" || status=$?
    cat "$WORK/reflector.log"
    reflector_pid=
    expect "the reflector's exit status" 0 "$status"
}

# guest_new: makes a domain with one vif; its number is $domain.
guest_new() {
    domain=$(simxen create)
    simxen vif-attach "$domain" 0 "$@"
}

# net DOMID ACTION...: simguest net as that domain; the JSON it prints is $result.
net() {
    local domid=$1 action=$2 status=0
    shift 2
    result=$(simxen exec "$domid" simguest net "$action" --limit "$LIMIT_GUEST" --json "$@") || status=$?
    say "$result"
    [ "$status" -eq 0 ] || fail "simguest net $action $*: exit status $status"
}

# net_start DOMID ACTION...: the same in the background; its process is $started.
net_start() {
    local domid=$1 action=$2 log
    shift 2
    log=$(mktemp "$WORK/guest.XXXXXX")
    simxen exec "$domid" simguest net "$action" --limit "$LIMIT_GUEST" --json "$@" >"$log" 2>&1 &
    started=$!
    ln -s "$log" "$WORK/guest.$started"
    guest_pids+=("$started")
}

# net_finish PID: it must end well; what it printed is $result.
net_finish() {
    local status=0
    wait "$1" || status=$?
    cat "$WORK/guest.$1"
    result=$(tail -n 1 "$WORK/guest.$1")
    [ "$status" -eq 0 ] || fail "the guest's exit status is $status"
}

net_stop() {
    kill -TERM "$1"
    net_finish "$1"
}

# field NAME: of $result.
field() {
    jq -r ".$1" <<<"$result"
}

end() {
    local status=$? pid
    set +e
    for pid in "${guest_pids[@]}"; do
        kill -KILL "$pid" 2>/dev/null
    done
    [ -n "$reflector_pid" ] && kill -KILL "$reflector_pid" 2>/dev/null
    [ "$status" -eq 0 ] || [ "$status" -eq 77 ] || tail -n 40 "$WORK"/*.log "$WORK"/guest.?????? 2>/dev/null
    exit "$status"
}
trap end EXIT
