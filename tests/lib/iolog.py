#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads what tests/sim/blkback/iolog.c logged of a disk whose syncs are all those of write barriers, and judges their order.

usage: iolog.py FILE [BARRIERS EMPTY]

Each sync begins when nothing else is under way, and nothing begins until it has ended. With numbers, of a disk that nobody died under: there are as
many syncs as so many barriers need, EMPTY of which have no data, and each of the others wrote its own between two. Status 77: nothing was logged,
since the worker has no io_uring here.
"""
import struct
import sys

READ, WRITE, SYNC = "read", "write", "sync"
OPS = {1: READ, 2: WRITE, 3: SYNC, 22: READ, 23: WRITE}  # IORING_OP_*
RECORD = struct.Struct("<QQIBBxx")


def records(path):
    with open(path, "rb") as log:
        (count,) = struct.unpack("<Q", log.read(8))
        for _ in range(count):
            yield RECORD.unpack(log.read(RECORD.size))


def main():
    under_way, begun, worker, workers, deepest = {}, [], None, 0, 0
    try:
        all_records = list(records(sys.argv[1]))
    except FileNotFoundError:
        all_records = []
    if not all_records:
        print("iolog.py: nothing was logged")
        return 77
    for number, (io, offset, pid, begins, op) in enumerate(all_records):
        if pid != worker:  # the former one is gone, with all it had under way
            worker, under_way = pid, {}
            workers += 1
        if not begins:
            del under_way[io]
            continue
        name = OPS.get(op, f"operation {op}")
        if name == SYNC and under_way:
            print(f"iolog.py: record {number}: a sync begins while {sorted(under_way.values())} are under way")
            return 1
        if SYNC in [what for what, _ in under_way.values()]:
            print(f"iolog.py: record {number}: a {name} at {offset} begins before a sync has ended")
            return 1
        under_way[io] = (name, offset)
        begun.append(name)
        deepest = max(deepest, len(under_way))
    syncs = begun.count(SYNC)
    between = sum(begun[i : i + 3] == [SYNC, WRITE, SYNC] for i in range(len(begun)))
    print(f"{workers} workers began {len(begun)} transfers, {deepest} at a time, {syncs} syncs among them, {between} writes between two")
    if len(sys.argv) > 2:
        barriers, empty = map(int, sys.argv[2:])
        if syncs != 2 * barriers - empty or between < barriers - empty:
            print(f"iolog.py: that is not what {barriers} barriers make, {empty} of them without data")
            return 1
    return 0 if syncs > 0 and deepest > 1 else 1


sys.exit(main())
