# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# What tests of blkbackd and of netbackd on the simulator share. Sourced by blkback.sh and netback.sh, which name one of the two in FAMILY,
# define end_daemons, which ends all that serves, and have end run at exit.
#
# Everything is private to the test: the host, the daemons' directories. What was started is stopped at exit, by process id. A test fails by its
# first command that fails, by fail, or by what a sanitizer wrote into a log.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

: "${RINGBACK_BUILD:?names the build directory}" "${SIMXEN_DIR:?is set by simhost run}"
PATH=$RINGBACK_BUILD/sim/guest:$RINGBACK_BUILD/tools/ringctl:$PATH

# Seconds after which something hangs. Far more than it ever takes: none is a measure of speed.
readonly LIMIT_DAEMON=30   # a daemon starts or stops
readonly LIMIT_ATTACH=30   # a device is attached or detached
readonly LIMIT_REQUEST=60  # a guest gets an answer
readonly LIMIT_RECOVERY=30 # a successor serves

readonly WORK=$SIMXEN_DIR/test
LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) # programs of tests
readonly LIB
RUN=$WORK/run
readonly DAEMON_LOG=$WORK/${FAMILY}d.log
logs=("$DAEMON_LOG") # of all daemons

daemon_pid=
keeper_pid= # of who starts it again
guest_pids=()
at_end=: # a command of the script's own, run at exit
crashes_expected= # not empty: workers may crash

mkdir -p "$WORK"

# ---- The daemon. ---------------------------------------------------------------------------------------------------------------

control() {
    local command=$1
    shift
    ringctl "$command" --socket="$RUN/${FAMILY}d.sock" "$@"
}

# daemon_of BUILD: from now on another version is started: newer (0.1.1), or foreign (0.2.0, with channel and journal of another version); own.
daemon_of() {
    daemon_program=$RINGBACK_BUILD/tests/sim/$FAMILY/$1/${FAMILY}d
    worker_program=$RINGBACK_BUILD/tests/sim/$FAMILY/$1/${FAMILY}d-worker
    if [ "$1" = own ]; then
        daemon_program=$RINGBACK_BUILD/daemons/$FAMILY/${FAMILY}d
        worker_program=$RINGBACK_BUILD/daemons/$FAMILY/worker/${FAMILY}d-worker
    fi
}
daemon_of own

# daemon_launch OPTION...: beside those that keep it private.
daemon_launch() {
    "$daemon_program" --config=/dev/null --run-dir="$RUN" --worker="$worker_program" "$@" </dev/null >>"$DAEMON_LOG" 2>&1 &
    daemon_pid=$!
    wait_until "$LIMIT_DAEMON" "${FAMILY}d to serve" control list
}

# keep NAME COMMAND...: as a service manager does it: started again whenever it ends, until unkeep. Its process is in $WORK/NAME.pid, who starts it is $keeper.
keep() {
    local name=$1
    shift
    keep_up "$name" "$@" 2>/dev/null & # who was killed is no news
    keeper=$!
}

keep_up() {
    local name=$1
    shift
    while [ ! -e "$WORK/$name.unkept" ]; do
        "$@" </dev/null >>"$WORK/$name.log" 2>&1 &
        echo $! >"$WORK/$name.pid"
        wait $! || sleep 0.02
    done
}

# unkeep NAME KEEPER: the last one ends in good order.
unkeep() {
    touch "$WORK/$1.unkept"
    kill -TERM "$(cat "$WORK/$1.pid")" 2>/dev/null || true
    wait "$2"
}

# daemon_keep OPTION...: keeps the daemon, with these options beside those that keep it private.
daemon_keep() {
    keep "${FAMILY}d" "$daemon_program" --config=/dev/null --run-dir="$RUN" --worker="$worker_program" "$@"
    keeper_pid=$keeper
    wait_until "$LIMIT_DAEMON" "${FAMILY}d to serve" control list
}

daemon_unkeep() {
    unkeep "${FAMILY}d" "$keeper_pid"
    keeper_pid=
}

# daemon_end SIGNAL: ends the daemon; its workers go on.
daemon_end() {
    kill -"$1" "$daemon_pid" 2>/dev/null || true
    wait_until "$LIMIT_DAEMON" "${FAMILY}d to end" dead "$daemon_pid"
    wait "$daemon_pid" 2>/dev/null || true
    daemon_pid=
}

# The processes of the workers that serve guests, one a line.
worker_pids() {
    local file
    for file in "$RUN/$FAMILY"/*/worker; do
        [ -e "$file" ] && cut -d' ' -f1 "$file"
    done
    return 0
}

# ---- The end. ------------------------------------------------------------------------------------------------------------------

end() {
    local status=$? pid
    set +e
    for pid in "${guest_pids[@]}"; do
        kill -KILL "$pid" 2>/dev/null
    done
    end_daemons
    for pid in $(worker_pids); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "${FAMILY}d-worker" ] && kill -KILL "$pid" 2>/dev/null
    done
    if grep -qE 'Sanitizer|runtime error:|assert' "${logs[@]}" 2>/dev/null; then
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
