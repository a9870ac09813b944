#!/bin/bash
# SPDX-License-Identifier: MIT
# What cannot be kept mapped is copied: beyond the limit of a disk, beyond the budget of the host, after a mapping that failed, when it is turned
# off. What a dead worker had mapped is given back to the budget.
. "$(dirname "$0")/../../lib/blkback.sh"
domain=$(simxen create)
other=$(simxen create)

# serve DOMID FILTER: verified I/O that ends; then the filter must say true of the disk's grants.
serve() {
    guest_start "$1" blk --requests 2000 --blank --verify-all --hold "$XVDA"
    wait_until "$LIMIT_REQUEST" "2000 requests" disk_is "$1/xvda" '.requests | .read + .write + .flush >= 2000' true
    local grants
    grants=$(disk_field "$1/xvda" '.grants | tojson')
    say "domain $1: $grants"
    expect "domain $1: $2" true "$(jq "$2" <<<"$grants")"
}

fresh() {
    [ -z "$daemon_pid" ] || daemon_end TERM
    daemon_start_with "$@"
    disk_attach "$domain" xvda ram:16M
}

over() {
    guest_stop "$started" >/dev/null
    disk_detach "$domain" xvda
}

fresh --persistent-grants=0
serve "$domain" '. == {"persistent": 0, "mapped": 0, "requests": 0}'
expect "what is offered" 0 "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/feature-persistent")"
over

fresh --persistent-grants=20
serve "$domain" '.mapped == 20 and .requests < 2000'
over

# The first mapping is the ring's.
fresh
simxen fault "$domain" map:fail@8
serve "$domain" '.mapped == 6'
simxen fault "$domain" none
over

# One guest has most of the host's budget, another what is left; what the first one's workers had comes back when they are killed.
fresh --persistent-grants=40 --grant-budget=50
disk_attach "$other" xvda ram:16M
serve "$domain" '.mapped == 40'
first=$started
serve "$other" '.mapped == 10'
guest_stop "$started" >/dev/null
disk_detach "$other" xvda
for kill in 1 2 3; do
    worker=$(disk_field "$domain/xvda" .worker.pid)
    kill -KILL "$worker"
    wait_until "$LIMIT_RECOVERY" "a successor after kill $kill" worker_replaced "$domain/xvda" "$worker"
done
disk_attach "$other" xvda ram:16M
serve "$other" '.mapped == 40'
guest_stop "$started" >/dev/null
started=$first
over
