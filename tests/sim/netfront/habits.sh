#!/bin/bash
# SPDX-License-Identifier: MIT
# Each front end's dance ends connected and closes cleanly, again and again, and after any other's; what it shared is free again.
. "$(dirname "$0")/../../lib/netfront.sh"
reflector_start
guest_new
held() {
    simxen list | awk '{ print $1, $3, $4, $5, $6 }'
}
before=$(held)
for round in 1 2; do
    for habit in linux windows ipxe bsd; do
        net "$domain" frames --as $habit --count 50 --size 20-1500 0
        net "$domain" cycle --as $habit --count 20 --queues $round 0
    done
done
expect "what is held" "$before" "$(held)"
simxen vif-detach "$domain" 0
reflector_stop
