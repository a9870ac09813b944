#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk is removed and made anew with another image while no supervisor runs. The next one has begun to find out what the worker
# holds when the connection to xenstored is cut and the worker dies: nothing of the former disk's requests gets onto the new image.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3

no_connection() {
    grep -c "xenstore: no connection" "$DAEMON_LOG" || true
}

# wait_tries COUNT: so many times more the daemon must try to connect in vain.
wait_tries() {
    local wanted=$(($(no_connection) + $1))
    enough_tries() { [ "$(no_connection)" -ge "$wanted" ]; }
    wait_until "$LIMIT_DAEMON" "the daemon to look for xenstored" enough_tries
}

is_blank() {
    cmp "$WORK/new.img" "$WORK/blank.img" || fail "the new image was written, $1"
}

mkdir -p "$WORK"
python3 "$(dirname "$0")/../../lib/proxy.py" "$WORK/store" "$SIMXEN_DIR/socket" &
proxy=$!
guest_pids+=("$proxy") # ended at exit like them
wait_until "$LIMIT_DAEMON" "the proxy" env XENSTORED_PATH="$WORK/store" xenstore-exists /
XENSTORED_PATH=$WORK/store daemon_start
for image in old new blank; do
    truncate -s 16M "$WORK/$image.img"
done
domain=$(simxen create)
disk_attach "$domain" xvda "raw:$WORK/old.img"
guest_start "$domain" blk --time 0 --blank "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
worker=$(worker_pids)
kill -STOP "$worker" # with requests, for the guest never waits
daemon_end KILL
kill -STOP "$started"
xenstore-rm "/local/domain/0/backend/vbd/$domain/$XVDA"
xenstore-rm "/local/domain/$domain/device/vbd/$XVDA"
toolstack_attach vbd "$domain" "$XVDA" params "raw:$WORK/new.img"

XENSTORED_PATH=$WORK/store daemon_start
wait_until "$LIMIT_DAEMON" "the disk to wait for the worker" disk_is "$domain/xvda" .activity adopting
kill -USR1 "$proxy"
wait_until "$LIMIT_DAEMON" "the daemon to miss xenstored" disk_is "$domain/xvda" .state Unknown
wait_tries 2
kill -KILL "$worker"
succeeded() { [ -n "$(worker_pids)" ] && [ "$(worker_pids)" != "$worker" ]; }
wait_until "$LIMIT_RECOVERY" "a successor" succeeded
wait_tries 2
is_blank "without xenstore"
expect "what the disk does without xenstore" idle "$(disk_field "$domain/xvda" .activity)"

kill -USR2 "$proxy"
wait_until "$LIMIT_DAEMON" "the new disk to be offered" state_is "$domain" "$XVDA" 2
is_blank "with the worker's successor"
kill -KILL "$started"
guest "$domain" blk --requests 200 --blank "$XVDA"
disk_detach "$domain" xvda
nothing_left() { [ -z "$(find "$RUN/blkback" "$WORK/ram" -mindepth 1)" ]; }
wait_until "$LIMIT_DAEMON" "everything to go with the disk" nothing_left
