# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What ends our processes, for the cases in which the guest must not notice. The case that sources this, after lib.sh, sets
#
#   daemon               blkbackd or netbackd
#   served               a function: all that the guest has of it is connected
#   observed FIELD       a function: what ringctl tells of one of its devices
#
# and finds how often each is to happen in the variables of /bed/counts.
# shellcheck disable=SC1091 # written by tests/xen/run
. /bed/counts
daemon=

# event KIND COMMAND...: does it, at a random moment, and waits until all is served; the time is kept for the pauses.
event() {
    local kind=$1
    shift
    sleep "$((RANDOM % 2)).$((RANDOM % 10))"
    step "$kind: $*"
    echo "$(date +%s%3N) $kind" >>"$CASE/events"
    "$@"
    await "$daemon to serve after $kind" 60 served
}

# times COUNT KIND COMMAND...
times() {
    local count=$1 round
    shift
    for ((round = 1; round <= count; round++)); do
        event "$@"
    done
}

other_worker() { # than PID
    local pid
    pid=$(observed .worker.pid) && [ "$pid" != null ] && [ "$pid" != "$1" ]
}

kill_worker() {
    local pid
    pid=$(observed .worker.pid)
    kill -KILL "$pid"
    await "another worker than $pid" 60 other_worker "$pid"
}

kill_supervisor() {
    kill -KILL "$(systemctl show -P MainPID "$daemon.service")"
}

kill_both() {
    local pid
    pid=$(observed .worker.pid)
    kill -KILL "$(systemctl show -P MainPID "$daemon.service")" "$pid"
    await "another worker than $pid" 60 other_worker "$pid"
}

# To the newer package and back, by turns.
packages=(/bed/newer/ringback_*.deb /bed/deb/ringback_*.deb)
[ -e "${packages[0]}" ] || fail "there is no newer package: scripts/package --version 0.1.1 build/packages-newer"
turn=0
upgrade() {
    dpkg --install "${packages[turn++ % 2]}"
    await "the worker to be of the version installed" 120 version_is "$(dpkg-query -W -f '${Version}' ringback)"
}

version_is() { [ "$(observed .worker.version)" = "$1" ]; }

stop_start() {
    systemctl stop "$daemon.service"
    sleep 3
    systemctl start "$daemon.service"
}

# Debian's is the one in OCaml; it becomes a process image of its own program again, under everybody's connections.
live_update() {
    local pid stack
    pid=$(pgrep -x 'o?xenstored')
    stack=$(grep '\[stack\]' "/proc/$pid/maps")
    xenstore-control live-update "$(readlink "/proc/$pid/exe")"
    [ "$(grep '\[stack\]' "/proc/$pid/maps")" != "$stack" ] || fail "xenstored is what it was"
    [ "$(xenstore-read "/local/domain/$(guest_id g1)/name")" = g1 ] || fail "xenstored has forgotten the guest"
}

# everything: each of them, as often as /bed/counts says.
everything() {
    times "$RELOADS" reload systemctl reload "$daemon.service"
    times "$STORE_UPDATES" live-update live_update
    times "$WORKER_KILLS" worker-kill kill_worker
    times "$SUPERVISOR_KILLS" supervisor-kill kill_supervisor
    times "$BOTH_KILLS" both-kill kill_both
    times "$STOPS" stop-start stop_start
    times "$UPGRADES" upgrade upgrade
    [ $((turn % 2)) -eq 0 ] || event downgrade upgrade
}

# pauses FILE: of waits, "WHEN LENGTH" in milliseconds, one line PAUSE a kind of event. Each wait belongs to the last event before its end; an event's
# pause is the longest of its waits.
pauses() {
    awk 'NR == FNR { time[++events] = $1; kind[events] = $2; next }
        { while (at < events && time[at + 1] <= $1) at++; if ($2 > worst[at + 0]) worst[at + 0] = $2 }
        END { kind[0] = "none"; for (i = 0; i <= events; i++) print kind[i], int(worst[i]) }' "$CASE/events" "$1" |
        sort -k 1,1 -k 2,2n >"$CASE/pauses"
    awk '{ pause[$1, ++count[$1]] = $2 }
        END { for (kind in count) printf "PAUSE %s: %d times, median %d ms, worst %d ms\n",
            kind, count[kind], pause[kind, int((count[kind] + 1) / 2)], pause[kind, count[kind]] }' "$CASE/pauses"
}
