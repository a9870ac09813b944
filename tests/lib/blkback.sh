# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# What tests of blkbackd on the simulator share. Sourced by scripts that `simhost run` starts, with RINGBACK_BUILD naming the build.
FAMILY=blkback
. "$(dirname "${BASH_SOURCE[0]}")/daemon.sh"

readonly XVDA=51712 XVDB=51728

# ---- The daemon. ---------------------------------------------------------------------------------------------------------

# daemon_start_with OPTION...: beside those that keep it private.
daemon_start_with() {
    daemon_launch --ram-dir="$WORK/ram" "$@"
}

daemon_start() {
    daemon_start_with --log-level=info
}

# kept_control COMMAND ARGUMENT...: attach or detach, said again when no daemon was there to be told.
kept_control() {
    local command=$1 status deadline=$((SECONDS + LIMIT_DAEMON + 1))
    shift
    while [ "$SECONDS" -lt "$deadline" ]; do
        status=0
        control "$command" --timeout="$LIMIT_ATTACH" "$@" >"$WORK/said" 2>&1 || status=$?
        [ "$status" -eq 3 ] || break
        sleep 0.02
    done
    [ "$status" -eq 0 ] || fail "$command $*: $(cat "$WORK/said")"
}

# ---- Domains and disks. ----------------------------------------------------------------------------------------------------

disk_attach() {
    local domid=$1 dev=$2 spec=$3
    shift 3
    control attach --timeout="$LIMIT_ATTACH" "$@" disk "$domid" "$dev" "$spec" >/dev/null
}

disk_detach() {
    control detach --timeout="$LIMIT_ATTACH" "$1/$2" >/dev/null
}

# disk_refused DOMID DEV SPEC REASON...: the attach must fail, for a reason that holds each of the words.
disk_refused() {
    local domid=$1 dev=$2 spec=$3 said word
    shift 3
    if said=$(control attach --timeout="$LIMIT_ATTACH" disk "$domid" "$dev" "$spec" 2>&1); then
        fail "$spec was attached"
    fi
    for word in "$@"; do
        [[ $said == *"$word"* ]] || fail "$spec was refused, but not for '$word': $said"
    done
    say "refused: $said"
}

# disk_field DOMID/DEV FILTER: one value of what ringctl shows.
disk_field() {
    control show --json "$1" | jq -r "$2"
}

disk_is() {
    [ "$(disk_field "$1" "$2" 2>/dev/null)" = "$3" ]
}

# worker_replaced DOMID/DEV OLD: whether another worker than process OLD serves the disk.
worker_replaced() {
    local now
    now=$(disk_field "$1" 'select(.activity == "connected") | .worker.pid // empty')
    [ -n "$now" ] && [ "$now" != "$2" ]
}

