#!/bin/bash
# SPDX-License-Identifier: MIT
# Another version takes over while each guest has a disk that waits for an image somebody else uses: the guests' turns to be replaced come all
# the same, and the disks are served when the images are free.
. "$(dirname "$0")/../../lib/blkback.sh"
need flock

daemon_start
for i in 0 1; do
    domains[i]=$(simxen create)
    truncate -s 8M "$WORK/$i.img"
    flock --no-fork "$WORK/$i.img" sleep 1000 &
    holders[i]=$!
    guest_pids+=("$!") # ended at exit like them
    disk_attach "${domains[i]}" xvda ram:8M
    guest_start "${domains[i]}" blk --time 0 --blank --verify-all "$XVDA"
    users[i]=$started
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "${domains[i]}/xvda" 10
    is_locked() { ! flock --nonblock "$WORK/$i.img" true; }
    wait_until "$LIMIT_DAEMON" "somebody else to use the image" is_locked
    disk_attach "${domains[i]}" xvdb "raw:$WORK/$i.img"
    guest_start "${domains[i]}" blk --requests 200 "$XVDB"
    waiters[i]=$started
    wait_until "$LIMIT_ATTACH" "the disk to wait" disk_is "${domains[i]}/xvdb" .activity waiting-for-image
done

replaced() {
    disk_is "$1/xvda" .worker.version "$2" && disk_is "$1/xvda" .activity connected && disk_is "$1/xvdb" .activity waiting-for-image
}
for build in foreign own newer; do
    daemon_end KILL
    daemon_of "$build"
    case $build in foreign) version=0.2.0 ;; newer) version=0.1.1 ;; *) version=0.1.0 ;; esac
    daemon_start_with --replace-parallel=1
    for domain in "${domains[@]}"; do
        wait_until "$LIMIT_RECOVERY" "a worker of version $version for guest $domain" replaced "$domain" "$version"
    done
done

for i in 0 1; do
    kill "${holders[i]}"
    guest_finish "${waiters[i]}"
    guest_stop "${users[i]}"
done
