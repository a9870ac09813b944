#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhd_new.py FILE BYTES BLOCK: an empty dynamic VHD whose blocks have BLOCK bytes, where others make only blocks of 2 MiB."""
import struct
import sys
import uuid


def with_checksum(structure, offset):
    checksum = ~sum(structure) & 0xFFFFFFFF
    return structure[:offset] + struct.pack(">I", checksum) + structure[offset + 4 :]


path, size, block = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
entries = -(-size // block)
footer = struct.pack(
    ">8sIIQI4sI4sQQHBBII16sB427x",
    b"conectix", 2, 0x10000, 512, 0, b"win ", 0x60001, b"Wi2k", size, size, 65535, 16, 255, 3, 0, uuid.uuid4().bytes, 0,
)  # fmt: skip
header = struct.pack(">8sQQIIII16sI4x512s192x256x", b"cxsparse", 2**64 - 1, 1536, 0x10000, entries, block, 0, b"", 0, b"")
footer, header = with_checksum(footer, 64), with_checksum(header, 36)
with open(path, "xb") as image:
    image.write(footer + header + b"\xff" * (-(-entries * 4 // 512) * 512) + footer)
