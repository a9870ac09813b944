#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers that end before they serve anything: the attach is refused with the reason, the log does not grow without bound, and once the
# program works again so does everything else.
. "$(dirname "$0")/../../lib/blkback.sh"
crashes_expected=1
mkdir -p "$WORK"
program=$WORK/worker
printf '#!/bin/sh\nexit 9\n' >"$program"
chmod +x "$program"
daemon_start_with --worker="$program"
domain=$(simxen create)
disk_refused "$domain" xvda ram:16M worker "exited with status 9"
sleep 3
[ "$(wc -l <"$DAEMON_LOG")" -lt 60 ] || fail "the log grows"

printf '#!/bin/sh\nexec "%s"\n' "$worker_program" >"$program" # the daemon has opened this very file
disk_attach "$domain" xvda ram:16M
guest "$domain" blk --time 1 --blank --verify-all "$XVDA"
disk_detach "$domain" xvda
