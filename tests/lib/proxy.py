#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""proxy.py LISTEN CONNECT: passes Unix socket connections on, until it is killed and cuts them all."""
import os
import socket
import sys
import threading


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


listen, connect = sys.argv[1:]
if os.path.exists(listen):
    os.unlink(listen)
listener = socket.socket(socket.AF_UNIX)
listener.bind(listen)
listener.listen()
while True:
    client, _ = listener.accept()
    server = socket.socket(socket.AF_UNIX)
    server.connect(connect)
    for ends in ((client, server), (server, client)):
        threading.Thread(target=pump, args=ends, daemon=True).start()
