#!/bin/bash
# SPDX-License-Identifier: MIT
# barriers-only=yes: a guest finds barriers, no flushes, and no indirect requests, which a front end that sends FUA must not be offered. A disk that was
# looked at before the daemon read that keeps indirect requests, and so flushes. What was offered stays, whatever is read later.
. "$(dirname "$0")/../../lib/blkback.sh"
offers() {
    local back=/local/domain/0/backend/vbd/$domain/$1
    echo "flush $(xenstore-read "$back/feature-flush-cache"), barrier $(xenstore-read "$back/feature-barrier")," \
        "indirect $(xenstore-read "$back/feature-max-indirect-segments")"
}
printf '[blkback]\nbarriers-only = no\n' >"$WORK/ringback.conf"
daemon_start_with --log-level=info --config="$WORK/ringback.conf"
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
sed -i 's/= no/= yes/' "$WORK/ringback.conf"
kill -HUP "$daemon_pid"
wait_until "$LIMIT_DAEMON" "the configuration to be read" grep -q "reloaded" "$DAEMON_LOG"
disk_attach "$domain" xvdb ram:16M
guest_start "$domain" blk --requests 500 --read 20 --flush 20 --barrier 20 --segments 64 --blank --verify-all --hold --json "$XVDA" "$XVDB"
wait_until "$LIMIT_REQUEST" "500 requests of each" disk_is "$domain/xvdb" '.requests | .read + .write + .flush >= 500' true
expect "the one looked at before" "flush 1, barrier 1, indirect 256" "$(offers "$XVDA")"
expect "the one looked at after" "flush 0, barrier 1, indirect 0" "$(offers "$XVDB")"
guest_stop "$started" >"$WORK/result"
expect "flushes and indirect requests of the latter" "0 0" "$(jq -r '.devices[1] | "\(.flushes) \(.indirect)"' "$WORK/result")"
[ "$(jq '.devices[1].barriers' "$WORK/result")" -gt 20 ] || fail "hardly any barriers"
