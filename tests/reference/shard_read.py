#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random access to a shard, written from formats/shard.md alone, with nothing but the standard library.

    shard_read.py FILE [I...]     prints records I (all without I) as tok-dump prints them, found through the index
"""
import json
import os
import struct
import sys
import zlib

from tok_read import BLOCK, END, INDEX, Bad, Reader, need


class Shard:
    def __init__(self, path):
        self.file = open(path, "rb")
        self.reader = Reader(self.file)
        self.reader.header(self.file.read(8))
        size = os.path.getsize(path)
        raw = self.at(size - END.size, END.size)
        tag, _, self.count, self.blocks, index_at, whole, header_crc, crc = END.unpack(raw)
        need(tag == b"AEND" and zlib.crc32(raw[:44]) == crc, "end record")
        need(whole == size and header_crc == self.reader.crc, "end record of something else")
        need(index_at + INDEX.size + 8 * self.blocks + END.size == size, "place of the index")
        head = self.at(index_at, INDEX.size)
        tag, self.per_block, blocks, _, crc = INDEX.unpack(head)
        raw = self.at(index_at + INDEX.size, 8 * blocks)
        need(tag == b"AIDX" and blocks == self.blocks and zlib.crc32(raw, zlib.crc32(head[:20])) == crc, "index")
        self.offsets = struct.unpack("<%dQ" % blocks, raw)
        self.checked = {}

    def at(self, offset, size):
        self.file.seek(offset)
        data = self.file.read(size)
        need(len(data) == size, "ends too early")
        return data

    def payload(self, block):
        if block not in self.checked:
            head = self.at(self.offsets[block], BLOCK.size)
            tag, count, first, size, crc = BLOCK.unpack(head)
            need(tag == b"ABLK" and first == block * self.per_block, "block head")
            need(count == min(self.per_block, self.count - first), "records in a block")
            payload = self.file.read(size)
            need(zlib.crc32(payload, zlib.crc32(head[:20])) == crc, "block CRC")
            self.checked[block] = payload
        return self.checked[block]

    def get(self, i):
        payload = self.payload(i // self.per_block)
        return self.reader.record(payload, struct.unpack_from("<I", payload, 4 * (i % self.per_block))[0])[0]


def main():
    shard = Shard(sys.argv[1])
    for i in [int(word) for word in sys.argv[2:]] or range(shard.count):
        print(json.dumps(shard.get(i), separators=(",", ":"), ensure_ascii=False))


if __name__ == "__main__":
    try:
        main()
    except (Bad, UnicodeDecodeError, struct.error) as why:
        sys.exit("shard_read: %s: %s" % (sys.argv[1], why))
