#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers, supervisors and both are killed under a guest whose disk an NBD server has, and which verifies every answer: qemu-nbd, then nbdkit. The latter
# is started again when it ends: nbdkit 1.32 now and then fails an assertion of its own when a connection breaks off with answers under way.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/nbd.sh"
daemon_keep --ram-dir="$WORK/ram"
domain=$(simxen create)

life() {
    disk_attach "$domain" xvda "$NBD_SPEC"
    guest_start "$domain" blk --persistent no --time 0 --size 4K-44K --flush 30 --blank --state "$WORK/state" --verify-all "$XVDA"
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
    random_kills 40
    guest_stop "$started"
    kept_control detach "$domain/xvda"
    simguest check "$WORK/state.$XVDA" "$NBD_IMAGE"
}

truncate -s 48M "$NBD_IMAGE"
server_qemu
life
server_kill
rm -f "$NBD_IMAGE" "$WORK/state.$XVDA"
truncate -s 48M "$NBD_IMAGE"
rm -f "$NBD_SOCKET"
keep server sh -c "rm -f '$NBD_SOCKET'; exec nbdkit -f -U '$NBD_SOCKET' file '$NBD_IMAGE'"

at_end="unkeep server $keeper"
wait_until "$LIMIT_DAEMON" "a server on $NBD_SOCKET" test -S "$NBD_SOCKET"
life
