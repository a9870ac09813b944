#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest goes on when its back end is killed and another takes its rings over, again and again: frames are lost meanwhile or come twice, nothing else,
# and a stream arrives whole.
. "$(dirname "$0")/../../lib/netfront.sh"
mkdir -p "$WORK/journals"
reflector_start --hub --keep "$WORK/journals"
guest_new
near=$domain
guest_new
net_start "$domain" up --address 10.0.0.2 --lossy --queues 2 0
up=$started
net_start "$near" frames --one-way --lossy --time 3600 --rate 500 0
frames=$started
guest_new
net_start "$domain" tcp --address 10.0.0.3 --bytes 64M 0 10.0.0.2
stream=$started
for _ in 1 2 3 4 5 6 7 8; do
    sleep 0.$((RANDOM % 3 + 1))
    kill -KILL "$reflector_pid"
    wait "$reflector_pid" 2>/dev/null || true
    reflector_start --hub --keep "$WORK/journals"
done
net_finish "$stream"
net_stop "$frames"
net_stop "$up"
reflector_stop
