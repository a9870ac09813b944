#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""proxy.py LISTEN CONNECT: passes Unix socket connections on.

SIGUSR1 cuts them all and lets nobody in; SIGUSR2 lets clients in again. So does its end: it cuts them all.
"""
import os
import selectors
import signal
import socket
import sys

listen, connect = sys.argv[1:]
selector = selectors.DefaultSelector()
listener = None
peers = {}  # each end's other end


def let_in():
    global listener
    if listener is None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(listen + ".new")
        listener.listen()
        os.rename(listen + ".new", listen)
        selector.register(listener, selectors.EVENT_READ)


def cut():
    global listener
    if listener is not None:
        os.unlink(listen)
        selector.unregister(listener)
        listener.close()
        listener = None
    for end in list(peers):
        drop(end)


def drop(end):
    for each in (end, peers.get(end)):
        if each in peers:
            selector.unregister(each)
            each.close()
            del peers[each]


def accept():
    client, _ = listener.accept()
    server = socket.socket(socket.AF_UNIX)
    server.connect(connect)
    peers.update({client: server, server: client})
    for end in (client, server):
        selector.register(end, selectors.EVENT_READ)


def pass_on(end):
    try:
        data = end.recv(65536)
        if data:
            peers[end].sendall(data)
            return
    except OSError:
        pass
    drop(end)


# Signals come as bytes through a pipe, between two events.
wakeup, sink = socket.socketpair()
sink.setblocking(False)
signal.set_wakeup_fd(sink.fileno())
for number in (signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, lambda *_: None)
selector.register(wakeup, selectors.EVENT_READ)
if os.path.exists(listen):
    os.unlink(listen)
let_in()
while True:
    for key, _ in selector.select():
        if key.fileobj is wakeup:
            for number in wakeup.recv(64):
                cut() if number == signal.SIGUSR1 else let_in()
            break
        if key.fileobj is listener:
            accept()
        elif key.fileobj in peers:
            pass_on(key.fileobj)
