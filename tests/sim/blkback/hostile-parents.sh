#!/bin/bash
# SPDX-License-Identifier: MIT
# A worker that was taken over says what it likes of an image's parents: nothing is opened that the image's folder does not hold, what cannot have
# been meant ends the worker, and no descriptor is kept.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3
fake=$(realpath "$(dirname "$0")/../../lib/worker.py")
mkdir -p "$WORK/images"
truncate -s 1M "$WORK/images/disk.vhd" "$WORK/images/other.vhd" "$WORK/secret"

# pretend HOW REASON...: such a worker is asked about an image.
pretend() {
    local how=$1
    shift
    TEST_WORKER_PARENT=$how daemon_start_with --worker="$fake"
    domain=$(simxen create)
    disk_refused "$domain" xvda "vhd:$WORK/images/disk.vhd" "$@"
    secret=$(find "/proc/$daemon_pid/fd" -lname "$WORK/*.vhd" -o -lname "$WORK/secret")
    [ -z "$secret" ] || fail "images are kept open ($how): $secret"
    daemon_end TERM
}
pretend /etc/passwd "is absolute"
pretend ../secret "leaves the child's folder"
pretend disk.vhd "the chain of parents is a loop"
pretend other.vhd "the chain of parents is a loop"
pretend none "names no parent"
pretend control "control character"
for how in endless long count kind unknown-kind; do
    pretend "$how" "its worker ended again and again" "killed for an impossible message"
done
