#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: devices.py SOCKET NAME FILE

Answers at a control socket as the daemon NAME does, until it is killed: its devices are what FILE has, a JSON array, whenever it is asked.
"""
import json
import os
import socket
import sys


def answer(name, path, devices):
    if path == "/v1/status":
        return 200, {"daemon": name, "version": "test"}
    if path == "/v1/devices":
        return 200, {"devices": devices}
    for device in devices:
        if path == f"/v1/devices/{device['domid']}/{device['devid']}":
            return 200, device
    return 404, {"error": f"there is no {path}"}


def main():
    at, name, file = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(at + ".new")
    listener.listen(8)
    os.rename(at + ".new", at)
    while True:
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(4096).decode()
            with open(file) as text:
                status, body = answer(name, request.split(" ")[1], json.load(text))
            connection.sendall(f"HTTP/1.0 {status} -\r\n\r\n{json.dumps(body)}".encode())


main()
