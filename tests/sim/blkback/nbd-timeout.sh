#!/bin/bash
# SPDX-License-Identifier: MIT
# With a limit, a guest whose server is away gets I/O errors when it is over, and at once from then on; when a server is there again, everything works. The same of
# a server that is there and answers nothing, which must be gone before there is another connection. The guest's other disk is served all the time.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/nbd.sh"
daemon_start_with --log-level=info --nbd-timeout=2
domain=$(simxen create)
truncate -s 16M "$NBD_IMAGE"
disk_attach "$domain" xvdb ram:16M
server_nbdkit
disk_attach "$domain" xvda "$NBD_SPEC"
guest_start "$domain" blk --time 0 --allow-errors --json "$XVDA"
victim=$started
guest_start "$domain" blk --time 0 "$XVDB"
bystander=$started

# served: how many requests were answered, one way or the other.
served() {
    disk_field "$domain/xvda" '.requests | add'
}

served_more() {
    [ "$(served)" -ge "$1" ]
}

# fails: without a server that answers, what is answered can only be an error.
fails() {
    local before
    before=$(disk_field "$domain/xvdb" .requests.read)
    wait_until "$LIMIT_REQUEST" "requests to fail" served_more $(($(served) + 500))
    wait_until "$LIMIT_REQUEST" "the other disk to be served" has_served "$domain/xvdb" "$before"
}

works() {
    wait_until "$LIMIT_REQUEST" "a connection" server_is_connected
    wait_until "$LIMIT_REQUEST" "requests to be served" served_more $(($(served) + 500))
}

works
server_kill
wait_until "$LIMIT_REQUEST" "the reason to be shown" disk_is "$domain/xvda" '.server.error | test("cannot connect")' true
fails
server_nbdkit
works
server_kill
server_bad deaf
wait_until "$LIMIT_REQUEST" "the reason to be shown" disk_is "$domain/xvda" '.server.error | test("did not answer within 2 s")' true
fails
server_kill
server_nbdkit
works
guest_stop "$bystander"
guest_stop "$victim" >"$WORK/result"
errors=$(jq '.devices[0].errors' "$WORK/result")
[ "$errors" -ge 500 ] || fail "the guest saw $errors errors"
expect "deaths" "ended for a successor that has libnbd" "$(disk_field "$domain/xvda" .worker.last_death)"
