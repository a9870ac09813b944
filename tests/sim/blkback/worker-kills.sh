#!/bin/bash
# SPDX-License-Identifier: MIT
# The worker is killed again and again at random moments while its guest verifies every answer: the guest sees nothing of it.
#
# A kill counts as "with requests in flight" when the successor found some in the journal and executed them again. RINGBACK_KILLS says
# how many kills (the soak tier has more).
. "$(dirname "$0")/../../lib/blkback.sh"

readonly KILLS=${RINGBACK_KILLS:-40}

replayed() {
    disk_field "$domain/xvda" .replayed
}

daemon_start
domain=$(simxen create)
truncate -s 64M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest_start "$domain" blk --time 0 --size 4K-44K --blank --state "$WORK/state" --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100

in_flight=0
RANDOM=${RINGBACK_SEED:-1}
for ((kill = 1; kill <= KILLS; kill++)); do
    worker=$(disk_field "$domain/xvda" .worker.pid)
    before=$(replayed)
    sleep "0.$(printf '%03d' $((RANDOM % 200)))"
    kill -KILL "$worker"
    wait_until "$LIMIT_RECOVERY" "a successor after kill $kill" worker_replaced "$domain/xvda" "$worker"
    [ "$(replayed)" -eq "$before" ] || in_flight=$((in_flight + 1))
    wait_until "$LIMIT_REQUEST" "requests to be served after kill $kill" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
    alive "$started" || break
done
say "$KILLS kills, $in_flight with requests in flight, $(replayed) requests executed again"
guest_stop "$started"
expect "the back end's state" 6 "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/state")"
disk_detach "$domain" xvda
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"
[ $((2 * in_flight)) -ge "$KILLS" ] || fail "fewer than half of the kills had requests in flight"
