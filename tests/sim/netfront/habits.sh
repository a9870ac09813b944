#!/bin/bash
# SPDX-License-Identifier: MIT
# Each front end's dance ends connected and closes cleanly, again and again, and after any other's; nothing is left of it.
#
# RINGBACK_CYCLES says how many lives of each.
. "$(dirname "$0")/../../lib/netfront.sh"
held() {
    simxen list | awk '{ print "domain", $1, $3, $4, $5, $6 }'
    rm -f "$WORK/memreport"
    # The simulator lacks what this program is linked with and does not call.
    env -u LD_LIBRARY_PATH /usr/lib/xen-4.17/bin/xenstore-control memreport "$WORK/memreport" >/dev/null
    say "watches $(grep -c 'struct watch ' "$WORK/memreport")"
    say "descriptors $(find "/proc/$reflector_pid/fd" -mindepth 1 | wc -l)"
}
reflector_start
guest_new
net "$domain" cycle --count 2 --queues 2 0 # some things are made at first use
before=$(held)
for habit in linux windows ipxe bsd; do
    net "$domain" frames --as $habit --count 50 --size 20-1500 0
    net "$domain" cycle --as $habit --count "${RINGBACK_CYCLES:-25}" --queues 2 0
    expect "what is held after lives as $habit" "$before" "$(held)"
done
simxen vif-detach "$domain" 0
reflector_stop
