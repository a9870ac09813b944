#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest that sets up a hash by its control ring gets each frame in the queue that follows from it, with the hash.
. "$(dirname "$0")/../../lib/netfront.sh"
reflector_start --hub
guest_new
near=$domain
guest_new
net_start "$domain" up --with ctrl --queues 4 --address 10.0.0.2 0
for flow in 1 2 3 4 5 6 7 8; do
    net "$near" tcp --address 10.0.0.1 --flow $flow --bytes 64K 0 10.0.0.2
done
net_stop "$started"
[ "$(field rx_hashed)" -gt 0 ] || fail "no frame had a hash"
expect "frames with a wrong hash" 0 "$(field rx_hash_wrong)"
reflector_stop
