#!/bin/bash
# SPDX-License-Identifier: MIT
# The connection to xenstored is cut again and again, at random and for random times, while disks and guests come and go: guests are served on,
# every attach and detach and every guest's end is completed, and nothing is left over. RINGBACK_CUTS says how often (the soak tier: more).
. "$(dirname "$0")/../../lib/blkback.sh"
need python3
cuts=${RINGBACK_CUTS:-10}
seed=${RINGBACK_SEED:-$RANDOM}
RANDOM=$seed

# A disk is attached, used and detached, and a guest is destroyed under load.
come_and_go() {
    local dying
    disk_attach "$coming" xvdb "raw:$WORK/disk.img"
    guest "$coming" blk --requests 200 --blank --state "$WORK/state" "$XVDB" >"$WORK/coming"
    disk_detach "$coming" xvdb
    dying=$(simxen create)
    disk_attach "$dying" xvda ram:4M
    guest "$dying" blk --time 0 "$XVDA" >/dev/null 2>&1 &
    sleep "0.$((RANDOM % 10))"
    simxen destroy "$dying" --abrupt
    wait $! || true
}

comings_and_goings() {
    local round
    for ((round = 0; ; round++)); do
        [ ! -e "$WORK/stop" ] || break
        come_and_go
    done
    say "$round disks attached and detached, as many guests destroyed"
}

cut_connection() {
    kill -USR1 "$proxy"
    sleep "0.$((RANDOM % 5))"
    kill -USR2 "$proxy"
    sleep "$((RANDOM % 2)).$((RANDOM % 10))"
}

is_settled() {
    disk_is "$steady/xvda" .activity connected && [ "$(control list --json | jq '.devices | length')" = 1 ] && [ "$(held)" = "$before" ]
}

# A sanitizer keeps what was freed, to see its use: not here, where memory is looked at.
export ASAN_OPTIONS=quarantine_size_mb=0:thread_local_quarantine_size_kb=0
mkdir -p "$WORK"
python3 "$(dirname "$0")/../../lib/proxy.py" "$WORK/store" "$SIMXEN_DIR/socket" &
proxy=$!
guest_pids+=("$proxy") # ended at exit like them
wait_until "$LIMIT_DAEMON" "the proxy" env XENSTORED_PATH="$WORK/store" xenstore-exists /
XENSTORED_PATH=$WORK/store daemon_start
steady=$(simxen create)
coming=$(simxen create)
truncate -s 16M "$WORK/disk.img"
disk_attach "$steady" xvda ram:16M
guest_start "$steady" blk --time 0 --blank --verify-all "$XVDA"
steady_pid=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$steady/xvda" 100
for _ in 1 2 3; do # what everybody makes once is made
    come_and_go
done
sleep 0.5
before=$(held)
say "$before"
sizes >"$WORK/sizes.before"
comings_and_goings >"$WORK/comings.log" 2>&1 &
comings=$!
guest_pids+=("$comings")

say "seed $seed, $cuts cuts"
for ((each = 1; each <= cuts; each++)); do
    cut_connection
    alive "$comings" || fail "an attach or a detach failed after $each cuts"
    alive "$steady_pid" || { grep -n "vbd $steady/\|guest $steady:\|xenstore:" "$DAEMON_LOG" && fail "the guest lost its disk after $each cuts"; }
done
wait_until "$LIMIT_RECOVERY" "the disk to be served by the daemon's worker" disk_is "$steady/xvda" .activity connected
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$steady/xvda" "$(disk_field "$steady/xvda" .requests.read)"
touch "$WORK/stop"
wait "$comings" || fail "an attach or a detach failed"
tail -n 1 "$WORK/comings.log"
simguest check "$WORK/state.$XVDB" "$WORK/disk.img"
settled() { is_settled || { { held; ps -o pid,stat,etime,args --ppid "$daemon_pid"; } >"$WORK/held.log" && false; }; }
wait_until "$LIMIT_DAEMON" "all to be as before the first cut" settled
sizes >"$WORK/sizes.after"
sizes_flat "$WORK/sizes.before" "$WORK/sizes.after"
guest_stop "$steady_pid"
disk_detach "$steady" xvda
nothing_left() { [ -z "$(find "$RUN/blkback" "$WORK/ram" -mindepth 1)" ]; }
wait_until "$LIMIT_DAEMON" "everything to go with the last disk" nothing_left
