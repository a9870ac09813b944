#!/bin/bash
# SPDX-License-Identifier: MIT
# The worker is killed again and again at random moments while its guest verifies every answer: the guest sees nothing of it.
#
# A kill counts as "with requests in flight" when the successor found some in the journal and executed them again. RINGBACK_KILLS says how
# many kills there are at least (the soak tier has more), and half as many of them must have had requests in flight: there are more kills until
# that is so, up to four times as many.
. "$(dirname "$0")/../../lib/blkback.sh"

readonly KILLS=${RINGBACK_KILLS:-40}

# What the daemon says now: the worker's process, requests executed again, reads served.
look() {
    disk_field "$domain/xvda" '"\(.worker.pid) \(.replayed) \(.requests.read)"'
}

daemon_start
domain=$(simxen create)
truncate -s 64M "$WORK/disk.img"
disk_attach "$domain" xvda "raw:$WORK/disk.img"
guest_start "$domain" blk --time 0 --size 4K-44K --read 30 --flush 50 --blank --state "$WORK/state" --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100

kills=0 in_flight=0
RANDOM=${RINGBACK_SEED:-1}
read -r worker replayed served < <(look)
while [ "$kills" -lt "$KILLS" ] || [ $((2 * in_flight)) -lt "$KILLS" ]; do
    [ "$kills" -lt $((4 * KILLS)) ] || fail "$kills kills, only $in_flight with requests in flight"
    alive "$started" || fail "the guest gave up after $kills kills"
    sleep "0.$(printf '%03d' $((RANDOM % 200)))"
    kill -KILL "$worker"
    kills=$((kills + 1))
    wait_until "$LIMIT_RECOVERY" "a successor after kill $kills" worker_replaced "$domain/xvda" "$worker"
    wait_until "$LIMIT_REQUEST" "requests to be served after kill $kills" has_served "$domain/xvda" "$served"
    before=$replayed
    read -r worker replayed served < <(look)
    [ "$replayed" -eq "$before" ] || in_flight=$((in_flight + 1))
done
say "$kills kills, $in_flight with requests in flight, $replayed requests executed again"
guest_stop "$started"
disk_detach "$domain" xvda
simguest check "$WORK/state.$XVDA" "$WORK/disk.img"
