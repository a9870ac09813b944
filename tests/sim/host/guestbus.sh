#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest's xenstore socket: the guest's permissions, many clients on one ring, large values, watches, what a dead client leaves.
set -eu

a=$(simxen create)
b=$(simxen create)
as() { simxen exec "$@"; }

# Permissions are the guest's.
as "$a" xenstore-write data/mine 1
! as "$a" xenstore-write /local/domain/0/x 1 2>/dev/null
! as "$a" xenstore-write name other 2>/dev/null
! as "$b" xenstore-read "/local/domain/$a/data/mine" 2>/dev/null
xenstore-write "/local/domain/0/backend/vbd/$a/1/state" 2
! as "$a" xenstore-read "/local/domain/0/backend/vbd/$a/1/state" 2>/dev/null
xenstore-chmod "/local/domain/0/backend/vbd/$a/1/state" n0 "r$a"
[ "$(as "$a" xenstore-read "/local/domain/0/backend/vbd/$a/1/state")" = 2 ]

# A value larger than the ring.
value=$(head -c 2000 /dev/zero | tr '\0' v)
as "$a" xenstore-write data/large "$value"
[ "$(as "$a" xenstore-read data/large)" = "$value" ]

# Twenty clients at once, each its own answer.
pids=
for i in $(seq 20); do
    (as "$a" xenstore-write "data/n$i" "$i" && [ "$(as "$a" xenstore-read "data/n$i")" = "$i" ]) &
    pids="$pids $!"
done
for pid in $pids; do wait "$pid"; done

# Watches of two clients on one path, both told; after they are gone the watches are too.
first=$SIMXEN_DIR/first second=$SIMXEN_DIR/second
simxen exec "$a" xenstore-watch -n 2 data/w >"$first" &
one=$!
simxen exec "$a" xenstore-watch -n 3 data/w >"$second" &
two=$!
until grep -q data/w "$first" && grep -q data/w "$second"; do sleep 0.02; done
xenstore-write "/local/domain/$a/data/w" 1
wait "$one"
xenstore-write "/local/domain/$a/data/w" 2
wait "$two"
[ "$(grep -c data/w "$first")" -eq 2 ]
[ "$(grep -c data/w "$second")" -eq 3 ]

# A client killed with its watch: the guest may set as many watches as before (xenstored's quota is 128 a domain).
for i in $(seq 150); do
    simxen exec "$a" xenstore-watch data/w >"$first" & # not through a function: $! must be the client itself
    pid=$!
    until [ -s "$first" ]; do sleep 0.01; done
    kill -KILL "$pid"
    wait "$pid" || [ $? -eq 137 ]
    : >"$first"
done
as "$a" xenstore-watch -n 1 data/w >/dev/null
