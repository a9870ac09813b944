#!/bin/bash
# SPDX-License-Identifier: MIT
# Nothing is watched when the configuration says so, by either of its keys, or with one processor; guests are served all the same.
. "$(dirname "$0")/../../lib/blkback.sh"
domain=$(simxen create)
mkdir -p "$WORK"
truncate -s 16M "$WORK/disk.img"

serve() {
    disk_attach "$domain" xvda "raw:$WORK/disk.img"
    guest "$domain" blk --depth 4 --time 1 --verify-all "$@" --state "$WORK/state" "$XVDA"
    say "$(control show --json "$domain/xvda" | jq -c '{requests, events, polls}')"
    expect "watches" '{"hit":0,"missed":0}' "$(disk_field "$domain/xvda" '.polls | tojson')"
    disk_detach "$domain" xvda
}

daemon_start_with --poll-time=0
serve --blank
daemon_end TERM

daemon_start_with --poll-time=10000 --poll-budget=0
serve
daemon_end TERM

# What it starts inherits the processor.
taskset -p -c "$(taskset -pc $$ | sed 's/.*: *//; s/[,-].*//')" $$ >/dev/null
daemon_start_with --poll-time=10000 --poll-budget=100
serve
