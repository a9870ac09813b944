#!/bin/bash
# SPDX-License-Identifier: MIT
# The connection to xenstored is cut, twice: guests are served on, and everything works again when xenstored is back.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3

proxy_start() {
    python3 "$(dirname "$0")/../../lib/proxy.py" "$WORK/store" "$SIMXEN_DIR/socket" &
    proxy=$!
    guest_pids+=("$proxy") # ended at exit like them
    wait_until "$LIMIT_DAEMON" "the proxy" env XENSTORED_PATH="$WORK/store" xenstore-exists /
}

no_devices() {
    [ "$(control list --json | jq '.devices | length')" = 0 ]
}

mkdir -p "$WORK"
proxy_start
XENSTORED_PATH=$WORK/store daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
for _ in 1 2; do
    kill -KILL "$proxy"
    wait "$proxy" 2>/dev/null || true
    wait_until "$LIMIT_DAEMON" "the daemon to notice" no_devices
    proxy_start
    wait_until "$LIMIT_RECOVERY" "the disk to be served by the daemon's worker" disk_is "$domain/xvda" .activity connected
    wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
done
guest_stop "$started"
disk_detach "$domain" xvda
no_dead_children() {
    ! cat /proc/[0-9]*/stat 2>/dev/null | grep -q "^[0-9]* (blkbackd-worker) Z $daemon_pid "
}
wait_until "$LIMIT_DAEMON" "the daemon to reap its workers" no_dead_children
