#!/bin/bash
# SPDX-License-Identifier: MIT
# ringctl takes domains by name, as xl names them, and says so when there is none of that name.
. "$(dirname "$0")/../../lib/blkback.sh"

# exits STATUS WORD COMMAND...: the command must fail so, and say the word.
exits() {
    local wanted=$1 word=$2 said status=0
    shift 2
    said=$(control "$@" 2>&1) || status=$?
    expect "the exit status of $*" "$wanted" "$status"
    [[ $said == *"$word"* ]] || fail "$* said: $said"
}

daemon_start
domain=$(simxen create)
xenstore-write "/local/domain/$domain/name" mail
disk_attach mail xvda ram:16M
expect "the disk of mail" "$domain" "$(disk_field mail/xvda .domid)"
expect "a device by its number" "$domain" "$(disk_field mail/51712 .domid)"
exits 4 "there is no domain called 'web'" show web/xvda
exits 4 "there is no domain called 'web'" attach disk web xvdb ram:16M
exits 4 "xvdb" show mail/xvdb
exits 4 "" detach mail/xvdb
exits 2 "is not DOM/DEV" show mail
exits 2 "is not a device" show mail/sound
exits 1 "" attach disk mail xvda ram:16M
exits 1 "" resume mail/xvda
disk_detach mail xvda
