#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers and supervisors are killed again and again, at random and both at once, under guests that verify every answer and, at the end, every
# sector: on RAM, on a raw image, and on one VHD after the other, so that blocks are being allocated all the time. No guest sees anything.
# Data is copied, so that workers can be killed in the middle of that; with mapped grants they are killed by worker-killed-at.sh and on real Xen.
# RINGBACK_KILLS says how often (the soak tier: more), RINGBACK_SEED makes a run's kills those of another.
. "$(dirname "$0")/../../lib/blkback.sh"
need qemu-img vhdiinfo python3
load=(--persistent no --time 0 --blank --verify-all)

# One VHD after the other, with blocks of 2 MiB and of 64 KiB: written for some seconds, not so long that no block is left to be allocated,
# looked at with other programs' eyes, opened once more and read.
vhd_lives() {
    local domain=$1 life load disk=$WORK/disk.vhd
    for ((life = 1; ; life++)); do
        [ ! -e "$WORK/stop" ] || break
        rm -f "$disk" "$WORK/vhd.$XVDA"
        if [ $((life % 2)) -eq 0 ]; then
            qemu-img create -q -f vpc -o subformat=dynamic,force_size=on "$disk" 512M
            load=(--persistent no --size 4K-44K --read 85 --flush 30 --time 4)
        else
            "$LIB/vhd_new.py" "$disk" $((256 << 20)) 65536
            load=(--persistent no --size 4K-44K --read 60 --flush 30 --time 6)
        fi
        kept_control attach disk "$domain" xvda "vhd:$disk"
        guest "$domain" blk "${load[@]}" --blank --state "$WORK/vhd" "$XVDA"
        kept_control detach "$domain/xvda"
        qemu-img info -f vpc "$disk" >/dev/null
        vhdiinfo "$disk" >/dev/null
        qemu-img convert -f vpc -O raw "$disk" "$WORK/disk.raw"
        simguest check "$WORK/vhd.$XVDA" "$WORK/disk.raw"
        kept_control attach disk "$domain" xvda "vhd:$disk"
        guest "$domain" blk --requests 1 --read 100 --state "$WORK/vhd" --verify-all "$XVDA"
        kept_control detach "$domain/xvda"
    done
    say "$((life - 1)) VHDs"
}

daemon_keep --ram-dir="$WORK/ram"
ram=$(simxen create)
raw=$(simxen create)
vhd=$(simxen create)
truncate -s 64M "$WORK/disk.img"
disk_attach "$ram" xvda ram:32M
disk_attach "$raw" xvda "raw:$WORK/disk.img"
guest_start "$ram" blk "${load[@]}" "$XVDA"
ram_pid=$started
guest_start "$raw" blk "${load[@]}" --size 4K-44K --read 30 --flush 50 --state "$WORK/raw" "$XVDA"
raw_pid=$started
vhd_lives "$vhd" >"$WORK/lives.log" 2>&1 &
vhd_pid=$!
guest_pids+=("$vhd_pid")
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$ram/xvda" 100

random_kills 300
touch "$WORK/stop"
wait "$vhd_pid" || fail "a life on a VHD ended badly"
tail -n 1 "$WORK/lives.log"
guest_stop "$ram_pid"
guest_stop "$raw_pid"
disk_detach "$ram" xvda
disk_detach "$raw" xvda
simguest check "$WORK/raw.$XVDA" "$WORK/disk.img"
nothing_left() { [ -z "$(find "$RUN/blkback" "$WORK/ram" -mindepth 1)" ]; }
wait_until "$LIMIT_DAEMON" "everything to go with the last disk" nothing_left
