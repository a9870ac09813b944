#!/bin/bash
# SPDX-License-Identifier: MIT
# What a worker had sent when it died, and its server carries out seconds later, never overwrites what the guest has written since: the next connection waits
# until the server is through with the last one. So it is when the supervisor died as well; when the server shuts its connection down before it is through,
# as qemu-nbd does; and over TCP.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/nbd.sh"

# life SPEC WHO: writes on a disk so small that each sector is soon written again, with a kill while the first of them have not reached the disk.
life() {
    local spec=$1 who=$2
    domain=$(simxen create)
    disk_attach "$domain" xvda "$spec"
    guest_start "$domain" blk --time 12 --read 50 --blank --state "$WORK/state" --verify-all "$XVDA"
    wait_until "$LIMIT_REQUEST" "writes at the server" test -e "$NBD_IMAGE.late"
    sleep 0.5
    if [ "$who" = both ]; then
        daemon_end KILL
        kill -KILL "$(worker_pids)"
        daemon_start_with --log-level=info --nbd-settle="$settle"
        wait_until "$LIMIT_RECOVERY" "the disk to be served again" disk_is "$domain/xvda" .activity connected
    else
        worker_kill
    fi
    guest_finish "$started"
    disk_detach "$domain" xvda
    simguest check "$WORK/state.$XVDA" "$NBD_IMAGE"
    simxen destroy "$domain"
    server_kill
    rm -f "$NBD_IMAGE" "$NBD_IMAGE.late" "$WORK/state.$XVDA"
    truncate -s 256K "$NBD_IMAGE"
}

truncate -s 256K "$NBD_IMAGE"
settle=0 # not needed where the server's end can be seen
daemon_start_with --log-level=info --nbd-settle="$settle"
for how in late rude; do
    for who in worker both; do
        say "a $how server, $who killed"
        server_bad "$how" 4
        life "$NBD_SPEC" "$who"
    done
done

say "over TCP"
daemon_end TERM
settle=6
daemon_start_with --log-level=info --nbd-settle="$settle"
port=$((20000 + RANDOM % 10000))
for who in worker both; do
    "$LIB/nbdserver.py" "127.0.0.1:$port" "$NBD_IMAGE" rude 4 </dev/null >>"$WORK/server.log" 2>&1 &
    server_pid=$!
    wait_until "$LIMIT_DAEMON" "a server on port $port" bash -c "</dev/tcp/127.0.0.1/$port"
    life "nbd://127.0.0.1:$port/" "$who"
done
