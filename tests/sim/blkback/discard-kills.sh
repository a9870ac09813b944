#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers, supervisors and both are killed while a guest discards on RAM, on a raw image, on a VHD with small blocks and on one with a parent: what
# was not answered is done again, and nothing that was written after a discard is lost to it.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3 qemu-img
RINGCTL=$RINGBACK_BUILD/tools/ringctl/ringctl
kills=${RINGBACK_KILLS:-20}
daemon_start
domain=$(simxen create)
cd "$WORK"
truncate -s 32M raw.img
"$LIB/vhd_new.py" small.vhd $((32 << 20)) 65536
"$RINGCTL" vhd create 32M base.vhd
"$RINGCTL" vhd snapshot base.vhd child.vhd
readonly XVDC=51744 XVDD=51760
disk_attach "$domain" xvda ram:16M
disk_attach "$domain" xvdb "raw:$WORK/raw.img"
disk_attach "$domain" xvdc "vhd:$WORK/small.vhd"
disk_attach "$domain" xvdd "vhd:$WORK/child.vhd"
guest_start "$domain" blk --persistent no --time 0 --blank --read 40 --discard 30 --discard-max 256K --flush 10 --state model --verify-all \
    "$XVDA" "$XVDB" "$XVDC" "$XVDD"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
for ((i = 1; i <= kills; i++)); do
    worker=$(disk_field "$domain/xvda" .worker.pid)
    case $((i % 10)) in
    3) kill -KILL "$worker" ;; # and the supervisor
    6) ;; # the supervisor alone
    *) kill -KILL "$worker" ;;
    esac
    if [ $((i % 10)) -eq 3 ] || [ $((i % 10)) -eq 6 ]; then
        daemon_end KILL
        daemon_start
    fi
    for disk in xvda xvdb xvdc xvdd; do
        wait_until "$LIMIT_RECOVERY" "$disk to be served" disk_is "$domain/$disk" .activity connected
        wait_until "$LIMIT_REQUEST" "requests of $disk to be served" has_served "$domain/$disk" "$(disk_field "$domain/$disk" .requests.read)"
    done
done
for disk in xvda xvdb xvdc xvdd; do
    [ "$(disk_field "$domain/$disk" .requests.discard)" -gt 20 ] || fail "$disk was hardly discarded on"
done
say "replayed: $(disk_field "$domain/xvdb" .replayed) of the raw image, $(disk_field "$domain/xvdc" .replayed) of the VHD"
[ "$(disk_field "$domain/xvdc" .replayed)" -gt 0 ] || fail "nothing was in flight"
guest_stop "$started"
for disk in xvda xvdb xvdc xvdd; do
    disk_detach "$domain" "$disk"
done
simguest check "model.$XVDB" raw.img
qemu-img convert -f vpc -O raw small.vhd small.raw
simguest check "model.$XVDC" small.raw
"$RINGCTL" vhd convert vhd:child.vhd raw:child.raw
simguest check "model.$XVDD" child.raw
"$RINGCTL" vhd check small.vhd
"$RINGCTL" vhd check child.vhd
