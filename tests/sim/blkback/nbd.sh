#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk that an NBD server has, nbdkit or qemu-nbd, holds what is written to it, also when read without us; and a second life finds what the first one wrote.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/nbd.sh"
daemon_start
domain=$(simxen create)
for server in server_nbdkit server_qemu; do
    rm -f "$NBD_IMAGE" "$WORK/state.$XVDA"
    truncate -s 48M "$NBD_IMAGE"
    $server
    disk_attach "$domain" xvda "$NBD_SPEC"
    guest "$domain" blk --time 2 --blank --state "$WORK/state" "$XVDA"
    guest "$domain" blk --time 2 --blank --state "$WORK/state" --verify-all "$XVDA"
    expect "the size" $((48 << 20)) "$(disk_field "$domain/xvda" .size)"
    expect "the kind" nbd "$(disk_field "$domain/xvda" .kind)"
    expect "connections" true "$(disk_field "$domain/xvda" '.server.connections >= 1')"
    disk_detach "$domain" xvda
    simguest check "$WORK/state.$XVDA" "$NBD_IMAGE"
    server_kill
done
