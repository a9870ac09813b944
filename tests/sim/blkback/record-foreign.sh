#!/bin/bash
# SPDX-License-Identifier: MIT
# A connection that another version recorded, whose front end agreed to persistent grants: when its journal is drained it is recorded anew, with
# its image, from what the front end says, and the guest's pages are mapped as before. With requests in flight it cannot be continued.
. "$(dirname "$0")/../../lib/blkback.sh"

# It may have recorded no image, or another way.
as_foreign() {
    rm "$disk_dir/image"
    printf '\143' | dd of="$disk_dir/connection" conv=notrunc status=none # version 99
}

daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
guest_dir=$(echo "$RUN/blkback/$domain"-*)
disk_dir=$guest_dir/$XVDA
before=$(disk_field "$domain/xvda" .grants.persistent)
[ "$before" -gt 0 ] || fail "there are no persistent grants"

# A newer version has its worker drained, and dies before there is another.
sleep 1000 9<>"$guest_dir/fence" & # as if its I/O were under way
holder=$!
guest_pids+=("$holder") # ended at exit like them
daemon_end KILL
daemon_of newer
daemon_start
wait_until "$LIMIT_RECOVERY" "the worker to be drained" disk_is "$domain/xvda" .worker.state fenced
daemon_end KILL
as_foreign
kill "$holder"
daemon_of own
daemon_start
wait_until "$LIMIT_RECOVERY" "the disk to be served" disk_is "$domain/xvda" .activity connected
expect "references to keep mapped" "$before" "$(disk_field "$domain/xvda" .grants.persistent)"
served=$(disk_field "$domain/xvda" .grants.requests)
mapped_again() { [ "$(disk_field "$domain/xvda" .grants.requests)" -gt "$((served + 100))" ]; }
wait_until "$LIMIT_REQUEST" "requests to be served from mapped pages" mapped_again
expect "the version of the record" 3 "$(od -An -tu4 -N4 "$disk_dir/connection" | tr -d ' ')"
[ -s "$disk_dir/image" ] || fail "the image is not recorded"
expect "what was executed again" 0 "$(disk_field "$domain/xvda" .replayed)"
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"

daemon_end KILL
worker=$(worker_pids)
kill -KILL "$worker"
wait_until "$LIMIT_DAEMON" "the worker to end" dead "$worker"
as_foreign
daemon_start
wait_until "$LIMIT_REQUEST" "the disk to be closed" state_is "$domain" "$XVDA" 6
reason=$(disk_field "$domain/xvda" .last_error)
[[ $reason == *"recorded by version 99 with requests in flight"* ]] || fail "closed for another reason: $reason"
kill -KILL "$started" 2>/dev/null || true # unless it has seen the end
