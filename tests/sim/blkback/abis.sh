#!/bin/bash
# SPDX-License-Identifier: MIT
# Guests of every ABI are served, one after the other on one disk.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:32M
for abi in x86_32 x86_64 x86_32; do
    guest "$domain" blk --time 1 --abi "$abi" --blank --state "$WORK/state" --verify-all "$XVDA"
done
