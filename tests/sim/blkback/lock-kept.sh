#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest that waits for an image does not get it in the moment in which the supervisor was restarted, its user's old worker died with it and the
# new one is not yet there. That moment lasts as long as the test holds the fence.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
first=$(simxen create)
second=$(simxen create)
truncate -s 16M "$WORK/disk.img"
disk_attach "$first" xvda "raw:$WORK/disk.img"
guest_start "$first" blk --time 0 --blank "$XVDA"
wait_until "$LIMIT_REQUEST" "the first guest to be served" has_served "$first/xvda" 100
user=$started
control attach --timeout="$LIMIT_ATTACH" disk "$second" xvda "raw:$WORK/disk.img" >/dev/null
guest_start "$second" blk --time 1 "$XVDA"
wait_until "$LIMIT_REQUEST" "the second guest to wait" disk_is "$second/xvda" .activity waiting-for-image

worker=$(cut -d' ' -f1 "$RUN/blkback/$first"-*/worker)
exec 9>"$(echo "$RUN/blkback/$first"-*/fence)"
daemon_end KILL
kill -KILL "$worker"
wait_until "$LIMIT_DAEMON" "the old worker to end" dead "$worker"
daemon_start 9>&-
wait_until "$LIMIT_REQUEST" "the second guest to wait again" disk_is "$second/xvda" .activity waiting-for-image
sleep 1 # twenty attempts
expect "the second guest's disk" waiting-for-image "$(disk_field "$second/xvda" .activity)"
exec 9>&-
wait_until "$LIMIT_RECOVERY" "the first guest to be served" disk_is "$first/xvda" .activity connected
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$first/xvda" "$(disk_field "$first/xvda" .requests.read)"
expect "the second guest's disk" waiting-for-image "$(disk_field "$second/xvda" .activity)"
guest_stop "$user"
disk_detach "$first" xvda
guest_finish "$started"
disk_detach "$second" xvda
