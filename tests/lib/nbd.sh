# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
# What tests of disks behind NBD servers share. Sourced after blkback.sh. A server listens on $NBD_SOCKET and has $NBD_IMAGE; its process is $server_pid,
# and it ends with the test.
need nbdkit qemu-nbd python3

readonly NBD_SOCKET=$WORK/nbd.sock NBD_IMAGE=$WORK/nbd.img
readonly NBD_SPEC="nbd:nbd+unix:///?socket=$NBD_SOCKET"
server_pid=
at_end=server_kill

# server_start COMMAND...: until it listens.
server_start() {
    rm -f "$NBD_SOCKET"
    "$@" </dev/null >>"$WORK/server.log" 2>&1 &
    server_pid=$!
    wait_until "$LIMIT_DAEMON" "a server on $NBD_SOCKET" test -S "$NBD_SOCKET"
}

# server_nbdkit OPTION...: nbdkit with the image.
server_nbdkit() {
    server_start nbdkit -f -U "$NBD_SOCKET" "$@" file "$NBD_IMAGE"
}

server_qemu() {
    server_start qemu-nbd -t -e 0 -f raw -k "$NBD_SOCKET" "$NBD_IMAGE"
}

# server_bad HOW [ARGUMENT]: see nbdserver.py.
server_bad() {
    server_start "$LIB/nbdserver.py" "$NBD_SOCKET" "$NBD_IMAGE" "$@"
}

server_kill() {
    [ -n "$server_pid" ] || return 0
    kill -KILL "$server_pid" 2>/dev/null
    wait "$server_pid" 2>/dev/null || true
    server_pid=
}

# worker_kill: the one of $domain's xvda; until a successor serves.
worker_kill() {
    local old
    old=$(disk_field "$domain/xvda" .worker.pid)
    kill -KILL "$old"
    wait_until "$LIMIT_RECOVERY" "a successor of worker $old" worker_replaced "$domain/xvda" "$old"
}

server_is_connected() {
    disk_is "$domain/xvda" .server.connected true
}
