#!/bin/bash
# SPDX-License-Identifier: MIT
# A stream arrives whole over a hub that loses frames; datagrams that are lost are counted, and no others.
. "$(dirname "$0")/../../lib/netfront.sh"
reflector_start --hub --lose 29
guest_new
near=$domain
guest_new
net_start "$domain" up --address 10.0.0.2 --without gso4 --lossy 0
net "$near" tcp --address 10.0.0.1 --without gso4 --bytes 300K 0 10.0.0.2
[ "$(field resent)" -gt 0 ] || fail "nothing was sent again"
net "$near" udp --address 10.0.0.1 --count 290 --lossy 0 10.0.0.2
if [ "$(field lost)" -lt 10 ] || [ "$(field lost)" -gt 30 ]; then fail "$(field lost) lost"; fi
expect "datagrams accounted for" 290 "$(($(field lost) + $(field received)))"
net_stop "$started"
reflector_stop
