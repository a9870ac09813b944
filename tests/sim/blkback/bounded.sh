#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest that misbehaves for long makes neither the daemon's memory nor its descriptors nor its log grow.
. "$(dirname "$0")/../../lib/blkback.sh"

misbehave() {
    guest "$domain" hostile --count "${RINGBACK_HOSTILE_COUNT:-5000}" "$XVDA" producer-past-ring ring-order ring-ref event-channel protocol \
        state-flood random-states event-storm
}

# A sanitizer keeps what was freed, to see its use: not here.
export ASAN_OPTIONS=quarantine_size_mb=0:thread_local_quarantine_size_kb=0
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
misbehave
worker=$(worker_pids)
for process in "$daemon_pid" "$worker"; do
    memory[process]=$(resident_kb "$process")
    files[process]=$(descriptors "$process")
done
log=$(stat -c %s "$DAEMON_LOG")
for _ in 1 2 3; do
    misbehave >/dev/null
done
expect "the worker" "$worker" "$(worker_pids)"
for process in "$daemon_pid" "$worker"; do
    now=$(resident_kb "$process")
    say "process $process: ${memory[process]} kB, then $now kB; ${files[process]} descriptors, then $(descriptors "$process")"
    [ "$now" -le $((memory[process] + 2048)) ] || fail "the memory of process $process grows"
    [ "$(descriptors "$process")" -le $((files[process] + 2)) ] || fail "the descriptors of process $process grow"
done
grown=$(($(stat -c %s "$DAEMON_LOG") - log))
say "the log grew by $grown bytes"
[ "$grown" -le 65536 ] || fail "the log grows"
