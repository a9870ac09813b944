#!/bin/bash
# SPDX-License-Identifier: MIT
# A chain of four snapshots is coalesced under the guest's verified I/O, with a limit, cancelled, and gone on with: in the end the image stands by itself, its
# parents, which stay as they were, are nobody's any more, and other programs read in it alone what the guest wrote.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/images.sh"
half_used 24

coalesce() {
    control coalesce "$domain/xvda" "$@"
}

# refused REASON [OPTION]...
refused() {
    local reason=$1 said
    shift
    said=$(coalesce "$@" 2>&1) && fail "coalesced, with '$*'"
    [[ $said == *"$reason"* ]] || fail "refused, but not for '$reason': $said"
}

served 300
refused "it has no parent"
refused "it is not being coalesced" --cancel
refused "is no number" --limit=much
refused "stands alone" --cancel --limit=1M
for ((i = 0; i < 4; i++)); do
    control snapshot --timeout="$LIMIT_ATTACH" "$domain/xvda" "kept-$i.vhd" >/dev/null
    sha256sum "kept-$i.vhd" >>"$WORK/sums"
    served 200
done
expect "the parents" 4 "$(disk_field "$domain/xvda" '.parents | length')"

# With so little a second it does not end before it is stopped.
coalesce --background --limit=1
under_way() { [ "$(disk_field "$domain/xvda" '.coalesce.done // 0')" -gt 0 ]; }
wait_until "$LIMIT_REQUEST" "something to be copied" under_way
served 100
expect "the limit" 1 "$(disk_field "$domain/xvda" .coalesce.limit)"
control show "$domain/xvda" | grep -A3 '^coalesced$' >"$WORK/shown"
grep -q 'of *48M' "$WORK/shown" || fail "it is shown as: $(cat "$WORK/shown")"
[ "$(disk_field "$domain/xvda" .coalesce.done)" -lt $((48 << 20)) ] || fail "there is no limit"
for change in "resize 64M" "snapshot more.vhd"; do
    said=$(control "${change% *}" "$domain/xvda" "${change#* }" 2>&1) && fail "done meanwhile: $change"
    [[ $said == *"it is being coalesced"* ]] || fail "$change was refused, but not for that: $said"
done
coalesce --cancel
refused "it is not being coalesced" --cancel
expect "what is told of it then" null "$(disk_field "$domain/xvda" .coalesce)"
expect "the parents after that" 4 "$(disk_field "$domain/xvda" '.parents | length')"
served 100

# Another limit while it goes on, then none: who waits sees the end.
coalesce --limit=1 >"$WORK/said" 2>&1 &
waiting=$!
wait_until "$LIMIT_REQUEST" "something to be copied" under_way
coalesce
wait "$waiting" || fail "who waited saw: $(cat "$WORK/said")"
grep -q "needs no parent any more" "$WORK/said" || fail "who waited was told: $(cat "$WORK/said")"
expect "the parents" 0 "$(disk_field "$domain/xvda" '.parents | length')"
expect "why it failed" null "$(disk_field "$domain/xvda" .coalesce_error)"
served 100
unused() {
    local file
    for file in kept-*.vhd; do
        flock -n -x "$file" true || return 1
    done
    ! find "/proc/$daemon_pid/fd" "/proc/$(worker_pids)/fd" -lname '*kept-*' | grep -q .
}
wait_until "$LIMIT_RECOVERY" "everybody to let go of the parents" unused
refused "it has no parent"
expect "deaths of workers" 0 "$(disk_field "$domain/xvda" .worker.restarts)"
sha256sum --quiet -c "$WORK/sums" || fail "a parent was written to"
rm kept-*.vhd

# And a snapshot of that, whose child is given all of it again.
control snapshot --timeout="$LIMIT_ATTACH" "$domain/xvda" again.vhd
served 100
coalesce
guest_stop "$user"
disk_detach "$domain" xvda
rm again.vhd
expect "the type" dynamic "$("$RINGCTL" vhd info --json disk.vhd | jq -r .type)"
half_right 24
