#!/bin/bash
# SPDX-License-Identifier: MIT
# A newer version is installed under load, and then the older one again: workers of the other version are adopted, then replaced a few at a time
# by plan. No guest sees an error, nothing is executed again, no restart is counted.
. "$(dirname "$0")/../../lib/blkback.sh"
guests=5
version_is() {
    disk_is "$1/xvda" .worker.version "$2" && disk_is "$1/xvda" .activity connected
}

# How many of the guests are without a worker that serves them.
without_worker() {
    control list --json | jq '[.devices[] | select(.activity != "connected" and .activity != "adopting") | .domid] | unique | length'
}

daemon_start
domains=()
for ((i = 0; i < guests; i++)); do
    domains[i]=$(simxen create)
    truncate -s 8M "$WORK/$i.img"
    disk_attach "${domains[i]}" xvda "raw:$WORK/$i.img"
    disk_attach "${domains[i]}" xvdb ram:8M
    guest_start "${domains[i]}" blk --time 0 --blank --verify-all --depth 8 "$XVDA" "$XVDB"
    users[i]=$started
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "${domains[i]}/xvda" 10
done
for build in newer own; do
    version=0.1.1
    [ "$build" = newer ] || version=0.1.0
    daemon_end TERM
    daemon_of "$build"
    daemon_start_with --replace-parallel=2
    most=0
    replaced() {
        local now
        now=$(without_worker)
        [ "$now" -le "$most" ] || most=$now
        for domain in "${domains[@]}"; do
            version_is "$domain" "$version" || return 1
        done
    }
    wait_until "$LIMIT_RECOVERY" "all workers to be of version $version" replaced
    say "$version: at most $most guests seen without their worker at a time"
    [ "$most" -le 2 ] || fail "$most guests were without a worker at a time"
    expect "workers replaced by plan" "$guests" "$(grep -c "has drained; replacing it" "$DAEMON_LOG")"
    : >"$DAEMON_LOG"
    for domain in "${domains[@]}"; do
        for disk in xvda xvdb; do
            expect "what was executed again, and restarts, of $domain/$disk" "0 0 0" \
                "$(disk_field "$domain/$disk" '"\(.replayed) \(.worker.restarts) \(.worker.guest_restarts)"')"
            wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/$disk" "$(disk_field "$domain/$disk" .requests.read)"
        done
    done
done
for user in "${users[@]}"; do
    guest_stop "$user"
done