# toolstack_attach KIND DOMID DEVID [KEY VALUE]...: writes the nodes of a device as a toolstack does, with these keys in the back end's.
toolstack_attach() {
    local back=/local/domain/0/backend/$1/$2/$3 front=/local/domain/$2/device/vbd/$3 domid=$2
    xenstore-write "$front/backend" "$back" "$front/backend-id" 0 "$front/state" 1 "$front/virtual-device" "$3" "$front/device-type" disk
    xenstore-chmod -r "$front" "n$domid" r0
    xenstore-write "$back/frontend" "$front" "$back/frontend-id" "$domid" "$back/dev" xvda "$back/device-type" disk "$back/mode" w
    shift 3
    while [ $# -gt 0 ]; do
        xenstore-write "$back/$1" "$2"
        shift 2
    done
    xenstore-chmod -r "$back" n0 "r$domid"
    xenstore-write "$back/online" 1 "$back/state" 1
}

# state_is DOMID DEVID STATE: of the back end, in xenstore.
state_is() {
    [ "$(xenstore-read "/local/domain/0/backend/vbd/$1/$2/state" 2>/dev/null)" = "$3" ]
}

# ---- Guests. ----------------------------------------------------------------------------------------------------------------

# guest DOMID COMMAND...: a command of simguest, as that domain.
guest() {
    local domid=$1 command=$2
    shift 2
    simxen exec "$domid" simguest "$command" --limit "$LIMIT_REQUEST" "$@"
}

# guest_start DOMID COMMAND...: the same in the background; its process is $started, its output $WORK/guest.$started.
guest_start() {
    local domid=$1 command=$2 log
    shift 2
    log=$(mktemp "$WORK/guest.XXXXXX")
    simxen exec "$domid" simguest "$command" --limit "$LIMIT_REQUEST" "$@" >"$log" 2>&1 &
    started=$!
    ln -s "$log" "$WORK/guest.$started"
    guest_pids+=("$started")
}

# guest_finish PID: the guest must end well.
guest_finish() {
    local status=0
    wait "$1" || status=$?
    cat "$WORK/guest.$1"
    [ "$status" -eq 0 ] || fail "the guest's exit status is $status"
}

# guest_stop PID: asks it to stop, verify and end.
guest_stop() {
    kill -TERM "$1"
    guest_finish "$1"
}

# has_served DOMID/DEV COUNT: whether more than so many reads were served.
has_served() {
    [ "$(disk_field "$1" .requests.read)" -gt "$2" ]
}

# ---- What is held. ----------------------------------------------------------------------------------------------------------

# held: everything that can be left over, one count a line.
held() {
    say "descriptors of the daemon: $(descriptors "$daemon_pid")"
    say "processes of the daemon: $(children "$daemon_pid")"
    say "watches: $(watches)"
    say "nodes: $(nodes)"
    say "files: $(find "$RUN" "$WORK/ram" -not -name restarts | wc -l)"
    simxen list
}

# What may grow, but not with the number of things that came and went: a line for each process, its name, kB, mappings, descriptors. The
# simulator's processes keep descriptors of those that they once told of something; its broker is shown and not judged.
sizes() {
    local name pid
    for name in "daemon:$daemon_pid" "worker:$(worker_pids | head -n 1)" "broker:$(cat "$SIMXEN_DIR/broker.pid")" \
        "xenstored:$(cat "$SIMXEN_DIR/xenstored.pid")"; do
        pid=${name#*:}
        say "${name%:*} $(resident_kb "$pid") $(mappings "$pid") $(descriptors "$pid")"
    done
}

# sizes_flat BEFORE AFTER: two files with sizes. ThreadSanitizer keeps something of every thread that ever was, and libxenstore has a new one with
# every connection: only descriptors are judged then.
sizes_flat() {
    local shadowed
    shadowed=$(grep -c __tsan_init "/proc/$daemon_pid/exe" || true)
    paste -d ' ' "$1" "$2" | awk -v shadowed="$shadowed" '
        { printf "%s: %d kB, then %d; %d mappings, then %d; %d descriptors, then %d\n", $1, $2, $6, $3, $7, $4, $8 }
        $1 != "broker" && (!shadowed && ($6 > $2 + 2048 || $7 > $3 + 16) || $8 > $4 + 16) { bad = 1 }
        END { exit bad }' || fail "something grows"
}

# ---- Deaths. -------------------------------------------------------------------------------------------------------------------

has_restarted() {
    [ "$(disk_field "$domain/xvda" .worker.restarts)" -gt "$1" ] && disk_is "$domain/xvda" .activity connected
}

# dies_at RULE: the worker of $domain, whose disk is xvda, dies at that call, and its successors as often as RULE says more; the fault stays (simxen fault).
dies_at() {
    local before
    before=$(disk_field "$domain/xvda" .worker.restarts)
    simxen fault "$domain" "$1"
    wait_until "$LIMIT_RECOVERY" "a successor after $1" has_restarted "$((before + $(tr -cd , <<<"$1" | wc -c)))"
}

# random_kills COUNT: of workers, supervisors, and both; RINGBACK_KILLS says how many instead, RINGBACK_SEED makes them those of another run.
random_kills() {
    local kills=${RINGBACK_KILLS:-$1} seed=${RINGBACK_SEED:-$RANDOM}
    say "seed $seed, $kills kills"
    "$LIB/kills.py" blkback "$RUN" "$seed" worker=$((kills * 8 / 10)) supervisor=$((kills / 10)) both=$((kills / 10))
}

# ---- The end. ---------------------------------------------------------------------------------------------------------------

end_daemons() {
    [ -n "$keeper_pid" ] && daemon_unkeep
    [ -n "$daemon_pid" ] && kill -TERM "$daemon_pid" 2>/dev/null && wait "$daemon_pid" 2>/dev/null
}
trap end EXIT
