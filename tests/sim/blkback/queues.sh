#!/bin/bash
# SPDX-License-Identifier: MIT
# Disks of several queues: as many as are offered, or as the guest has, each with a ring of its own, on every kind of disk, with rings of every size. What is
# counted is counted of each. Without the offer there is one.
. "$(dirname "$0")/../../lib/blkback.sh"
need qemu-img
daemon_start
domain=$(simxen create)
truncate -s 64M "$WORK/disk.img"
qemu-img create -q -f vpc -o subformat=dynamic,force_size=on "$WORK/disk.vhd" 64M
for disk in ram:64M "raw:$WORK/disk.img" "vhd:$WORK/disk.vhd"; do
    disk_attach "$domain" xvda "$disk"
    expect "what is offered" 4 "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/multi-queue-max-queues")"
    rm -f "$WORK/state".*
    for how in "4 2 yes" "2 0 no" "3 1 yes" "1 0 yes" "8 4 no"; do
        read -r queues order agreed <<<"$how"
        used=$((queues > 4 ? 4 : queues))
        guest_start "$domain" blk --queues "$queues" --order "$order" --depth $((24 * queues)) --persistent "$agreed" --segments 32 --requests 3000 --flush 5 \
            --state "$WORK/state" --verify-all --hold --json "$XVDA"
        wait_until "$LIMIT_REQUEST" "the disk to be connected" disk_is "$domain/xvda" '.queues | length' "$used"
        # Every queue has been used, and nothing is left on any.
        wait_until "$LIMIT_REQUEST" "every queue to be used, and nothing left" disk_is "$domain/xvda" \
            '(.ring.in_flight == 0) and ([.queues[] | .requests.read > 100 and .in_flight == 0 and .req_prod == .rsp_prod] | all)' true
        expect "slots of all" $((used * (32 << order))) "$(disk_field "$domain/xvda" .ring.slots)"
        expect "whether each queue has events of its own" "$used" "$(disk_field "$domain/xvda" '[.queues[].event_channel] | unique | length')"
        expect "errors" 0 "$(disk_field "$domain/xvda" '[.errors[]] | add')"
        guest_stop "$started" >"$WORK/result"
        expect "the guest's queues" "$used" "$(jq '.devices[0].queues' "$WORK/result")"
        say "$disk, $queues queues of order $order, persistent: $agreed: $(jq -c '.devices[0] | [.reads, .writes, .flushes, .indirect]' "$WORK/result")"
    done
    curl -s --unix-socket "$RUN/blkbackd.sock" http://localhost/metrics >"$WORK/metrics"
    expect "sums among the metrics" 4 "$(grep -c "blkback_requests_total{" "$WORK/metrics")"
    disk_detach "$domain" xvda
    expect "pages mapped afterwards: xenstore's ring" 1 "$(simxen list | awk -v domain="$domain" '$1 == domain {print $5}')"
done

guest_start "$domain" blk --queues 2 --time 0 --blank --verify-all "$XVDA"
disk_attach "$domain" xvda ram:64M
wait_until "$LIMIT_REQUEST" "two queues" disk_is "$domain/xvda" '[.queues[] | .requests.read > 10] | tojson' '[true,true]'
control show "$domain/xvda" >"$WORK/shown"
grep -q "^queue 1" "$WORK/shown" || fail "ringctl show does not tell of the second queue"
curl -s --unix-socket "$RUN/blkbackd.sock" http://localhost/metrics >"$WORK/metrics"
grep "queue_requests_total{device=\"$domain/$XVDA\",queue=\"1\",operation=\"read\"}" "$WORK/metrics" || fail "no metric of the second queue"
guest_stop "$started"
disk_detach "$domain" xvda

daemon_end TERM
daemon_start_with --queues-max=1
disk_attach "$domain" xvda ram:64M
expect "what is offered" 1 "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/multi-queue-max-queues")"
guest "$domain" blk --queues 4 --requests 2000 --blank --verify-all --json "$XVDA" >"$WORK/result"
expect "the guest's queues" 1 "$(jq '.devices[0].queues' "$WORK/result")"
