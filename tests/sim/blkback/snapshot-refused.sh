#!/bin/bash
# SPDX-License-Identifier: MIT
# Snapshots that cannot be are refused with the reason, and change nothing: the guest goes on, no file appears. A disk that waits for an image of which a snapshot
# is made gets what bears the name afterwards.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3
RINGCTL=$RINGBACK_BUILD/tools/ringctl/ringctl
daemon_start
domain=$(simxen create)
mkdir -p "$WORK/images/below" "$WORK/elsewhere"
cd "$WORK/images"
"$RINGCTL" vhd create 8M disk.vhd

# refused DEV FILE REASON [STATUS]
refused() {
    local said status=0
    said=$(control snapshot --timeout="$LIMIT_ATTACH" "$domain/$1" "$2" 2>&1) || status=$?
    expect "the status of $2 ($said)" "${4:-1}" $status
    [[ $said == *"$3"* ]] || fail "$2 was refused, but not for '$3': $said"
    say "refused: $said"
}

refused xvda kept.vhd "serves no" 4
refused vif0 kept.vhd "network card" 2
disk_attach "$domain" xvda "vhd:$WORK/images/disk.vhd"
refused xvda kept.vhd "not connected"
guest_start "$domain" blk --time 0 --blank --state "$WORK/model" --verify-all "$XVDA"
user=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 50
files=$(find .. -type f -path '*/images/*' | sort)
touch "$WORK/there.vhd" && ln -s "$WORK/there.vhd" taken.vhd
refused xvda taken.vhd "is there already"
rm taken.vhd
refused xvda disk.vhd "needs"
refused xvda disk.vhd.partial "needs"
refused xvda below/kept.vhd "not in the image's folder"
refused xvda "$WORK/elsewhere/kept.vhd" "not in the image's folder"
refused xvda "$WORK/nowhere/kept.vhd" "cannot find the folder"
refused xvda below/ "no name" 2
refused xvda .. "no name"
refused xvda $'line\nbreak' "control character"
refused xvda "$(printf '%0300d' 0)" "no name"

# fails CALL ERROR PATH REASON: the supervisor's calls of that kind that have to do with the path.
fails() {
    local tracer
    strace -f -q -o /dev/null -P "$3" -e "trace=$1" -e "inject=$1:error=$2" -p "$daemon_pid" 2>/dev/null &
    tracer=$!
    wait_until "$LIMIT_DAEMON" "strace" grep -q "^TracerPid:[[:space:]]*$tracer" "/proc/$daemon_pid/status"
    refused xvda kept.vhd "$4"
    wait_until "$LIMIT_ATTACH" "what is left to be removed" disk_is "$domain/xvda" '.snapshot // "none"' none
    kill -INT "$tracer"
    wait "$tracer" || true
    wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" "$(($(disk_field "$domain/xvda" .requests.read) + 50))"
}
if command -v strace >/dev/null; then
    rename=renameat # glibc's
    [ "$(uname -m)" = x86_64 ] || rename=renameat2
    fails pwrite64 ENOSPC "$PWD/disk.vhd.partial" "No space left on device"
    fails fdatasync EIO "$PWD/disk.vhd" "cannot be synced: Input/output error"
    fails linkat EPERM "$PWD" "cannot be made: Operation not permitted"
    fails $rename EACCES "$PWD" "cannot be replaced: Permission denied"
fi
expect "the files" "$files" "$(find .. -type f -path '*/images/*' | sort)"
expect "the number of parents" 0 "$(disk_field "$domain/xvda" '.parents | length')"

# Somebody waits for the image, which is a parent when he gets it.
other=$(simxen create)
disk_attach "$other" xvda "vhd:$WORK/images/disk.vhd"
guest_start "$other" blk --time 0 --state "$WORK/model" --verify-all "$XVDA"
waiter=$started
wait_until "$LIMIT_ATTACH" "the other to wait" disk_is "$other/xvda" .activity waiting-for-image
control snapshot --timeout="$LIMIT_ATTACH" "$domain/xvda" kept.vhd
sum=$(sha256sum <kept.vhd)
guest_stop "$user"
disk_detach "$domain" xvda
wait_until "$LIMIT_REQUEST" "the other to be served" has_served "$other/xvda" 50
expect "the parent of the other" "$WORK/images/kept.vhd" "$(disk_field "$other/xvda" '.parents[0]')"
guest_stop "$waiter"
disk_detach "$other" xvda
expect "the snapshot" "$sum" "$(sha256sum <kept.vhd)"
refused xvda kept2.vhd "serves no" 4

# connected SPEC [OPTION]...: the guest uses that.
connected() {
    disk_attach "$domain" xvda "$@"
    guest_start "$domain" blk --time 0 --blank "$XVDA"
    user=$started
    wait_until "$LIMIT_REQUEST" "$1 to be served" has_served "$domain/xvda" 50
}

let_go() {
    guest_stop "$user"
    disk_detach "$domain" xvda
}

truncate -s 8M raw.img
connected "raw:$WORK/images/raw.img"
refused xvda kept2.vhd "its image is raw"
let_go
connected ram:8M
refused xvda kept2.vhd "a RAM disk"
let_go
"$RINGCTL" vhd create 8M c0.vhd
for ((i = 1; i <= 60; i++)); do
    "$RINGCTL" vhd snapshot c$((i - 1)).vhd c$i.vhd
done
connected "vhd:$WORK/images/c60.vhd"
refused xvda kept2.vhd "60 parents"
let_go
connected "vhd:$WORK/images/c59.vhd"
control snapshot --timeout="$LIMIT_ATTACH" "$domain/xvda" c59-kept.vhd
expect "the number of parents" 60 "$(disk_field "$domain/xvda" '.parents | length')"
let_go
disk_attach "$domain" xvda "vhd:$WORK/images/disk.vhd" --ro
guest_start "$domain" blk --time 0 --read 100 "$XVDA"
user=$started
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$domain/xvda" 50
refused xvda kept2.vhd "it is read-only"
let_go
[ ! -e kept2.vhd ] || fail "a snapshot that was refused is there"
