#!/bin/bash
# SPDX-License-Identifier: MIT
# A worker holds more disks than its channel has room to tell of: a supervisor that is slow to listen is told of each, and so is the next one. That one may have
# something to say of each while the worker does not listen.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3
disks=120 # a channel of the default size holds some ninety messages

# slow_supervisor: is told by the guest's worker what it holds, and listens late. Prints how many disks that is.
slow_supervisor() {
    cd "$(echo "$RUN/blkback/$domain"-*)" || exit 1
    python3 - <<'END'
import os, socket, struct, time

HELD, HELD_ALL, ORDER_AT, ADOPT = 8, 9, 12, 2
channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
channel.connect("channel")
greeting = bytearray(channel.recv(4096))
struct.pack_into("=I", greeting, ORDER_AT, ADOPT)
channel.send(greeting)
time.sleep(1)
held = set()
while True:
    message, fds = socket.recv_fds(channel, 65536, 4)[:2]
    for fd in fds:
        os.close(fd)
    kind, devid = struct.unpack_from("=II", message, 4)
    if kind != HELD:
        break
    held.add(devid)
print(len(held) if kind == HELD_ALL else f"{len(held)}, then a message of type {kind}")
END
}

all_connected() { [ "$(control list --json | jq '[.devices[] | select(.activity == "connected")] | length')" = "$1" ]; }

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
user=$started
connected=1
while [ "$connected" -le "$disks" ]; do
    devids=()
    for ((i = 0; i < 40; i++)); do # xenstored allows a guest so many watches that no more can be waited for at a time
        devids[i]=$(((1 << 28) | (16 + connected + i) << 8)) # as xvdq and so on
        disk_attach "$domain" "${devids[i]}" ram:64K
    done
    guest_start "$domain" blk --requests 1 --blank --hold "${devids[@]}"
    connected=$((connected + 40))
    wait_until "$LIMIT_REQUEST" "$connected disks to be connected" all_connected "$connected"
    kill -KILL "$started" # its disks stay as they are
    for devid in "${devids[@]}"; do # xenstored allows a guest so many nodes; these are not read again
        for key in ring-ref event-channel protocol feature-persistent; do
            xenstore-rm "/local/domain/$domain/device/vbd/$devid/$key"
        done
    done
done
worker=$(worker_pids)
daemon_end KILL
expect "disks that a slow supervisor is told of" "$connected" "$(slow_supervisor)"
daemon_start
wait_until "$LIMIT_RECOVERY" "all disks to be taken over" all_connected "$connected"
expect "the worker" "$worker" "$(worker_pids)"
expect "disks served on" "$connected" "$(grep -c "served on by worker $worker" "$DAEMON_LOG")"
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
kill -STOP "$worker"
for devid in $(control list --json | jq '.devices[].devid'); do
    control throttle "$domain/$devid" --iops=1000000 >>"$WORK/said"
done
kill -CONT "$worker"
wait_until "$LIMIT_REQUEST" "requests to be served then" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
expect "the worker that did not listen for a while" "$worker" "$(worker_pids)"
guest_stop "$user"
