#!/bin/bash
# SPDX-License-Identifier: MIT
# Indirect requests of up to 256 segments: offered, used and verified in every layout of requests, on every kind of disk, with data that is mapped and
# data that is copied; more at once than there are buffers for. With a lower limit, and with none, that is what is offered and held to.
. "$(dirname "$0")/../../lib/blkback.sh"
need qemu-img

offered() {
    xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/feature-max-indirect-segments"
}

daemon_start
domain=$(simxen create)
truncate -s 64M "$WORK/disk.img"
qemu-img create -q -f vpc -o subformat=dynamic,force_size=on "$WORK/disk.vhd" 64M
for disk in ram:64M "raw:$WORK/disk.img" "vhd:$WORK/disk.vhd"; do
    disk_attach "$domain" xvda "$disk"
    expect "what is offered" 256 "$(offered)"
    rm -f "$WORK/state".*
    for how in "yes x86_64" "no x86_64" "no x86_32" "yes arm"; do
        read -r agreed abi <<<"$how"
        used=$(disk_field "$domain/xvda" .indirect.requests)
        guest "$domain" blk --segments 256 --depth 24 --size 4K-1M --persistent "$agreed" --abi "$abi" --requests 400 --flush 5 \
            --state "$WORK/state" --verify-all --json "$XVDA" >"$WORK/result"
        say "$disk, persistent: $agreed, $abi: $(jq -c '.devices[0] | [.reads, .writes, .indirect]' "$WORK/result")"
        [ "$(jq '.devices[0].indirect' "$WORK/result")" -gt 200 ] || fail "the guest sent no indirect requests"
        [ "$(disk_field "$domain/xvda" .indirect.requests)" -gt "$((used + 200))" ] || fail "they are not counted"
    done
    curl -s --unix-socket "$RUN/blkbackd.sock" http://localhost/metrics >"$WORK/metrics"
    grep "requests_indirect_total{" "$WORK/metrics" || fail "no such metric"
    expect "errors" 0 "$(disk_field "$domain/xvda" '[.errors[]] | add')"
    disk_detach "$domain" xvda
done

for limit in 32 0; do
    daemon_end TERM
    daemon_start_with --indirect-segments="$limit"
    disk_attach "$domain" xvda ram:64M
    expect "what is offered" "$limit" "$(offered)"
    guest "$domain" hostile "$XVDA" indirect indirect-one-more indirect-bad-list >"$WORK/result" || true
    cat "$WORK/result"
    if [ "$limit" -gt 0 ]; then
        grep -q "^ok .*indirect-one-more" "$WORK/result" || fail "one more than was offered is not refused"
    else
        grep -q "^ok .*indirect  .*status -2" "$WORK/result" || fail "what was not offered is served"
    fi
    guest "$domain" blk --segments 256 --size 4K-1M --depth 16 --requests 200 --blank --verify-all --json "$XVDA" >"$WORK/result"
    expect "whether indirect requests were used" "$([ "$limit" -gt 0 ] && echo true || echo false)" "$(jq '.devices[0].indirect > 0' "$WORK/result")"
    # What was offered holds for as long as the connection does.
    served=$(disk_field "$domain/xvda" .requests.read)
    guest_start "$domain" blk --segments 256 --size 4K-1M --depth 16 --time 0 --verify-all "$XVDA"
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" "$((served + 50))"
    daemon_end KILL
    daemon_start_with --indirect-segments=12
    wait_until "$LIMIT_RECOVERY" "the disk to be adopted" disk_is "$domain/xvda" .activity connected
    worker=$(disk_field "$domain/xvda" .worker.pid)
    kill -KILL "$worker"
    wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$domain/xvda" "$worker"
    expect "the limit of the connection" "$limit" "$(disk_field "$domain/xvda" .indirect.segments)"
    wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
    guest_stop "$started"
    disk_detach "$domain" xvda
done
