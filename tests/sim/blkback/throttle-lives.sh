#!/bin/bash
# SPDX-License-Identifier: MIT
# A limit outlives workers and daemons: who comes next keeps to it, and to what was said while nobody listened. A disk that is held back by its limit
# is drained, let go of and destroyed as any other.
. "$(dirname "$0")/../../lib/blkback.sh"
# What holds for this long does not let a second request pass: each worker begins with credit for one.
readonly LONG="--bandwidth=1"
readonly PATIENT=600 # seconds a guest waits for an answer

requests() { disk_field "$domain/xvda" '.requests | add'; }
is_held() { disk_is "$domain/xvda" '(.queues[0] | .req_prod - .req_cons >= 8) and .ring.in_flight == 0 and .activity == "connected"' true; }

# held_with COUNT: that many requests were served, and no more.
held_with() {
    passed() { [ "$(requests)" -eq "$1" ] && is_held; }
    wait_until "$LIMIT_REQUEST" "$1 requests to pass, and the guest to be held" passed "$1"
    sleep 0.3
    expect "requests that passed" "$1" "$(requests)"
}

throttle() {
    control throttle "$domain/xvda" "$@"
}

need python3
mkdir -p "$WORK"
python3 "$(dirname "$0")/../../lib/proxy.py" "$WORK/store" "$SIMXEN_DIR/socket" &
proxy=$!
guest_pids+=("$proxy") # ended at exit like them
wait_until "$LIMIT_DAEMON" "the proxy" env XENSTORED_PATH="$WORK/store" xenstore-exists /
start() { XENSTORED_PATH=$WORK/store daemon_start; }

start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
disk_attach "$domain" xvdb ram:16M
throttle $LONG
guest_start "$domain" blk --limit "$PATIENT" --requests 300 --depth 16 --size 44K-44K --read 0 --flush 0 --blank --verify-all "$XVDA"
user=$started
held_with 1

for served in 2 3 4; do
    worker=$(disk_field "$domain/xvda" .worker.pid)
    kill -KILL "$worker"
    wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$domain/xvda" "$worker"
    held_with $served
done
guest "$domain" blk --requests 100 --blank --verify-all "$XVDB" # another disk of the same guest is not held

# Adopted; the worker goes on as it was told.
daemon_end KILL
start
wait_until "$LIMIT_RECOVERY" "the disk to be adopted" disk_is "$domain/xvda" .worker.origin adopted
held_with 4
expect "limit" 1 "$(disk_field "$domain/xvda" .throttle.bps_total)"

# Replaced by plan: it drains at once, with requests on the ring.
daemon_end TERM
daemon_of newer
start
wait_until "$LIMIT_RECOVERY" "the worker to be replaced" disk_is "$domain/xvda" .worker.version 0.1.1
held_with 5
expect "what was executed again" 0 "$(disk_field "$domain/xvda" .replayed)"

# With xenstore away, the limit that was recorded holds for a new daemon's new worker.
kill -USR1 "$proxy"
wait_until "$LIMIT_DAEMON" "the daemon to miss xenstored" disk_is "$domain/xvda" .state Unknown
daemon_end KILL
worker=$(worker_pids)
kill -KILL "$worker"
wait_until "$LIMIT_DAEMON" "the worker to end" dead "$worker"
start
recovered() { disk_is "$domain/xvda" .activity connected && [ "$(worker_pids)" != "$worker" ]; }
wait_until "$LIMIT_RECOVERY" "a successor" recovered
held_with 6
disk_is "$domain/xvda" .state Unknown || fail "the connection is back too early"
kill -USR2 "$proxy"
wait_until "$LIMIT_DAEMON" "the daemon to find the disk in xenstore" disk_is "$domain/xvda" .state Connected
held_with 6

# Changed while there is no daemon: the next one tells the worker, also one that it hears of late.
worker=$(worker_pids)
daemon_end KILL
xenstore-write "/local/domain/0/backend/vbd/$domain/$XVDA/throttle/bps-total" 0
kill -STOP "$worker"
start
wait_until "$LIMIT_DAEMON" "the daemon to wait for the worker" disk_is "$domain/xvda" '"\(.activity) \(.throttle.bps_total)"' "adopting null"
kill -CONT "$worker"
let_go() { [ "$(requests)" -gt 20 ]; }
wait_until "$LIMIT_REQUEST" "the guest to be let go" let_go
guest_finish "$user"
expect "errors" 0 "$(disk_field "$domain/xvda" '.errors | add')"

# Closed by its front end, which begins anew, and destroyed, in the middle of being held.
throttle $LONG
connections() { grep -c "vbd $domain/$XVDA: connected:" "$DAEMON_LOG"; }
before=$(connections)
guest_start "$domain" blk --limit "$PATIENT" --time 4 --depth 16 --reconnect 1 "$XVDA"
second_life() { [ "$(connections)" -eq $((before + 2)) ] && is_held; }
wait_until "$LIMIT_REQUEST" "the guest's second life to be held" second_life
throttle none
guest_finish "$started"
throttle $LONG
guest_start "$domain" blk --limit "$PATIENT" --time 0 --depth 16 "$XVDA"
wait_until "$LIMIT_REQUEST" "the guest to be held" is_held
kill -KILL "$started"
wait "$started" 2>/dev/null || true
simxen destroy "$domain"
gone() { ! compgen -G "$RUN/blkback/$domain-*" && ! compgen -G "$WORK/ram/$domain-*"; }
wait_until "$LIMIT_ATTACH" "everything of the guest to be gone" gone
