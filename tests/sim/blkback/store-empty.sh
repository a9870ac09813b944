#!/bin/bash
# SPDX-License-Identifier: MIT
# xenstored comes back without its content: that proves no guest's death. Nothing is ended or removed, and a worker that dies
# is succeeded; when the nodes are there again, the
# disk is taken over. The guest is stopped meanwhile, because it would see them go, which one of a real host does not.
. "$(dirname "$0")/../../lib/blkback.sh"
readonly BACK=/local/domain/0/backend
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:16M
guest_start "$domain" blk --time 0 --blank --verify-all "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 100
worker=$(worker_pids)
daemon_end KILL
kill -STOP "$started"
xenstore-ls -f "$BACK" >"$WORK/nodes"
xenstore-rm "$BACK"
daemon_start
sleep 2 # it has looked again
alive "$worker" || fail "the worker was ended"
[ -e "$(echo "$RUN/blkback/$domain"-*/"$XVDA/connection")" ] || fail "the record of the connection is gone"
[ -n "$(ls "$WORK/ram")" ] || fail "the RAM disk is gone"
kill -KILL "$worker"
wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$domain/xvda" "$worker"

nodes=()
while read -r node value; do
    nodes+=("$node" "$value")
done < <(sed -n 's|^\([^ ]*\) = "\(..*\)"$|\1 \2|p' "$WORK/nodes")
xenstore-write "${nodes[@]}"
xenstore-chmod -r "$BACK/vbd/$domain/$XVDA" n0 "r$domain"
kill -CONT "$started"
wait_until "$LIMIT_RECOVERY" "the disk to be served" disk_is "$domain/xvda" .activity connected
wait_until "$LIMIT_REQUEST" "more requests to be served" has_served "$domain/xvda" "$(disk_field "$domain/xvda" .requests.read)"
guest_stop "$started"
disk_detach "$domain" xvda
