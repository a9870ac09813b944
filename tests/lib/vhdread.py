#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vhdread.py IMAGE... : what a chain of dynamic VHDs holds, as raw bytes to standard output; the image itself first, then its parents, the nearest first.

A reading that shares nothing with libdisk, nor with libvhdi, whose release 20210425 reads zeros for some sectors that only a distant parent has. From the
format's specification (Microsoft, 2006): footer, dynamic header, table, and a bitmap before the data of each block.
"""
import struct
import sys

SECTOR = 512
ABSENT = 0xFFFFFFFF


class Image:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = file.read()
        header = struct.unpack_from(">Q", self.bytes, 16)[0]
        self.size = struct.unpack_from(">Q", self.bytes, 48)[0]
        table, = struct.unpack_from(">Q", self.bytes, header + 16)
        blocks, block_size = struct.unpack_from(">II", self.bytes, header + 28)
        self.sectors = block_size // SECTOR
        self.bitmap = (self.sectors // 8 + SECTOR - 1) // SECTOR * SECTOR
        self.table = struct.unpack_from(f">{blocks}I", self.bytes, table)

    def read(self, sector):
        """None: it is not in this image."""
        block, within = divmod(sector, self.sectors)
        if block >= len(self.table) or self.table[block] == ABSENT:
            return None
        start = self.table[block] * SECTOR
        if not self.bytes[start + within // 8] & 0x80 >> within % 8:
            return None
        start += self.bitmap + within * SECTOR
        return self.bytes[start:start + SECTOR]


chain = [Image(path) for path in sys.argv[1:]]
for number in range(chain[0].size // SECTOR):
    found = (image.read(number) for image in chain)
    sys.stdout.buffer.write(next((data for data in found if data is not None), bytes(SECTOR)))
