#!/bin/bash
# SPDX-License-Identifier: MIT
# An export is used by one disk that writes it, or by several that read: a second one waits until the first one lets go. And a discard reaches the server.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/nbd.sh"
daemon_start
one=$(simxen create)
other=$(simxen create)
truncate -s 16M "$NBD_IMAGE"
server_nbdkit

disk_attach "$one" xvda "$NBD_SPEC" --ro
disk_attach "$other" xvda "$NBD_SPEC" --ro
guest_start "$one" blk --time 0 --read 100 --flush 0 "$XVDA"
reader=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$one/xvda" 10
guest "$other" blk --time 1 --read 100 --flush 0 "$XVDA"
disk_detach "$other" xvda
disk_attach "$other" xvda "$NBD_SPEC"
guest_start "$other" blk --time 1 --blank --read 10 --discard 30 --state "$WORK/state" --verify-all "$XVDA"
writer=$started
wait_until "$LIMIT_REQUEST" "the second one to wait" disk_is "$other/xvda" .activity waiting-for-image
sleep 0.5
expect "requests of the second one" 0 "$(disk_field "$other/xvda" .requests.write)"
guest_stop "$reader"
guest_finish "$writer"
[ "$(disk_field "$other/xvda" .requests.discard)" -gt 0 ] || fail "no discards"
disk_detach "$other" xvda
simguest check "$WORK/state.$XVDA" "$NBD_IMAGE"
