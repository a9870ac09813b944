#!/bin/bash
# SPDX-License-Identifier: MIT
# `ringctl vhd` interrupted, and killed: a conversion leaves nothing, a coalesced chain reads as it did, and is finished by the next run.
set -euo pipefail
. "$(dirname "$0")/common.sh"

truncate -s 300M disk.raw
scribble disk.raw 0 $((40 << 20))
scribble disk.raw $((200 << 20)) $((10 << 20)) 2
"$ringctl" vhd snapshot raw:disk.raw child.vhd

# Copies at 32 MiB a second, so that it is found at it.
for signal in INT TERM KILL; do
    before=$(stat -c %b child.vhd)
    "$ringctl" vhd coalesce --rate=32 child.vhd 2>said &
    pid=$!
    for _ in $(seq 600); do
        [ "$(stat -c %b child.vhd)" -gt $((before + 2000)) ] && break
        sleep 0.05
    done
    kill -s $signal $pid || fail "it has ended before it was interrupted"
    status=0
    wait $pid || status=$?
    if [ $signal = KILL ]; then
        [ "$status" -eq 137 ] || fail "it ended with $status"
    else
        [ "$status" -eq 1 ] || fail "it ended with $status: $(cat said)"
        grep -q "interrupted" said || fail "it did not say that it was interrupted"
    fi
    for _ in $(seq 100); do # the lock goes with the last of its I/O
        flock -n child.vhd true && break
        sleep 0.05
    done
    "$ringctl" vhd info --json child.vhd | jq -e '.type == "differencing"' >/dev/null || fail "it stands by itself already"
    "$ringctl" vhd check child.vhd >/dev/null || fail "it is not in order after $signal"
    as_raw vhd:child.vhd back.raw && same disk.raw back.raw
done
"$ringctl" vhd coalesce child.vhd
mkdir away && mv child.vhd away/
as_raw vhd:away/child.vhd back.raw && same disk.raw back.raw

# A conversion that was interrupted leaves no file.
mkdir new
for signal in INT KILL; do
    rm -f pipe
    ("$ringctl" vhd convert raw:disk.raw vhd:new/copy.vhd 2>/dev/null) &
    pid=$!
    sleep 0.05
    kill -s $signal -- "$(pgrep -P $pid || echo $pid)" 2>/dev/null || true
    wait $pid || true
    [ -e new/copy.vhd ] || [ -z "$(ls -A new)" ] || fail "a conversion has left $(ls new)"
    if [ -e new/copy.vhd ]; then # it was faster
        as_raw vhd:new/copy.vhd back.raw && same disk.raw back.raw
    fi
    rm -f new/copy.vhd
done
