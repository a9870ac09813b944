#!/bin/bash
# SPDX-License-Identifier: MIT
# What a disk's limits are: those of the configuration, which can change while the daemon runs, or its own in xenstore, which its guest can read and not
# write. Both are followed by the worker. What is no number counts for nothing, and is logged.
. "$(dirname "$0")/../../lib/blkback.sh"
need curl

# limits DEV: as the daemon has them; -: none.
limits() {
    disk_field "$domain/$1" '.throttle | [.iops_total, .iops_total_max, .bps_total, .bps_total_max] | map(. // "-") | join(" ")'
}

limits_are() {
    [ "$(limits "$1")" = "$2" ]
}

# become DEV LIMITS
become() {
    wait_until "$LIMIT_DAEMON" "the limits of $1 to be $2, not $(limits "$1")" limits_are "$1" "$2"
}

# configure LINE...: of [blkback].
configure() {
    printf '[blkback]\n' >"$WORK/conf"
    printf '%s\n' "$@" >>"$WORK/conf"
    kill -HUP "$daemon_pid"
}

key() {
    echo "/local/domain/0/backend/vbd/$domain/$XVDA/throttle/$1"
}

is_held() { disk_is "$domain/xvda" '(.queues[0] | .req_prod - .req_cons >= 8) and .ring.in_flight == 0' true; }

# logged TEXT COUNT
logged() {
    has_logged() { [ "$(grep -cF "$1" "$DAEMON_LOG")" -ge "$2" ]; }
    wait_until "$LIMIT_DAEMON" "the log to say: $1" has_logged "$@"
}

mkdir -p "$WORK"
printf '[blkback]\niops-total = 100\n' >"$WORK/conf"
daemon_start_with --config="$WORK/conf"
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
disk_attach "$domain" xvdb ram:16M
become xvda "100 10 - -"
configure "iops-total = 5" "iops-total-max = 7" "bps-total = 10M"
become xvda "5 7 10485760 1048576"
become xvdb "5 7 10485760 1048576"

# Its own: each of the two takes the place of what is configured, with what may go at once.
xenstore-write "$(key iops-total)" 1000
become xvda "1000 100 10485760 1048576"
become xvdb "5 7 10485760 1048576"
xenstore-write "$(key iops-total-max)" 4000
become xvda "1000 4000 10485760 1048576"
xenstore-write "$(key bps-total)" 0
become xvda "1000 4000 - -"
expect "the guest's view" 1000 "$(simxen exec "$domain" xenstore-read "$(key iops-total)")"
! simxen exec "$domain" xenstore-write "$(key iops-total)" 9 2>/dev/null || fail "the guest may set its own limits"
! simxen exec "$domain" xenstore-rm "$(key iops-total)" 2>/dev/null || fail "the guest may remove its limits"

# What is no number.
for wrong in many -1 "" 99999999999999999999; do
    xenstore-write "$(key iops-total)" 1000
    become xvda "1000 4000 - -"
    xenstore-write -- "$(key iops-total)" "$wrong"
    become xvda "5 7 - -"
done
logged "throttle/iops-total is no number that can be used" 4
xenstore-write "$(key iops-total)" 1000 "$(key iops-total-max)" lots
become xvda "1000 100 - -"
logged "throttle/iops-total-max is no number that can be used" 1
xenstore-write "$(key iops-total)" 18446744073709551615
logged "limits: 18446744073709551615 requests a second" 1
xenstore-rm "$(dirname "$(key any)")"
become xvda "5 7 10485760 1048576"

# The worker hears of all that.
configure
become xvda "- - - -"
guest_start "$domain" blk --time 0 --depth 16 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
configure "bps-total = 1"
wait_until "$LIMIT_REQUEST" "the guest to be held by the configuration" is_held
xenstore-write "$(key bps-total)" 0
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" $(($(disk_field "$domain/xvda" .requests.read) + 100))
configure
xenstore-write "$(key bps-total)" 1
wait_until "$LIMIT_REQUEST" "the guest to be held by its own limit" is_held
curl -s --unix-socket "$RUN/blkbackd.sock" http://localhost/metrics >"$WORK/metrics"
expect "the metric of waits" "$(disk_field "$domain/xvda" .throttle.waits)" "$(sed -n "s/^ringback_blkback_throttled_total{.*$domain.$XVDA.*} //p" "$WORK/metrics")"
grep -q "^ringback_blkback_throttled_ns_total{.*$domain.$XVDA.*} [0-9]" "$WORK/metrics" || fail "no metric tells how long requests waited"
xenstore-rm "$(dirname "$(key any)")"
guest_stop "$started"

# A disk that goes says nothing new of its limits.
lines() { grep -c "vbd $domain/$XVDB: limits:" "$DAEMON_LOG"; }
xenstore-write "/local/domain/0/backend/vbd/$domain/$XVDB/throttle/bps-total" 12345
become xvdb "- - 12345 1234"
before=$(lines)
disk_detach "$domain" xvdb
expect "lines about limits" "$before" "$(lines)"
