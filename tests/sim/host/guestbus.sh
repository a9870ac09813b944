#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest's xenstore socket: the guest's permissions, many clients on one ring, large values, watches, what a dead client leaves.
set -eu
. "$(dirname "$0")/lib.sh"

a=$(simxen create)
b=$(simxen create)
as() { simxen exec "$@"; }

# Clients in the background, which do not outlive us.  Not through a function: $! must be the client itself.
clients=
trap '[ -z "$clients" ] || kill $clients 2>/dev/null || true' EXIT

# Permissions are the guest's.
as "$a" xenstore-write data/mine 1
refused as "$a" xenstore-write /local/domain/0/x 1
refused as "$a" xenstore-write name other
refused as "$b" xenstore-read "/local/domain/$a/data/mine"
xenstore-write "/local/domain/0/backend/vbd/$a/1/state" 2
refused as "$a" xenstore-read "/local/domain/0/backend/vbd/$a/1/state"
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
one=$! clients="$clients $!"
simxen exec "$a" xenstore-watch -n 3 data/w >"$second" &
two=$! clients="$clients $!"
wait_for grep -q data/w "$first"
wait_for grep -q data/w "$second"
xenstore-write "/local/domain/$a/data/w" 1
wait "$one"
xenstore-write "/local/domain/$a/data/w" 2
wait "$two"
[ "$(grep -c data/w "$first")" -eq 2 ]
[ "$(grep -c data/w "$second")" -eq 3 ]

# A client killed with its watch: the guest may set as many watches as before (xenstored's quota is 128 a domain).
for i in $(seq 150); do
    simxen exec "$a" xenstore-watch data/w >"$first" &
    pid=$! clients=$!
    wait_for test -s "$first"
    kill -KILL "$pid"
    wait "$pid" || [ $? -eq 137 ]
    : >"$first"
done
as "$a" xenstore-watch -n 1 data/w >/dev/null
