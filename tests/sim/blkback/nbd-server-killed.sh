#!/bin/bash
# SPDX-License-Identifier: MIT
# The server is killed again and again under I/O, and stays away for a while: the guest waits, and is answered by the next one. Meanwhile its worker is
# killed, too, and the supervisor: the disk is served again at once, though there is no server.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/nbd.sh"
daemon_start
domain=$(simxen create)
truncate -s 48M "$NBD_IMAGE"
server_nbdkit
disk_attach "$domain" xvda "$NBD_SPEC"
guest_start "$domain" blk --time 0 --blank --state "$WORK/state" --verify-all "$XVDA"
guest_pid=$started
served=100
for round in 1 2 3 4 5; do
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" "$served"
    server_kill
    wait_until "$LIMIT_REQUEST" "the loss to be seen" disk_is "$domain/xvda" .server.connected false
    case $round in
    2) worker_kill ;;
    3)
        daemon_end KILL
        daemon_start
        wait_until "$LIMIT_RECOVERY" "the disk to be served on" disk_is "$domain/xvda" .activity connected
        ;;
    4)
        daemon_end KILL
        kill -KILL "$(worker_pids)"
        daemon_start
        wait_until "$LIMIT_RECOVERY" "the disk to be served again" disk_is "$domain/xvda" .activity connected
        ;;
    esac
    expect "connected without a server" false "$(disk_field "$domain/xvda" .server.connected)"
    served=$(disk_field "$domain/xvda" .requests.read)
    sleep 0.5
    expect "requests served without a server" "$served" "$(disk_field "$domain/xvda" .requests.read)"
    if [ $((round % 2)) -eq 0 ]; then server_qemu; else server_nbdkit; fi
    served=$((served + 100))
done
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" "$served"
guest_stop "$guest_pid"
disk_detach "$domain" xvda
simguest check "$WORK/state.$XVDA" "$NBD_IMAGE"
