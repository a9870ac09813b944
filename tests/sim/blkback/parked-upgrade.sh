#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk is parked when another version is installed. One that knows its journal tries again by itself; one that does not closes it and says why.
# Either serves on what the guest has beside it.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/parking.sh"

# upgrade BUILD VERSION
upgrade() {
    daemon_end KILL
    daemon_of "$1"
    daemon_start
    other_replaced() { disk_is "$domain/xvdb" .worker.version "$2" && disk_is "$domain/xvdb" .activity connected; }
    wait_until "$LIMIT_RECOVERY" "a worker of version $2" other_replaced "$@"
    wait_until "$LIMIT_REQUEST" "more requests of the other disk" has_served "$domain/xvdb" "$(disk_field "$domain/xvdb" .requests.read)"
}

for build in newer foreign; do
    daemon_of own
    daemon_start
    domain=$(simxen create)
    disk_attach "$domain" xvdb ram:16M
    healthy_guest "$domain" "$XVDB" --time 0
    other_pid=$started
    park_disk "$domain" xvda "$XVDA"
    parked_pid=$started
    simxen fault "$domain" none # the other version is the remedy
    if [ "$build" = newer ]; then
        upgrade newer 0.1.1
        wait_until "$LIMIT_REQUEST" "the disk to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
        expect "what is parked" null "$(disk_field "$domain/xvda" .parked)"
        guest_stop "$parked_pid"
    else
        upgrade foreign 0.2.0
        wait_until "$LIMIT_REQUEST" "the disk to be closed" state_is "$domain" "$XVDA" 6
        reason=$(disk_field "$domain/xvda" .last_error)
        for word in "journal of version 1" "0.2.0" "knows 2"; do
            [[ $reason == *"$word"* ]] || fail "it was closed, but not for '$word': $reason"
        done
        kill -KILL "$parked_pid" 2>/dev/null || true # unless it has seen the end
    fi
    guest_stop "$other_pid"
    simxen destroy "$domain"
    daemon_end TERM
done
