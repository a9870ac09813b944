# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What tests of parked disks share; to be sourced after blkback.sh.

# A request that its guest may wait for until somebody resumes the disk.
readonly LIMIT_PARKED=600

# The guests have no persistent grants: it is copies that are poisoned.
# The simulator's crashes are to be seen as they are without a sanitizer.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_segv=0
crashes_expected=1

# poison DOMID: whoever executes a guest's poisoned write (simguest blk --poison) crashes, until "simxen fault DOMID none".
poison() {
    simxen fault "$1" 'copy/1536:crash@*'
}

# poisoned_guest DOMID N DEVID OPTION...: starts verified load whose N-th request is poisoned; its process is $started.
poisoned_guest() {
    local domid=$1 request=$2 devid=$3
    shift 3
    guest_start "$domid" blk --persistent no --limit "$LIMIT_PARKED" --blank --verify-all --poison "$request" "$@" "$devid"
}

# healthy_guest DOMID DEVID OPTION...: the same without such a request, of whole pages too: beside one that has.
healthy_guest() {
    poisoned_guest "$1" 1000000000000 "$2" "${@:3}"
}

# wait_parked DOMID/DEV
wait_parked() {
    wait_until "$LIMIT_REQUEST" "$1 to be parked" disk_is "$1" .activity parked
}

# park_disk DOMID DEV DEVID: attaches a RAM disk, starts a guest on it and waits until its request has parked it.
park_disk() {
    disk_attach "$1" "$2" ram:16M
    poison "$1"
    poisoned_guest "$1" 200 "$3" --time 0
    wait_parked "$1/$2"
}
