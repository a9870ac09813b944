#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers, netbackd, and both at once are killed again and again, at random and amid frames, under streams and datagrams between guests on a Linux bridge:
# what comes is right, no ring is lost, nobody's link goes down, and nothing is left of the dead.
# NETBACK_KILLS says how often (the soak tier: more), NETBACK_SEED makes a run's kills those of another.
. "$(dirname "$0")/../../lib/netback.sh"
. "$(dirname "$0")/../../lib/netkills.sh"
bridge_new br0
daemon_keep --log-level=warning
first_guest card_attach
first_guest_goes
guest_pair tcp card_attach
guest_pair udp card_attach
each=$((kills / 10)) # of those that netbackd is one of
kill_all worker=$((kills - 2 * each)) supervisor=$each both=$each
streams_end
guests_go
until_held nothing "everything to go with the last card"
