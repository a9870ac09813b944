#!/bin/bash
# SPDX-License-Identifier: MIT
# /vm/UUID goes while its guest lives, as it does when a guest was migrated to the same host and the source is destroyed: the supervisor,
# killed and started again, knows the guest by its own directory.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
xenstore-rm "$(xenstore-read "/local/domain/$domain/vm")"
daemon_end KILL
daemon_start
wait_until "$LIMIT_RECOVERY" "the disk to be served" disk_is "$domain/xvda" .activity connected
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
guest_stop "$started"
disk_detach "$domain" xvda
