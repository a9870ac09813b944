#!/bin/bash
# SPDX-License-Identifier: MIT
# Snapshots under a guest's verified I/O, four deep, of a disk beside another one: the guest notices nothing, the image keeps its name, each snapshot stays as
# it was made, and the chain is found again by the next connection. Other programs read the same of it, and of each snapshot.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/images.sh"

"$RINGCTL" vhd create 24M disk.vhd
"$RINGCTL" vhd create 24M other.vhd
chmod 640 disk.vhd
disk_attach "$domain" xvda "vhd:$WORK/images/disk.vhd"
disk_attach "$domain" xvdb "vhd:$WORK/images/other.vhd"
guest_start "$domain" blk --time 0 --blank --discard 5 --state "$WORK/model" --verify-all "$XVDA" "$XVDB"
user=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 50

# snapshot FILE: as an operator does it.
snapshot() {
    control snapshot --timeout="$LIMIT_ATTACH" "$domain/xvda" "$1"
}

number=0
for file in one.vhd "$WORK/images/two.vhd" ./three.vhd four.vhd; do
    worker=$(disk_field "$domain/xvda" .worker.pid)
    before=$(stat -c %i disk.vhd)
    snapshot "$file"
    number=$((number + 1))
    kept=$WORK/images/${file#"$WORK/images/"}
    kept=${kept/.\//}
    expect "what bears the given name" "$before" "$(stat -c %i "$kept")"
    expect "the nearest parent" "$kept" "$(disk_field "$domain/xvda" '.parents[0]')"
    expect "the number of parents" $number "$(disk_field "$domain/xvda" '.parents | length')"
    expect "the mode of the image" 640 "$(stat -c %a disk.vhd)"
    worker_replaced "$domain/xvda" "$worker" || fail "the worker that had the image serves on"
    sha256sum "$kept" >>"$WORK/sums"
    served 200
done
expect "deaths of workers" 0 "$(disk_field "$domain/xvda" .worker.restarts)"
expect "requests that were executed again" 0 "$(disk_field "$domain/xvda" .replayed)"
expect "its back end" 4 "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/state")"
expect "the image in xenstore" "vhd:$WORK/images/disk.vhd" "$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/params")"
guest_stop "$user"
disk_detach "$domain" xvda
disk_detach "$domain" xvdb
expect "what is there" "disk.vhd four.vhd one.vhd other.vhd three.vhd two.vhd" "$(find . -type f -printf '%P\n' | sort | xargs)"
sha256sum --quiet -c "$WORK/sums" || fail "a snapshot was written to"

# same IMAGE...: the image with its parents, as ringctl and a reader of our own see it.
same() {
    rm -f check.raw
    "$RINGCTL" vhd check "$1"
    "$RINGCTL" vhd convert "vhd:$1" raw:check.raw
    "$LIB/vhdread.py" "$@" | cmp - check.raw || fail "another reader reads something else of $1"
}
same one.vhd
same four.vhd three.vhd two.vhd one.vhd
same disk.vhd four.vhd three.vhd two.vhd one.vhd
simguest check "$WORK/model.$XVDA" check.raw

# The next connection finds what the name stands for.
disk_attach "$domain" xvda "vhd:$WORK/images/disk.vhd"
guest_start "$domain" blk --time 0 --state "$WORK/model" --verify-all "$XVDA"
user=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 50
expect "the number of parents" 4 "$(disk_field "$domain/xvda" '.parents | length')"
guest_stop "$user"
disk_detach "$domain" xvda
sha256sum --quiet -c "$WORK/sums" || fail "a snapshot was written to by the next connection"
