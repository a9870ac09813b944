#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A worker that serves nothing, for tests of the supervisor: blkbackd's --worker. Speaks daemons/blkback/protocol.h on descriptor 3.

TEST_WORKER_DELAY: seconds each look at an image takes, one after the other.
TEST_WORKER_HOLD: ends when told to connect; its fence passes when the file of that name with its number (.1, .2, ...) exists.
"""
import os
import socket
import struct
import time

SERVE, CHECK, CHECKED, CONNECT, DISCONNECT, DISCONNECTED = 1, 2, 3, 4, 7, 8
HEADER = struct.Struct("=IIIi")


def end_slowly(hold):
    """Ends, but for a copy that keeps the descriptors until it may go."""
    number = 1
    while os.path.exists(f"{hold}.{number}.dead"):
        number += 1
    open(f"{hold}.{number}.dead", "w").close()
    if os.fork() == 0:
        while not os.path.exists(f"{hold}.{number}") and os.path.isdir(os.path.dirname(hold)):
            time.sleep(0.02)
    os._exit(9)


def main():
    channel = socket.socket(fileno=3)
    while True:
        message, fds, _, _ = socket.recv_fds(channel, 65536, 8)
        if not message:
            return
        version, kind, devid, _ = HEADER.unpack_from(message)
        answer = bytearray(len(message))
        if kind == CHECK:
            time.sleep(float(os.environ.get("TEST_WORKER_DELAY", "0")))
            HEADER.pack_into(answer, 0, version, CHECKED, devid, 0)
            struct.pack_into("=QII", answer, HEADER.size, 32768, 512, 512)
        elif kind == CONNECT:
            end_slowly(os.environ["TEST_WORKER_HOLD"])
        elif kind == DISCONNECT:
            HEADER.pack_into(answer, 0, version, DISCONNECTED, devid, 0)
        if kind != SERVE:
            channel.send(answer)


main()
