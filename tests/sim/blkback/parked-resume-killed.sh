#!/bin/bash
# SPDX-License-Identifier: MIT
# The supervisor is killed at some moment after it was told to try a parked disk again: the next one finds it served, or parked and to be told
# once more; and parked again, after as many crashes, when there is no remedy.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/parking.sh"

resume_and_die() {
    control resume "$domain/xvda" >/dev/null
    sleep "$1"
    daemon_end KILL
    daemon_start
}

is_steady() {
    disk_is "$domain/xvda" .activity connected || disk_is "$domain/xvda" .activity parked
}

daemon_start
for delay in 0 0.01 0.03 0.1; do
    domain=$(simxen create)
    park_disk "$domain" xvda "$XVDA"
    parked_pid=$started
    resume_and_die "$delay" # without a remedy
    wait_parked "$domain/xvda"
    expect "attempts" 3 "$(disk_field "$domain/xvda" .parked.request.attempts)"
    simxen fault "$domain" none
    resume_and_die "$delay"
    wait_until "$LIMIT_RECOVERY" "the disk to be served or parked" is_steady
    if disk_is "$domain/xvda" .activity parked; then
        say "after $delay s it was parked"
        control resume "$domain/xvda" >/dev/null
    fi
    wait_until "$LIMIT_REQUEST" "the disk to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
    [ ! -e "$(echo "$RUN/blkback/$domain"-*/"$XVDA")/parked" ] || fail "it is noted as parked still"
    guest_stop "$parked_pid"
    disk_detach "$domain" xvda
done
