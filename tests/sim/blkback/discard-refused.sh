#!/bin/bash
# SPDX-License-Identifier: MIT
# Where the toolstack says discard-enable=0, and on a disk that cannot be written, a guest is offered no discard, and gets none; who says nothing
# gets it. It stays so for the device, whoever serves it.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
truncate -s 16M "$WORK/disk.img"

# lives_without OPTION
lives_without() {
    disk_attach "$domain" xvda "raw:$WORK/disk.img" "$1"
    guest "$domain" blk --requests 200 --read 0 --discard 50 --json "$XVDA" >"$WORK/result"
    expect "discards that were sent ($1)" 0 "$(jq '.devices[0].discards' "$WORK/result")"
    expect "the offer ($1)" 0 "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/feature-discard")"
    expect "what is shown ($1)" 0 "$(disk_field "$domain/xvda" .discard_granularity)"
    before=$(sha256sum <"$WORK/disk.img")
    guest "$domain" hostile "$XVDA" discard
    expect "the image ($1)" "$before" "$(sha256sum <"$WORK/disk.img")"
    disk_detach "$domain" xvda
}
lives_without --no-discard
lives_without --ro

# By hand, so that the key can be left out, or changed behind a guest's back.
toolstack_attach vbd "$domain" "$XVDA" params ram:16M
guest_start "$domain" blk --time 0 --blank --discard 50 --verify-all "$XVDA"
discards() { [ "$(disk_field "$domain/xvda" .requests.discard)" -gt "$1" ]; }
wait_until "$LIMIT_REQUEST" "discards without the key" discards 100
xenstore-write "/local/domain/0/backend/vbd/$domain/$XVDA/discard-enable" 0
kill -KILL "$(disk_field "$domain/xvda" .worker.pid)"
wait_until "$LIMIT_REQUEST" "discards after the worker's death" discards "$(disk_field "$domain/xvda" .requests.discard)"
guest_stop "$started"
