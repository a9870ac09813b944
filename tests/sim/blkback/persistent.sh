#!/bin/bash
# SPDX-License-Identifier: MIT
# A front end that agrees to persistent grants is served from pages that are mapped once, on every kind of disk; one that does not is copied to and from.
# All are let go of when the disk goes.
. "$(dirname "$0")/../../lib/blkback.sh"

# Pages of the guest that others have mapped: our ring, xenstore's, and what this is about.
foreign_maps() {
    simxen list | awk -v domain="$domain" '$1 == domain {print $5}'
}

daemon_start
domain=$(simxen create)
truncate -s 32M "$WORK/disk.img"
qemu-img create -q -f vpc "$WORK/disk.vhd" 32M 2>/dev/null || skip "qemu-img is not installed"
for disk in "raw:$WORK/disk.img" "vhd:$WORK/disk.vhd" ram:32M; do
    for agreed in yes no; do
        # Another disk, and a RAM disk each time, begins anew.
        if [ $agreed = yes ] || [ "$disk" = ram:32M ]; then
            rm -f "$WORK/state".*
        fi
        disk_attach "$domain" xvda "$disk"
        guest_start "$domain" blk --persistent $agreed --requests 3000 --flush 5 --state "$WORK/state" --verify-all --hold "$XVDA"
        wait_until "$LIMIT_REQUEST" "3000 requests" disk_is "$domain/xvda" '.requests | .read + .write + .flush >= 3000' true
        grants=$(disk_field "$domain/xvda" '.grants | tojson')
        say "$disk, persistent: $agreed: $grants"
        if [ $agreed = yes ]; then
            expect "what is offered" 1 "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/feature-persistent")"
            # Every request has its data in pages that were mapped once: those of the guest's 32 requests.
            expect "whether all were served from mapped pages" true "$(jq '.mapped > 0 and .mapped <= 352' <<<"$grants")"
            wait_until "$LIMIT_REQUEST" "all requests to be ones that were not copied" \
                disk_is "$domain/xvda" '.requests.read + .requests.write == .grants.requests' true
            expect "pages mapped, and two rings" "$(jq '.mapped + 2' <<<"$grants")" "$(foreign_maps)"
        else
            expect "what was mapped" '{"persistent":0,"mapped":0,"requests":0}' "$grants"
            expect "pages mapped: two rings" 2 "$(foreign_maps)"
        fi
        guest_stop "$started"
        disk_detach "$domain" xvda
        expect "pages mapped afterwards: xenstore's ring" 1 "$(foreign_maps)"
        expect "pages the guest took back while they were mapped" 0 "$(simxen list | awk -v domain="$domain" '$1 == domain {print $6}')"
    done
done
