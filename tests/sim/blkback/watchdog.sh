#!/bin/bash
# SPDX-License-Identifier: MIT
# The service manager's watchdog is fed while xenstored answers, and not when the daemon waits for it in vain.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3

proxy_start() {
    python3 "$(dirname "$0")/../../lib/proxy.py" "$WORK/store" "$SIMXEN_DIR/socket" &
    proxy=$!
    guest_pids+=("$proxy") # ended at exit like them
    wait_until "$LIMIT_DAEMON" "the proxy" env XENSTORED_PATH="$WORK/store" xenstore-exists /
}

# The service manager: writes down what it is told.
manager_start() {
    python3 - "$WORK/notify" "$WORK/told" <<'END' &
import socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
with open(sys.argv[2], "wb", buffering=0) as told:
    while True:
        told.write(manager.recv(4096) + b"\n")
END
    guest_pids+=("$!")
    wait_until "$LIMIT_DAEMON" "the service manager" test -S "$WORK/notify"
}

fed() {
    grep -c '^WATCHDOG=1$' "$WORK/told"
}

fed_again() {
    local before=$1
    [ "$(fed)" -gt "$before" ]
}

mkdir -p "$WORK"
proxy_start
manager_start
XENSTORED_PATH=$WORK/store NOTIFY_SOCKET=$WORK/notify WATCHDOG_USEC=100000 daemon_start
wait_until "$LIMIT_DAEMON" "the watchdog to be fed" fed_again 5
kill -STOP "$proxy"
sleep 2 # what was under way arrives
before=$(fed)
sleep 2 # forty times it would be due
expect "times it was fed without an answer from xenstored" 0 $(($(fed) - before))
kill -CONT "$proxy"
wait_until "$LIMIT_DAEMON" "the watchdog to be fed again" fed_again "$before"
kill -KILL "$proxy"
wait "$proxy" 2>/dev/null || true
wait_until "$LIMIT_DAEMON" "the daemon to notice" grep -q "connection lost" "$DAEMON_LOG"
wait_until "$LIMIT_DAEMON" "the watchdog to be fed while xenstored is gone" fed_again "$(fed)"
