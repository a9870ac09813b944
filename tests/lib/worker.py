#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A worker that serves nothing, for tests of the supervisor: blkbackd's --worker. Speaks daemons/backend/protocol.h and
daemons/blkback/protocol.h on descriptor 3, and daemons/supervise/greeting.h with a new supervisor.

TEST_WORKER_DELAY: seconds each look at an image takes, one after the other.
TEST_WORKER_HOLD: ends when told to connect; its fence passes when the file of that name with its number (.1, .2, ...) exists.
TEST_WORKER_PARENT: the image has a parent, and so has that, and so on: this locator, or what see parent_told().
TEST_WORKER_ADOPTION: says that it serves; how it treats a new supervisor, see adopted().
"""
import os
import socket
import struct
import sys
import time

SERVE, CONNECT, CONNECTED, FAILED, DISCONNECT, DISCONNECTED, DRAIN, HELD, HELD_ALL = range(1, 10)
CHECK, CHECKED, PARENT = 32, 33, 34
VERSION = 5
HEADER = struct.Struct("=IIIi")
GENERATION_AT = HEADER.size
BODY_AT = GENERATION_AT + 8 + 256
GREETING = struct.Struct("=QIIII96s8x")
GREETING_MAGIC, HELLO = 0x68676B6361626772, 1


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


def parent_told(answer, how):
    """Says in `answer` what the parent is called."""
    locators, count, kind = how.encode() + b"\0", 1, b"vhd"
    if how == "endless":
        locators = b"x" * 2048
    elif how == "long":
        locators = b"x" * 1024 + b"\0"
    elif how == "count":
        count = 2**32 - 1
    elif how == "kind":
        kind = b"k" * 16
    elif how == "unknown-kind":
        kind = b"tape"
    elif how == "none":
        count = 0
    elif how == "control":
        locators = b"a\nb\0"
    struct.pack_into("=16sI2048s", answer, BODY_AT, kind, count, locators)


def adopted(listener, how, held):
    """A new supervisor connects. `held`: the size of a message, and device, generation and image of the one connection."""
    channel = listener.accept()[0]
    size, devid, generation, image = held

    def say(kind, number, fds=(), value=0, result=0):
        message = bytearray(size)
        HEADER.pack_into(message, 0, VERSION, kind, number, result)
        struct.pack_into("=Q", message, GENERATION_AT, value)
        socket.send_fds(channel, [message], fds)

    if how == "silent":
        time.sleep(3600)
    if how == "garbage":
        channel.send(os.urandom(GREETING.size))
    elif how == "short":
        channel.send(b"hello")
    elif how == "descriptor":
        socket.send_fds(channel, [GREETING.pack(GREETING_MAGIC, GREETING.size, HELLO, VERSION, 1, b"0.1.0")], [image])
    else:
        channel.send(GREETING.pack(GREETING_MAGIC, GREETING.size, HELLO, VERSION, 1, b"0.1.0"))
        channel.recv(GREETING.size)
    if how == "twice":
        say(HELD, devid, [image], generation)
        say(HELD, devid, [image], generation)
    elif how == "pipe":
        say(HELD, devid, [os.pipe()[0]], generation)
    elif how == "path":
        say(HELD, devid, [os.open("/", os.O_PATH)], generation)
    elif how == "no-descriptor":
        say(HELD, devid, [], generation)
    elif how == "generation":
        say(HELD, devid, [image], generation + 1)
        say(HELD_ALL, 0)
    elif how == "read-only":
        say(HELD, devid, [os.open(sys.executable, os.O_RDONLY)], generation)
        say(HELD_ALL, 0)
    elif how == "many":
        channel.setblocking(True)
        for number in range(2000):
            say(HELD, number, [image], generation)
    elif how == "early":
        say(CONNECTED, devid)
    elif how == "unasked":
        say(HELD_ALL, 0)
        say(DISCONNECTED, devid)
    elif how == "invented":
        say(HELD, devid + 16, [image], generation)
        say(HELD, devid, [image], generation)
        say(HELD_ALL, 0)
        say(DISCONNECTED, devid + 32)
    time.sleep(3600)


def main():
    channel = socket.socket(fileno=3)
    listener = held = None
    while True:
        message, fds, _, _ = socket.recv_fds(channel, 65536, 64)
        if not message:
            if held:
                adopted(listener, os.environ["TEST_WORKER_ADOPTION"], held)
            return
        version, kind, devid, _ = HEADER.unpack_from(message)
        answer = bytearray(len(message))
        if kind == SERVE:
            listener = socket.socket(fileno=fds[1])
            listener.setblocking(True)
        elif kind == CHECK:
            time.sleep(float(os.environ.get("TEST_WORKER_DELAY", "0")))
            HEADER.pack_into(answer, 0, version, CHECKED, devid, 0)
            struct.pack_into("=QII", answer, BODY_AT, 32768, 512, 512)
            if "TEST_WORKER_PARENT" in os.environ:
                HEADER.pack_into(answer, 0, version, PARENT, devid, 0)
                parent_told(answer, os.environ["TEST_WORKER_PARENT"])
        elif kind == CONNECT and "TEST_WORKER_ADOPTION" in os.environ:
            HEADER.pack_into(answer, 0, version, CONNECTED, devid, 0)
            held = len(message), devid, struct.unpack_from("=Q", message, BODY_AT + 8)[0], fds[0]
        elif kind == CONNECT:
            end_slowly(os.environ["TEST_WORKER_HOLD"])
        elif kind == DISCONNECT:
            HEADER.pack_into(answer, 0, version, DISCONNECTED, devid, 0)
        if kind != SERVE:
            channel.send(answer)


main()
