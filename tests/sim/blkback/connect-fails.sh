#!/bin/bash
# SPDX-License-Identifier: MIT
# A ring that cannot be mapped, or a channel that cannot be bound, closes the device with a reason; the guest's next life is served.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
for rule in map:fail@1 bind:fail@1; do
    simxen fault "$domain" "$rule"
    if said=$(guest "$domain" blk --time 1 "$XVDA" 2>&1); then
        fail "the guest connected in spite of $rule"
    fi
    [[ $said == *"the back end went Clos"*": "* ]] || fail "no reason: $said"
    say "$rule: $(head -n 1 <<<"$said")"
    simxen fault "$domain" none
    guest "$domain" blk --time 1 "$XVDA"
done
