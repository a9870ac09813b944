# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# The simulated guest's network commands. Each leaves a result: one line of JSON.

# Seconds after which something hangs. Far more than it ever takes; less where a test must fail.
readonly LIMIT_GUEST=${NETGUEST_LIMIT:-60}

started=
guest_pids=()

# net DOMID ACTION...: simguest net as that domain; the JSON it prints is $result.
net() {
    local domid=$1 action=$2 status=0
    shift 2
    result=$(simxen exec "$domid" simguest net "$action" --limit "$LIMIT_GUEST" --json "$@") || status=$?
    [ "$status" -eq 0 ] || fail "simguest net $action $*: exit status $status: $result"
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
