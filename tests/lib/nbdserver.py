#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An NBD server that misbehaves: nbdserver.py SOCKET DISK HOW [ARGUMENT]. Speaks the newstyle handshake and the simple replies of
https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, on a socket of its own, for a file. Serves one connection after the other.

  good        as it should
  late SECS   the writes of the first connection that has any are carried out so long after they came, also when it has ended by then; it is closed
              only after that. DISK.late is there when the first of them has come
  rude SECS   the same, but it shuts its connection down at once when the other side has, as qemu-nbd does, and closes it when it has written
  mute        accepts, and says nothing
  deaf        shakes hands, and answers no request
  garbage     says what is no greeting
  magic       answers the first request with what is no reply
  cookie      answers the first request as if it had been another
  short       answers the first read with half of its data, and hangs up
  errors      refuses every read and write
  shutdown    answers every request that it is shutting down
  odd SIZE    has an export of SIZE bytes
  blocks MIN  takes no blocks of less than MIN bytes
  readonly    its export cannot be written
  shrinks     has half of its size from the second connection on
  refuses     has no export of any name
  flood       describes its export for ever
  hangs-up    hangs up on each connection when the first request has come
"""
import os
import socket
import struct
import sys
import threading
import time

NBD_READ, NBD_WRITE, NBD_DISC, NBD_FLUSH, NBD_TRIM = range(5)
EIO, EINVAL, ESHUTDOWN = 5, 22, 108
connections = 0
late = None  # the connection whose writes are


def receive(client, size):
    data = b""
    while len(data) < size:
        part = client.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def option_reply(client, option, kind, data=b""):
    client.sendall(struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data)


def describe(client, option, size, how, argument):
    """Answers NBD_OPT_GO."""
    flags = 1 | 4 | 32 | (2 if how == "readonly" else 0)  # has flags, flush, trim
    if how == "refuses":
        option_reply(client, option, 0x80000006, b"no such thing\x1b[2J")
        return False
    while how == "flood":
        option_reply(client, option, 3, struct.pack(">HQH", 0, size, flags) + b"")
    option_reply(client, option, 3, struct.pack(">HQH", 0, size, flags))
    if how == "blocks":
        option_reply(client, option, 3, struct.pack(">HIII", 3, int(argument), 65536, 1 << 25))
    option_reply(client, option, 1)
    return True


def shake_hands(client, size, how, argument):
    client.sendall(b"NBDMAGIC" + b"IHAVEOPT" + struct.pack(">H", 3))
    receive(client, 4)
    while True:
        _, option, length = struct.unpack(">QII", receive(client, 16))
        receive(client, length)
        if option == 7:
            if describe(client, option, size, how, argument):
                return
        elif option == 2:
            raise EOFError
        else:
            option_reply(client, option, 0x80000001)


def serve(client, disk, how, argument):
    global connections
    connections += 1
    size = os.fstat(disk).st_size
    if how == "odd":
        size = int(argument)
    if how == "shrinks" and connections > 1:
        size //= 2
    if how == "garbage":
        client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" * 8)
    if how in ("mute", "garbage"):
        client.recv(1 << 16)
        time.sleep(3600)
    shake_hands(client, size, how, argument)
    global late
    lock, workers = threading.Lock(), []

    def answer(cookie, error=0, data=b""):
        with lock:
            try:
                client.sendall(struct.pack(">II", 0x67446698, error) + cookie + data)
            except OSError:
                pass

    def write_late(cookie, offset, data):
        time.sleep(float(argument))
        os.pwrite(disk, data, offset)
        answer(cookie)

    while True:
        try:
            _, _, command, cookie, offset, length = struct.unpack(">IHH8sQI", receive(client, 28))
            data = receive(client, length) if command == NBD_WRITE else b""
        except (EOFError, OSError):
            break
        if command == NBD_DISC or how == "hangs-up":
            break
        if how == "deaf":
            continue
        if how == "magic":
            client.sendall(b"\0" * 4096)
        elif how == "cookie":
            answer(b"\xff" * 8)
        elif how == "errors":
            answer(cookie, EIO)
        elif how == "shutdown":
            answer(cookie, ESHUTDOWN)
        elif command == NBD_READ and how == "short":
            answer(cookie, 0, os.pread(disk, length // 2, offset))
            break
        elif command == NBD_READ:
            answer(cookie, 0, os.pread(disk, length, offset))
        elif command == NBD_WRITE and how in ("late", "rude") and late in (None, client):
            late = client
            open(sys.argv[2] + ".late", "w").close()
            workers.append(threading.Thread(target=write_late, args=(cookie, offset, data)))
            workers[-1].start()
        elif command == NBD_WRITE:
            os.pwrite(disk, data, offset)
            answer(cookie)
        elif command in (NBD_FLUSH, NBD_TRIM):
            answer(cookie)
        else:
            answer(cookie, EINVAL)
    if how == "rude":
        client.shutdown(socket.SHUT_RDWR)
    for worker in workers:
        worker.join()


def serve_and_close(client, *arguments):
    try:
        serve(client, *arguments)
    except (EOFError, OSError):
        pass
    client.close()


def main():
    path, disk, how = sys.argv[1:4]
    argument = sys.argv[4] if len(sys.argv) > 4 else None
    if ":" in path and not path.startswith("/"):
        host, port = path.rsplit(":", 1)
        listener = socket.create_server((host, int(port)))
    else:
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(16)
    image = os.open(disk, os.O_RDWR)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve_and_close, args=(client, image, how, argument), daemon=True).start()


main()
