#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers that were taken over greet a new supervisor with all that a worker should never say, or with nothing: each is killed, its own disk is
# recovered or closed with a reason, and the other guest is served on by the same process throughout.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3
fake=$(realpath "$(dirname "$0")/../../lib/worker.py")

daemon_start
steady=$(simxen create)
disk_attach "$steady" xvda ram:16M
guest_start "$steady" blk --time 0 --blank --verify-all "$XVDA"
user=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$steady/xvda" 100
worker=$(disk_field "$steady/xvda" .worker.pid)

# fake_start HOW: a guest with a disk that such a worker pretends to serve: $domain, and its process $pretender.
fake_start() {
    daemon_end KILL
    TEST_WORKER_ADOPTION=$1 daemon_start_with --worker="$fake"
    domain=$(simxen create)
    disk_attach "$domain" xvda ram:16M
    guest_start "$domain" blk --time 0 --blank "$XVDA"
    wait_until "$LIMIT_REQUEST" "the disk to be connected ($1)" state_is "$domain" "$XVDA" 4
    pretender=$(disk_field "$domain/xvda" .worker.pid)
}

# told REASON: of that guest's worker's end.
told() {
    grep -q "guest $domain: worker $1; replacing it" "$DAEMON_LOG"
}

for how in garbage short descriptor twice pipe path no-descriptor many early unasked invented generation read-only; do
    case $how in
    garbage | short | descriptor) reason="killed for an impossible greeting" ;;
    generation | read-only) reason="killed because it held something else than is recorded" ;;
    *) reason="killed for an impossible message" ;;
    esac
    fake_start "$how"
    daemon_end KILL
    daemon_start
    wait_until "$LIMIT_DAEMON" "the worker to be ended ($how)" dead "$pretender"
    wait_until "$LIMIT_DAEMON" "the reason to be told ($how)" told "$reason"
    # It never had a journal.
    wait_until "$LIMIT_RECOVERY" "its disk to be closed ($how)" state_is "$domain" "$XVDA" 6
    expect "the other guest's worker" "$worker" "$(disk_field "$steady/xvda" .worker.pid)"
    [ "$(find "/proc/$daemon_pid/fd" -mindepth 1 | wc -l)" -lt 100 ] || fail "descriptors are kept ($how)"
done

fake_start silent
first=$domain pretender_too=$pretender
fake_start mute-after-hello
daemon_end KILL
daemon_start
for process in "$pretender" "$pretender_too"; do
    wait_until 60 "the silent worker to be ended" dead "$process"
done
wait_until "$LIMIT_DAEMON" "the reason to be told" told "killed because it did not answer a new supervisor"
domain=$first
wait_until "$LIMIT_DAEMON" "the reason to be told" told "killed because it did not answer a new supervisor"

expect "the other guest's worker" "$worker" "$(disk_field "$steady/xvda" .worker.pid)"
expect "its restarts" "0 0" "$(disk_field "$steady/xvda" '"\(.replayed) \(.worker.guest_restarts)"')"
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$steady/xvda" "$(disk_field "$steady/xvda" .requests.read)"
guest_stop "$user"
