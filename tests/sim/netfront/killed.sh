#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest that is killed while it is connected is followed by one that finds the device in use, whatever its habits.
. "$(dirname "$0")/../../lib/netfront.sh"
reflector_start
guest_new
for habit in linux windows ipxe bsd; do
    net_start "$domain" up 0
    until [ "$(xenstore-read "/local/domain/0/backend/vif/$domain/0/state")" = 4 ]; do sleep 0.02; done
    kill -KILL "$started"
    wait "$started" || true
    net "$domain" frames --as $habit --count 50 --size 20-1500 0
done
reflector_stop
