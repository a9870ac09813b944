# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# What tests of the simulated guest's network front end share. Sourced by scripts that `simhost run` starts, with RINGBACK_BUILD naming the build.
#
# Everything is private to the test: the host, the reflector that plays the back end. What was started is stopped at exit, by process id.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
. "$(dirname "${BASH_SOURCE[0]}")/netguest.sh"

: "${RINGBACK_BUILD:?names the build directory}" "${SIMXEN_DIR:?is set by simhost run}"
PATH=$RINGBACK_BUILD/sim/guest:$RINGBACK_BUILD/tests/sim/netfront:$PATH

readonly WORK=$SIMXEN_DIR/test
reflector_pid=

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
