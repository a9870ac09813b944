#!/bin/bash
# SPDX-License-Identifier: MIT
# The supervisor is killed at random moments, at any step of preparing, connecting, recovering and disconnecting disks, while guests come and go:
# no guest notices more than a pause, and in the end nothing is left.
. "$(dirname "$0")/../../lib/blkback.sh"
kills=${RINGBACK_SUPERVISOR_KILLS:-25}
seed=${RINGBACK_SEED:-$RANDOM}
RANDOM=$seed
say "seed $seed, $kills kills"

# As systemd does: started again, until it stays. A dead one's socket may be open for a moment yet, in a worker that is just being started.
daemon_again() {
    until daemon_run && sleep 0.02 && alive "$daemon_pid"; do :; done
}

daemon_run() {
    "$daemon_program" --config=/dev/null --run-dir="$RUN" --ram-dir="$WORK/ram" --worker="$worker_program" \
        </dev/null >>"$DAEMON_LOG" 2>&1 &
    daemon_pid=$!
}

daemon_start
steady=$(simxen create)
coming=$(simxen create)
disk_attach "$steady" xvda ram:16M
disk_attach "$steady" xvdb ram:16M
disk_attach "$coming" xvda ram:16M
guest_start "$steady" blk --time 0 --blank --verify-all "$XVDA" "$XVDB"
steady_pid=$started
# One life after the other of a front end, each connecting and disconnecting, until told to stop.
lives() {
    local life
    for ((life = 0; ; life++)); do
        [ ! -e "$WORK/stop" ] || break
        guest "$coming" blk --requests 200 "$XVDA" >"$WORK/life" || break
    done
    cat "$WORK/life"
    echo "$life lives"
    [ -e "$WORK/stop" ]
}
lives &
lives_pid=$!
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$steady/xvda" 100

for _ in $(seq "$kills"); do
    sleep "0.$(printf '%03d' $((RANDOM % 400)))"
    kill -KILL "$daemon_pid" 2>/dev/null || true
    wait "$daemon_pid" 2>/dev/null || true
    daemon_again
done
sleep 0.2
alive "$daemon_pid" || daemon_again
wait_until "$LIMIT_RECOVERY" "the disk to be served" disk_is "$steady/xvda" .activity connected
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$steady/xvda" "$(disk_field "$steady/xvda" .requests.read)"
guest_stop "$steady_pid"
touch "$WORK/stop"
wait "$lives_pid" || fail "a life of the other guest ended badly"
disk_detach "$steady" xvda
disk_detach "$steady" xvdb
disk_detach "$coming" xvda
nothing_left() { [ -z "$(find "$RUN/blkback" "$WORK/ram" -mindepth 1)" ]; }
wait_until "$LIMIT_DAEMON" "everything to go with the last disk" nothing_left
