#!/bin/bash
# SPDX-License-Identifier: MIT
# The supervisor is killed at each step of a snapshot, alone and with the worker, and workers at any moment: each time the snapshot is made or not, nothing else is
# left, and what the guest wrote is there.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/images.sh"
need strace
"$RINGCTL" vhd create 16M disk.vhd
disk_attach "$domain" xvda "vhd:$WORK/images/disk.vhd"
guest_start "$domain" blk --time 0 --blank --state "$WORK/model" --verify-all "$XVDA"
user=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 50

snapshot() {
    control snapshot --timeout="$LIMIT_RECOVERY" "$domain/xvda" "$1" >"$WORK/said" 2>&1
}

parents() {
    disk_field "$domain/xvda" '.parents | length'
}

# whole: of the files that are there, each is the image or one of its parents.
whole() {
    [ "$(disk_field "$domain/xvda" '.snapshot // "none"')" = none ] && [ "$(find . -type f | wc -l)" = $(($(parents) + 1)) ]
}

# settle WHAT NUMBER: there are so many parents, or one more.
settle() {
    wait_until "$LIMIT_RECOVERY" "the disk to be served ($1)" disk_is "$domain/xvda" .activity connected
    wait_until "$LIMIT_RECOVERY" "a snapshot or none ($1): $(ls)" whole
    case $(parents) in
    "$2" | $(($2 + 1))) ;;
    *) fail "$(parents) parents after $2 ($1)" ;;
    esac
    wait_until "$LIMIT_REQUEST" "requests to be served ($1)" has_served "$domain/xvda" "$(($(disk_field "$domain/xvda" .requests.read) + 50))"
}

# dies_before CALL NUMBER PATH WHOM: the supervisor, when a thread of its is about to make the NUMBERth such call that has to do with the path; with the worker,
# if WHOM says both.
dies_before() {
    local asking tracer before worker
    before=$(parents)
    worker=$(disk_field "$domain/xvda" .worker.pid)
    strace -f -q -o /dev/null -P "$3" -e "trace=$1" -e "inject=$1:signal=SIGKILL:when=$2" -p "$daemon_pid" 2>/dev/null &
    tracer=$!
    wait_until "$LIMIT_DAEMON" "strace" grep -q "^TracerPid:[[:space:]]*$tracer" "/proc/$daemon_pid/status"
    snapshot "before-$1-$2-$4.vhd" &
    asking=$!
    wait_until "$LIMIT_DAEMON" "the supervisor to die before $1 $2" dead "$daemon_pid"
    wait "$tracer" "$asking" || true
    [ "$4" = alone ] || kill -KILL "$worker" 2>/dev/null || true
    daemon_end KILL
    daemon_start
    settle "$1 $2 $4" "$before"
}

rename=renameat # glibc's
[ "$(uname -m)" = x86_64 ] || rename=renameat2
for whom in alone both; do
    # The child is created, written, synced; the image is synced; it gets its second name, which is opened and synced; the child is renamed, and that is synced.
    while read -r call number path; do
        dies_before "$call" "$number" "$path" $whom
    done <<END
openat 2 $PWD
pwrite64 1 $PWD/disk.vhd.partial
pwrite64 3 $PWD/disk.vhd.partial
fsync 1 $PWD/disk.vhd.partial
fdatasync 1 $PWD/disk.vhd
linkat 1 $PWD
openat2 1 $PWD
fsync 1 $PWD
$rename 1 $PWD
fsync 2 $PWD
END
done
expect "snapshots of which all was done" 2 "$(parents)"

# The same name again, where the dead would have left it: after the end of the host there is no record.
ln disk.vhd again.vhd
touch disk.vhd.partial
snapshot again.vhd || fail "what was left is in the way: $(cat "$WORK/said")"
expect "the nearest parent" "$WORK/images/again.vhd" "$(disk_field "$domain/xvda" '.parents[0]')"
[ ! -e disk.vhd.partial ] || fail "what was left is left still"

# At any moment.
for ((i = 0; i < 12; i++)); do
    before=$(parents)
    worker=$(disk_field "$domain/xvda" .worker.pid)
    snapshot "any-$i.vhd" &
    asking=$!
    sleep "0.$((RANDOM % 25 + 100))"
    case $((i % 3)) in
    0) kill -KILL "$worker" ;;
    1) kill -KILL "$worker" "$daemon_pid" ;;
    2) kill -KILL "$daemon_pid" ;;
    esac 2>/dev/null || true
    if [ $((i % 3)) -ne 0 ]; then
        daemon_end KILL
        daemon_start
    fi
    wait "$asking" || [ $((i % 3)) -ne 0 ] || fail "a worker's death took the snapshot with it: $(cat "$WORK/said")"
    settle "any $i" "$before"
done

# A worker that ends before it has said what the image is.
worker=$(disk_field "$domain/xvda" .worker.pid)
kill -STOP "$worker"
snapshot asked.vhd &
asking=$!
wait_until "$LIMIT_ATTACH" "the wish to be taken" disk_is "$domain/xvda" .snapshot.step describing
kill -KILL "$worker"
wait "$asking" || fail "a worker's death took the wish with it: $(cat "$WORK/said")"

# A guest that lets go meanwhile.
kill -STOP "$(disk_field "$domain/xvda" .worker.pid)"
snapshot gone.vhd &
asking=$!
wait_until "$LIMIT_ATTACH" "the wish to be taken" disk_is "$domain/xvda" .snapshot.step describing
kill -CONT "$(disk_field "$domain/xvda" .worker.pid)"
guest_stop "$user"
disk_detach "$domain" xvda
wait "$asking" || true
[ ! -e disk.vhd.partial ] || fail "a child is left that nobody wants"
mapfile -t chain < <("$RINGCTL" vhd info --json disk.vhd | jq -r '.parents[]')
expect "the files" $((${#chain[@]} + 1)) "$(find . -type f | wc -l)"
"$RINGCTL" vhd check disk.vhd
"$RINGCTL" vhd convert vhd:disk.vhd raw:"$WORK/check.raw"
simguest check "$WORK/model.$XVDA" "$WORK/check.raw"
"$LIB/vhdread.py" disk.vhd "${chain[@]}" | cmp - "$WORK/check.raw" || fail "another reader reads something else"
