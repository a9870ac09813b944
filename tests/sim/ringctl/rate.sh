#!/bin/bash
# SPDX-License-Identifier: MIT
# The rate of a network card that is there is changed where netbackd reads it.
. "$(dirname "$0")/../../lib/ringctl.sh"
daemon_start
domain=$(simxen create --name mail)
rate=$BACK/$domain/0/rate

run 0 attach nic mail script=none
expect "the rate of a new card" "(none)" "$(node "$rate")"
run 0 rate mail/vif0 10Mb/s
expect "what is printed" "card vif0 of domain $domain: 10Mb/s, 62500 bytes each 50000 us" "$(cat "$WORK/stdout")"
expect "the rate" 62500,50000 "$(node "$rate")"
run 0 rate --json "$domain/vif0" 250KB/s@20ms
expect "what is printed" '["vif0",{"bytes":5000,"window_us":20000}]' "$(jq -c '[.name, .rate]' "$WORK/stdout")"
expect "the rate" 5000,20000 "$(node "$rate")"

# Its guest may read it, and no more.
expect "the guest's view" 5000,20000 "$(simxen exec "$domain" xenstore-read "$rate")"
! simxen exec "$domain" xenstore-write "$rate" 1,1 2>/dev/null || fail "the guest may set its own rate"

run 0 rate mail/vif0 none
expect "what is printed" "card vif0 of domain $domain: no limit" "$(cat "$WORK/stdout")"
! has "$rate" || fail "there is a limit"
run 0 rate --json mail/vif0 none
expect "the rate of none" null "$(jq .rate "$WORK/stdout")"

# A card that is not there gets no directory by that.
run 4 rate mail/vif1 10Mb/s
says stderr "domain $domain has no card vif1"
! has "$BACK/$domain/1" || fail "there is half a card"
run 4 rate mail/vif1 none
