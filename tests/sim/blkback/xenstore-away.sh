#!/bin/bash
# SPDX-License-Identifier: MIT
# While the connection to xenstored is cut workers and supervisors are killed: guests are served on before it is back, by successors that stay.
# What was removed or destroyed meanwhile is cleared up then, and what is made anew is served.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3

cut_off() {
    kill -USR1 "$proxy"
    wait_until "$LIMIT_DAEMON" "the daemon to miss xenstored" disk_is "$steady/xvda" .state Unknown
}

# still_cut: for what was seen since to mean anything.
still_cut() {
    disk_is "$steady/xvda" .state Unknown || fail "the connection is back too early"
}

let_in() {
    kill -USR2 "$proxy"
    wait_until "$LIMIT_DAEMON" "the daemon to find the disk in xenstore" disk_is "$steady/xvda" .state Connected
}

# replaced_under DOMID DISK...: kills the guest's worker, whose successor must serve more of each disk.
replaced_under() {
    local domid=$1 old disk
    shift
    old=$(disk_field "$domid/$1" .worker.pid)
    kill -KILL "$old"
    for disk; do
        wait_until "$LIMIT_RECOVERY" "a successor to serve $disk without xenstore" worker_replaced "$domid/$disk" "$old"
        wait_until "$LIMIT_REQUEST" "more requests of $disk to be served" has_served "$domid/$disk" "$(disk_field "$domid/$disk" .requests.read)"
    done
}

# A guest whose program is stopped leaves its disk connected and idle.
idle_guest() {
    domain=$(simxen create)
    disk_attach "$domain" xvda ram:4M
    guest_start "$domain" blk --time 0 --blank "$XVDA"
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 10
    kill -STOP "$started"
}

nothing_left_of() {
    [ -z "$(find "$RUN/blkback" "$WORK/ram" -mindepth 1 -path "*/$1-*")" ]
}

mkdir -p "$WORK"
python3 "$(dirname "$0")/../../lib/proxy.py" "$WORK/store" "$SIMXEN_DIR/socket" &
proxy=$!
guest_pids+=("$proxy") # ended at exit like them
wait_until "$LIMIT_DAEMON" "the proxy" env XENSTORED_PATH="$WORK/store" xenstore-exists /
XENSTORED_PATH=$WORK/store daemon_start
steady=$(simxen create)
truncate -s 16M "$WORK/disk.img"
disk_attach "$steady" xvda "raw:$WORK/disk.img"
disk_attach "$steady" xvdb ram:16M
guest_start "$steady" blk --time 0 --blank --verify-all "$XVDA" "$XVDB"
user=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$steady/xvda" 100

say "workers die, under this supervisor and one that has only begun"
for start in none KILL; do
    if [ "$start" != none ]; then
        daemon_end "$start"
        XENSTORED_PATH=$WORK/store daemon_start
    fi
    cut_off
    for _ in 1 2 3; do
        replaced_under "$steady" xvda xvdb
    done
    still_cut
    served_by=$(worker_pids)
    let_in
    expect "the worker that serves since" "$served_by" "$(worker_pids)"
    replaced_under "$steady" xvda xvdb
done

say "the supervisor dies, and both"
cut_off
for start in KILL TERM; do
    served_by=$(worker_pids)
    daemon_end "$start"
    XENSTORED_PATH=$WORK/store daemon_start
    for disk in xvda xvdb; do
        wait_until "$LIMIT_RECOVERY" "the next supervisor to serve $disk" disk_is "$steady/$disk" .activity connected
    done
    expect "the worker that serves" "$served_by" "$(worker_pids)"
    replaced_under "$steady" xvda xvdb
    served_by=$(worker_pids)
    daemon_end "$start"
    kill -KILL "$served_by"
    XENSTORED_PATH=$WORK/store daemon_start
    for disk in xvda xvdb; do
        wait_until "$LIMIT_RECOVERY" "a successor to serve $disk" worker_replaced "$steady/$disk" "$served_by"
        wait_until "$LIMIT_REQUEST" "more requests of $disk to be served" has_served "$steady/$disk" "$(disk_field "$steady/$disk" .requests.read)"
    done
done
still_cut
served_by=$(worker_pids)
let_in
expect "the worker that serves since" "$served_by" "$(worker_pids)"

say "a disk is removed, a guest destroyed, a disk made anew, one fails"
idle_guest
removed=$domain
disk_attach "$removed" xvdb ram:4M # prepared, and never connected
idle_guest
destroyed=$domain
idle_guest
renewed=$domain
renewed_user=$started
idle_guest
failed=$domain
cut_off
kill -STOP "$daemon_pid"
rm "$RUN/blkback/$failed"-*/"$XVDA/journal"
mapfile -t workers < <(worker_pids)
kill -KILL "${workers[@]}"
xenstore-rm "/local/domain/0/backend/vbd/$removed"
xenstore-rm "/local/domain/$removed/device/vbd"
simxen destroy "$destroyed" --abrupt
xenstore-rm "/local/domain/0/backend/vbd/$renewed/$XVDA"
xenstore-rm "/local/domain/$renewed/device/vbd/$XVDA"
toolstack_attach vbd "$renewed" "$XVDA" params ram:4M
kill -CONT "$daemon_pid"
for disk in xvda xvdb; do
    wait_until "$LIMIT_REQUEST" "more requests of $disk to be served" has_served "$steady/$disk" "$(disk_field "$steady/$disk" .requests.read)"
done
still_cut
let_in
for domain in "$removed" "$destroyed"; do
    wait_until "$LIMIT_DAEMON" "everything to go with domain $domain" nothing_left_of "$domain"
done
fails_with_reason() { [[ "$(xenstore-read "/local/domain/0/backend/vbd/$failed/$XVDA/error")" = *"journal is missing or damaged"* ]]; }
wait_until "$LIMIT_DAEMON" "the reason of the disk that failed" fails_with_reason
wait_until "$LIMIT_DAEMON" "the disk that failed to be closed" state_is "$failed" "$XVDA" 6
simxen destroy "$failed"
kill -KILL "$renewed_user"
guest "$renewed" blk --requests 200 --blank "$XVDA" # nothing of the disk that was removed
simxen destroy "$renewed"
wait_until "$LIMIT_DAEMON" "everything to go with domain $renewed" nothing_left_of "$renewed"

guest_stop "$user"
for disk in xvda xvdb; do
    disk_detach "$steady" "$disk"
done
wait_until "$LIMIT_DAEMON" "everything to go with the last disk" nothing_left_of "$steady"
