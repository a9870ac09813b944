#!/bin/bash
# SPDX-License-Identifier: MIT
# SIGHUP: what can change while the daemon runs is taken over, the rest is named, a wrong file changes nothing; worker and guest are not touched.
. "$(dirname "$0")/../../lib/blkback.sh"

# reload TEXT COUNT: until the log has it so many times.
reload() {
    kill -HUP "$daemon_pid"
    said() { [ "$(grep -cF "$1" "$DAEMON_LOG")" -eq "$2" ]; }
    wait_until "$LIMIT_DAEMON" "the log to say: $1" said "$@"
}

mkdir -p "$WORK"
printf '[blkback]\nreplace-parallel = 3\n' >"$WORK/conf"
daemon_start_with --config="$WORK/conf"
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
before=$(disk_field "$domain/xvda" '"\(.worker.pid) \(.replayed) \(.worker.origin)"')

printf '[ringback]\nlog-level = debug\n[blkback]\nreplace-parallel = 5\ndevice-kind = vbd9\n' >"$WORK/conf"
reload "reloaded $WORK/conf: 2 changes taken over" 1
reload "device-kind has changed, which takes effect at the next start" 2
printf '[ringback]\nlog-level = loud\n' >"$WORK/conf"
reload "not reloaded: $WORK/conf:2: log-level: 'loud' is none of" 1
printf '[ringback]\nlog-level = info\n[blkback]\nworker = /nonexistent\n' >"$WORK/conf"
reload "reloaded $WORK/conf: 2 changes taken over" 2 # back to the default of replace-parallel, too
rm "$WORK/conf"
reload "not reloaded: $WORK/conf: No such file or directory" 1

expect "worker" "$before" "$(disk_field "$domain/xvda" '"\(.worker.pid) \(.replayed) \(.worker.origin)"')"
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
worker=$(disk_field "$domain/xvda" .worker.pid)
kill -KILL "$worker" # the path of the worker did not change under way
wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$domain/xvda" "$worker"
guest_stop "$started"
