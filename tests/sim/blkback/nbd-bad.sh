#!/bin/bash
# SPDX-License-Identifier: MIT
# Servers that talk nonsense, or have what cannot be a disk: refused with the reason when they are attached; waited for, or failed, when they turn bad later. No worker
# dies of one, and the guest's other disk is served all the time.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/nbd.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvdb ram:16M
guest_start "$domain" blk --time 0 "$XVDB"
bystander=$started
wait_until "$LIMIT_REQUEST" "the other disk to be served" has_served "$domain/xvdb" 100
truncate -s 16M "$NBD_IMAGE"

# The first disk of a server that this worker is asked for: it is succeeded, once, by one that has libnbd.
server_nbdkit
disk_attach "$domain" xvda "$NBD_SPEC"
disk_detach "$domain" xvda
server_kill
deaths=$(disk_field "$domain/xvdb" .worker.restarts)

refused_by() {
    local reason=$1
    shift
    server_bad "$@"
    disk_refused "$domain" xvda "$NBD_SPEC" "$reason"
    server_kill
}

disk_refused "$domain" xvda "$NBD_SPEC" "cannot connect"
disk_refused "$domain" xvda "nbd:nbds://localhost/" "TLS"
disk_refused "$domain" xvda "nbd:/dev/nbd0" "is neither"
refused_by "no export named" refuses
refused_by "magic" garbage
refused_by "did not say within 10 s" mute
refused_by "read-only" readonly
refused_by "1000 bytes: not a positive multiple" odd 1000
refused_by "no blocks of less than 4096" blocks 4096

# What it may be asked for, it does: read-only as such.
server_bad readonly
disk_attach "$domain" xvda "$NBD_SPEC" --ro
guest "$domain" blk --time 1 --read 100 --flush 0 "$XVDA"
disk_detach "$domain" xvda
server_kill

# Good when it was attached, and then another one has its place: waited for, and no answer is believed.
for how in garbage short magic cookie shutdown hangs-up shrinks "odd 4096"; do
    server_nbdkit
    disk_attach "$domain" xvda "$NBD_SPEC"
    guest_start "$domain" blk --time 0 "$XVDA"
    victim=$started
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 20
    server_kill
    # shellcheck disable=SC2086
    server_bad $how
    sleep 1.5
    server_kill
    alive "$victim" || fail "the guest has ended while its server said $how"
    server_nbdkit
    served=$(disk_field "$domain/xvda" .requests.read)
    wait_until "$LIMIT_REQUEST" "requests to be served after $how" has_served "$domain/xvda" $((served + 20))
    guest_stop "$victim"
    disk_detach "$domain" xvda
    server_kill
done

server_bad errors
disk_attach "$domain" xvda "$NBD_SPEC"
guest "$domain" blk --requests 20 --flush 0 --allow-errors --json "$XVDA" >"$WORK/result"
expect "errors of a server that fails" 20 "$(jq '.devices[0].errors' "$WORK/result")"
disk_detach "$domain" xvda
guest_stop "$bystander"
expect "deaths" "$deaths" "$(disk_field "$domain/xvdb" .worker.restarts)"
