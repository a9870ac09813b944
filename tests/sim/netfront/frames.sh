#!/bin/bash
# SPDX-License-Identifier: MIT
# Frames of every size come back whole and in order: in one slot and in many, over one queue and two, with one event channel and two, and with indices
# that wrap.
. "$(dirname "$0")/../../lib/netfront.sh"
reflector_start
guest_new
for options in "" "--without split" "--queues 2" "--queues 2 --without split" "--without sg --size 20-1500" "--slots 18" "--rx-posted 17" \
    "--ring-start 4294967280" "--queues 4 --flow 7 --slots 3"; do
    # shellcheck disable=SC2086
    net "$domain" frames --count 2000 --size 20-60000 $options 0
    expect "frames that came back" 2000 "$(field received)"
done
reflector_stop
