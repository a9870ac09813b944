#!/bin/bash
# SPDX-License-Identifier: MIT
# A parked disk can be detached, also when the supervisor was started meanwhile, and its place used again; a guest that is destroyed with one leaves nothing.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/parking.sh"

no_files() { [ ! -e "$(echo "$RUN"/blkback/*)/$XVDA" ]; }

# parked_detach: the guest gives up its requests, since they can have no answer.
parked_detach() {
    disk_detach "$domain" xvda
    wait "$started" && fail "the guest ended well, without its answer"
    wait_until "$LIMIT_ATTACH" "the disk's files to go" no_files
}

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvdb ram:16M
park_disk "$domain" xvda "$XVDA"
parked_detach

park_disk "$domain" xvda "$XVDA"
daemon_end KILL
daemon_start
wait_parked "$domain/xvda"
parked_detach

disk_attach "$domain" xvda ram:16M
expect "what is told of the new disk" null "$(disk_field "$domain/xvda" .parked)"
simxen fault "$domain" none
guest "$domain" blk --requests 500 --blank --verify-all "$XVDA"
disk_detach "$domain" xvda

# A guest that starts anew, as by kexec, has no use for what its former life asked for.
park_disk "$domain" xvda "$XVDA"
kill -KILL "$started"
simxen fault "$domain" none
guest_start "$domain" blk --time 0 --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "the new life to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
daemon_end TERM
daemon_start
wait_until "$LIMIT_RECOVERY" "the new life to be served on" disk_is "$domain/xvda" .activity connected
wait_until "$LIMIT_REQUEST" "more requests of it" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
guest_stop "$started"
disk_detach "$domain" xvda

park_disk "$domain" xvda "$XVDA"
simxen destroy "$domain"
nothing_left() { [ -z "$(find "$RUN/blkback" "$WORK/ram" -mindepth 1)" ]; }
wait_until "$LIMIT_DAEMON" "everything of the guest to go" nothing_left
gone() { ! grep -q "^ *$domain " <<<"$(simxen list)"; }
wait_until "$LIMIT_DAEMON" "the domain to go" gone
