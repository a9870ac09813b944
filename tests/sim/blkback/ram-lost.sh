#!/bin/bash
# SPDX-License-Identifier: MIT
# The content of a RAM disk is lost while no supervisor runs, and its worker, who held it, died with that: the disk is closed with the reason, and
# nobody is given zeros for it.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
for lost in missing shorter; do
    disk_attach "$domain" xvda ram:16M
    guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
    worker=$(disk_field "$domain/xvda" .worker.pid)
    daemon_end KILL
    kill -KILL "$worker"
    wait_until "$LIMIT_DAEMON" "the worker to end" dead "$worker"
    file=$(echo "$WORK/ram/$domain"-*)
    rm "$file"
    [ "$lost" = missing ] || : >"$file"
    daemon_start
    wait_until "$LIMIT_RECOVERY" "the disk to be closed" state_is "$domain" "$XVDA" 6
    [[ $(disk_field "$domain/xvda" .last_error) == *"$file"* ]] || fail "closed for another reason"
    [ ! -s "$file" ] || fail "a new disk was made"
    wait "$started" || true # its disk has failed
    ! grep -q "mismatches; " <(grep -v " 0 mismatches; " "$WORK/guest.$started") || fail "the guest was given other content"
    disk_detach "$domain" xvda
done
