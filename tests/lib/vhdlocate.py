#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdlocate.py IMAGE PATH: writes PATH into the header's name and all locators of a differencing VHD, whatever it may be."""
import struct
import sys

data = bytearray(open(sys.argv[1], "rb").read())
path = sys.argv[2]
header = data[512:1536]
for i in range(8):
    at = 576 + 24 * i
    code, space, length, _, offset = struct.unpack(">4sIIIQ", header[at:at + 24])
    if code == b"\0\0\0\0":
        continue
    text = ("file://" + path).encode() if code == b"MacX" else path.encode("utf-16-le")
    data[offset:offset + 512] = text.ljust(512, b"\0")
    header[at + 8:at + 12] = struct.pack(">I", len(text))
header[64:576] = path.encode("utf-16-be").ljust(512, b"\0")
header[36:40] = b"\0" * 4
header[36:40] = struct.pack(">I", ~sum(header) & 0xffffffff)
data[512:1536] = header
open(sys.argv[1], "wb").write(data)
