#!/bin/bash
# SPDX-License-Identifier: MIT
# A version with another channel and another journal takes over, and the old one again: the workers are drained, not guessed at. Nothing is executed
# again. A supervisor that is killed while it drains leaves a worker that serves on.
. "$(dirname "$0")/../../lib/blkback.sh"
version_is() {
    disk_is "$domain/xvda" .worker.version "$1" && disk_is "$domain/xvda" .activity connected && disk_is "$domain/xvdb" .activity connected
}

daemon_start
domain=$(simxen create)
truncate -s 16M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
disk_attach "$domain" xvdb ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA" "$XVDB"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
for build in foreign own foreign own; do
    version=0.2.0
    [ "$build" = foreign ] || version=0.1.0
    daemon_end KILL
    daemon_of "$build"
    # Now and then killed at some moment of it.
    for delay in 0.03 0.06; do
        "$daemon_program" --config=/dev/null --run-dir="$RUN" --ram-dir="$WORK/ram" --worker="$worker_program" </dev/null >>"$DAEMON_LOG" 2>&1 &
        daemon_pid=$!
        sleep "$delay"
        daemon_end KILL
    done
    daemon_start
    wait_until "$LIMIT_RECOVERY" "a worker of version $version" version_is "$version"
    for disk in xvda xvdb; do
        expect "what was executed again, and restarts, of $disk" "0 0 0" \
            "$(disk_field "$domain/$disk" '"\(.replayed) \(.worker.restarts) \(.worker.guest_restarts)"')"
        wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/$disk" "$(disk_field "$domain/$disk" .requests.read)"
    done
done
grep -q "speaks channel 99, journal 2, and we, 0.1.0, [0-9]* and 1: it is to be drained" "$DAEMON_LOG" || fail "the log does not tell the versions"
guest_stop "$started"
