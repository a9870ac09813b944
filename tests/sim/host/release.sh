#!/bin/sh
# SPDX-License-Identifier: MIT
# Destroying a simulated domain makes xenstored fire @releaseDomain and forget the domain; creating one, @introduceDomain.
set -eu

out=$SIMXEN_DIR/watch.out
xenstore-watch -n 2 @releaseDomain >"$out" &
watcher=$!
until grep -q releaseDomain "$out" 2>/dev/null; do sleep 0.02; done # the watch's own first event

domid=$(simxen create --name doomed)
[ "$(xenstore-read "/local/domain/$domid/name")" = doomed ]
simxen exec "$domid" xenstore-write data/alive yes
[ "$(xenstore-read "/local/domain/$domid/data/alive")" = yes ]

# A backend that does not answer is waited for and then removed; --abrupt leaves it.
xenstore-write "/local/domain/0/backend/test/$domid/0/state" 4
simxen destroy "$domid" --abrupt
wait "$watcher"
[ "$(grep -c releaseDomain "$out")" -eq 2 ]
[ "$(xenstore-read "/local/domain/0/backend/test/$domid/0/state")" = 4 ]
! xenstore-exists "/local/domain/$domid"
! simxen exec "$domid" true 2>/dev/null
! simxen destroy "$domid" 2>/dev/null

# The number can be used again, by another domain.
again=$(simxen create --domid "$domid")
[ "$again" = "$domid" ]
! xenstore-exists "/local/domain/$domid/data/alive"
xenstore-write "/local/domain/0/backend/test/$domid/0/state" 6
simxen destroy "$domid"
! xenstore-exists "/local/domain/0/backend/test/$domid/0"

# Many, one after the other: nothing is left.
for _ in 1 2 3 4 5 6 7 8; do simxen destroy "$(simxen create)"; done
[ "$(simxen list | wc -l)" -eq 2 ]
[ "$(simxen list | awk '$1 == 0 {print $3}')" -eq 3 ] # xenstored's: dom0's two ends and the VIRQ
