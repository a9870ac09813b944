#!/bin/bash
# SPDX-License-Identifier: MIT
# Two frames pushed while connecting, whose events nobody heard, come to the other guest once each, whatever the pause between them.
. "$(dirname "$0")/../../lib/netfront.sh"
reflector_start --hub
guest_new
near=$domain
guest_new
for pause in 0 1 5 50; do
    net_start "$domain" up --expect 2 0
    until [ "$(xenstore-read "/local/domain/0/backend/vif/$domain/0/state")" = 4 ]; do sleep 0.02; done
    net "$near" start-of-day --pause $pause 0
    net_finish "$started"
    expect "frames that came" 2 "$(field received)"
done
reflector_stop
