#!/bin/bash
# SPDX-License-Identifier: MIT
# The hostile guest's cases run to their end against a back end that withstands them: with its own frames coming back, and beside another guest that
# answers it, while a third floods both.
. "$(dirname "$0")/../../lib/netfront.sh"
hostile() {
    simxen exec "$domain" simguest net hostile --limit "$LIMIT_GUEST" --count 500 "$@" 0
}

reflector_start
guest_new
hostile
reflector_stop

reflector_start --hub
guest_new
net_start "$domain" up --address 10.0.0.2 --lossy 0
up=$started
guest_new
net_start "$domain" frames --one-way --time 3600 --rate 2000 --lossy 0
flood=$started
guest_new
hostile --with ctrl --queues 2 --peer 10.0.0.2 --address 10.0.0.1
net_stop "$flood"
net_stop "$up"
reflector_stop
