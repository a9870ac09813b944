#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers and supervisors are killed while disks are made larger, step by step: each time the disk gets there, the guest is told, and what it wrote
# is there. A file that grew while nobody looked is noticed by the next one who does.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3 qemu-img
daemon_start
domain=$(simxen create)
cd "$WORK"
"$LIB/vhd_new.py" small.vhd $((8 << 20)) 65536
truncate -s 8M raw.img
disk_attach "$domain" xvda "vhd:$WORK/small.vhd"
disk_attach "$domain" xvdb "raw:$WORK/raw.img"
guest_start "$domain" blk --time 0 --blank --grows --span 64M --discard 5 --state model --verify-all --json "$XVDA" "$XVDB"
user=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 50

# told DEVID BYTES
told() {
    local back=/local/domain/0/backend/vbd/$domain/$1
    [ "$(xenstore-read "$back/sectors")" = $(($2 / 512)) ] && [ "$(xenstore-read "$back/state")" = 4 ]
}

# has SIZE: what is asked for again when the supervisor it was asked of is dead.
grown() {
    control resize --timeout=5 "$domain/xvda" "$1" >>"$WORK/said" 2>&1
}

size=$((8 << 20))
for ((i = 1; i <= 12; i++)); do
    size=$((size + 3145728 + 65536 * i))
    worker=$(disk_field "$domain/xvda" .worker.pid)
    grown $size &
    asking=$!
    truncate -s $size raw.img
    case $((i % 3)) in
    0) kill -KILL "$worker" ;;
    1) kill -KILL "$worker" "$daemon_pid" ;;
    2) kill -KILL "$daemon_pid" ;;
    esac
    if [ $((i % 3)) -ne 0 ]; then
        daemon_end KILL
        daemon_start
    fi
    wait "$asking" || true
    wait_until "$LIMIT_RECOVERY" "the disk to be served" disk_is "$domain/xvda" .activity connected
    wait_until "$LIMIT_RECOVERY" "the VHD to get its size" grown $size
    wait_until "$LIMIT_RECOVERY" "the guest to be told ($i)" told "$XVDA" $size
    wait_until "$LIMIT_RECOVERY" "the guest to be told of the raw disk ($i)" told "$XVDB" $size
done

# A worker that ends before it has done what the operator wants: its successor does it.
size=$((size + 2097152))
worker=$(disk_field "$domain/xvda" .worker.pid)
kill -STOP "$worker"
control resize --timeout="$LIMIT_RECOVERY" "$domain/xvda" "$size" >"$WORK/said" 2>&1 &
asking=$!
wait_until "$LIMIT_ATTACH" "the wish to be taken" disk_is "$domain/xvda" .resizing "$size"
kill -KILL "$worker"
wait "$asking" || fail "a worker's death took the wish with it: $(cat "$WORK/said")"
wait_until "$LIMIT_RECOVERY" "the guest to be told after the worker's death" told "$XVDA" "$size"

# One that had done it when all ended, before the guest was told.
size=$((size + 2097152))
kill -KILL "$(disk_field "$domain/xvda" .worker.pid)" "$daemon_pid"
daemon_end KILL
free() { flock -n -x small.vhd true; }
wait_until "$LIMIT_RECOVERY" "the dead to let go of the image" free
"$RINGBACK_BUILD/tools/ringctl/ringctl" vhd resize small.vhd "$size"
truncate -s "$size" raw.img
daemon_start
wait_until "$LIMIT_RECOVERY" "the guest to be told after the death of all" told "$XVDA" "$size"
wait_until "$LIMIT_RECOVERY" "the guest to be told of the raw disk after that" told "$XVDB" "$size"

# One that serves on, and has told a supervisor that ended with that: as xenstore would be then.
daemon_end KILL
xenstore-write "/local/domain/0/backend/vbd/$domain/$XVDA/sectors" $((size / 512 - 8))
daemon_start
wait_until "$LIMIT_RECOVERY" "the guest to be told by the next supervisor" told "$XVDA" "$size"

guest_stop "$user" >said
tail -n 1 said >result
for i in 0 1; do
    expect "the size that the guest saw of disk $i" $((size / 512)) "$(jq ".devices[$i].sectors" result)"
done
disk_detach "$domain" xvda
disk_detach "$domain" xvdb
qemu-img convert -f vpc -O raw small.vhd small.raw
truncate -s 64M raw.img small.raw
simguest check "model.$XVDA" small.raw
simguest check "model.$XVDB" raw.img
"$RINGBACK_BUILD/tools/ringctl/ringctl" vhd check small.vhd
