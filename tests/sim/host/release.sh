#!/bin/sh
# SPDX-License-Identifier: MIT
# Destroying a simulated domain makes xenstored fire @releaseDomain and forget the domain.
set -eu
. "$(dirname "$0")/lib.sh"

out=$SIMXEN_DIR/watch.out
released() { [ "$(grep -c releaseDomain "$out")" -eq "$1" ]; }
xenstore-watch -n 2 @releaseDomain >"$out" &
watcher=$!
trap 'kill "$watcher" 2>/dev/null || true' EXIT
wait_for released 1 # the watch's own first event

domid=$(simxen create --name doomed)
[ "$(xenstore-read "/local/domain/$domid/name")" = doomed ]
simxen exec "$domid" xenstore-write data/alive yes
[ "$(xenstore-read "/local/domain/$domid/data/alive")" = yes ]

# --abrupt leaves the backends' nodes.
xenstore-write "/local/domain/0/backend/test/$domid/0/state" 4
simxen destroy "$domid" --abrupt
wait_for released 2
wait "$watcher"
[ "$(xenstore-read "/local/domain/0/backend/test/$domid/0/state")" = 4 ]
refused xenstore-exists "/local/domain/$domid"
refused simxen exec "$domid" true
refused simxen destroy "$domid"

# The number can be used again, by another domain; a closed backend's nodes go with it.
[ "$(simxen create --domid "$domid")" = "$domid" ]
refused simxen create --domid "$domid"
refused xenstore-exists "/local/domain/$domid/data/alive"
xenstore-write "/local/domain/0/backend/test/$domid/0/state" 6
simxen destroy "$domid"
refused xenstore-exists "/local/domain/0/backend/test/$domid/0"

# A backend is asked to close, and waited for.
domid=$(simxen create)
back=/local/domain/0/backend/test/$domid/0
xenstore-write "$back/state" 4 "$back/online" 1
(
    # shellcheck disable=SC2317
    asked() { [ "$(xenstore-read "$back/state")$(xenstore-read "$back/online")" = 50 ]; }
    wait_for asked
    simxen list | grep -q "^ *$domid alive"
    xenstore-write "$back/state" 6
) &
backend=$!
simxen destroy "$domid"
wait "$backend"
refused xenstore-exists "$back"

# Many, one after the other: nothing is left.
for _ in 1 2 3 4 5 6 7 8; do simxen destroy "$(simxen create)"; done
[ "$(simxen list | wc -l)" -eq 2 ]
[ "$(simxen list | awk '$1 == 0 {print $3}')" -eq 3 ] # xenstored's: dom0's two ends and the VIRQ
