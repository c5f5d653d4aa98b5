#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A reader of token streams written from formats/tok.md and formats/shard.md alone, with nothing but the standard library.

    tok_read.py FILE          prints the JSON lines that tok-dump prints
    tok_read.py --sum FILE... prints the number of records and the sum that tok-check --sum prints, a line each;
                              for a file that is refused "refused: " and the reason
"""
import hashlib
import json
import struct
import sys
import zlib

MAGIC = bytes.fromhex("8941544b0d0a1a0a")
KINDS = {1: "text", 2: "image", 3: "pair"}
HEADER = struct.Struct("<8s10I32s32s")
BLOCK = struct.Struct("<4sIQII")
INDEX = struct.Struct("<4sIQII")
END = struct.Struct("<4sIQQQQII")


class Bad(Exception):
    pass


def need(condition, words):
    if not condition:
        raise Bad(words)


def clean(raw, newlines=False):
    text = raw.decode("utf-8")
    need(not any((c < " " and not (newlines and c == "\n")) or "\x7f" <= c < "\xa0" for c in text), "control characters")
    return text


class Reader:
    def __init__(self, file):
        self.file = file
        self.offset = 0

    def take(self, size):
        data = self.file.read(size)
        need(len(data) == size, "ends too early")
        self.offset += size
        return data

    def header(self, first):
        """A header whose first bytes are given."""
        self.offset = len(first)
        raw = first + self.take(HEADER.size - len(first))
        (magic, version, kind, flags, self.text_vocab, self.slots, self.image_vocab, height, width, size, reserved,
         text_digest, image_digest) = HEADER.unpack(raw)
        need(magic == MAGIC, "magic")
        need(version == 1, "version")
        need(size <= 65536, "provenance")
        self.shard = flags & 1
        rest = size + 4
        if self.shard:
            rest += -(HEADER.size + rest) % 4096
        raw += self.take(rest)
        self.crc = struct.unpack("<I", raw[-4:])[0]
        need(zlib.crc32(raw[:-4]) == self.crc, "header CRC")
        need(kind in KINDS and flags & 0xfffe == 0 and reserved == 0, "header fields")
        need(not any(raw[112 + size:-4]), "header padding")
        need(not self.shard or kind == 3, "a shard holds pairs")
        text, image = kind & 1, kind & 2
        need(1 <= self.text_vocab <= 65536 and 1 <= self.slots <= 65536 if text
             else not (self.text_vocab or self.slots or any(text_digest)), "text sizes")
        need(1 <= self.image_vocab <= 65536 and 1 <= height <= 1024 and 1 <= width <= 1024 if image
             else not (self.image_vocab or height or width or any(image_digest)), "image sizes")
        provenance = clean(raw[112:112 + size], True)
        need(provenance == "" or provenance.endswith("\n"), "provenance lines")
        self.kind, self.grid = kind, height * width
        fields = {"armchair": "tok", "version": 1, "kind": KINDS[kind], "layout": "shard" if self.shard else "stream"}
        if text:
            fields.update(text_vocab=self.text_vocab, text_slots=self.slots,
                          text_digest=text_digest.hex() if any(text_digest) else None)
        if image:
            fields.update(image_vocab=self.image_vocab, grid=[height, width],
                          image_digest=image_digest.hex() if any(image_digest) else None)
        fields["provenance"] = provenance.split("\n")[:-1]
        return fields

    def record(self, payload, at):
        """One record of a payload, and where it ends."""
        size, count, variant = struct.unpack_from("<HHI", payload, at)
        at += 8
        text = struct.unpack_from("<%dH" % count, payload, at)
        at += 2 * count
        image = struct.unpack_from("<%dH" % self.grid, payload, at)
        at += 2 * self.grid
        need(1 <= size <= 4096 and at + size <= len(payload), "key size")
        key = clean(payload[at:at + size])
        at += size
        if size % 2:
            need(payload[at] == 0, "padding of the key")
            at += 1
        need(count < self.slots if self.kind & 1 else count == 0, "text tokens for the slots")
        need(all(t < self.text_vocab for t in text) and all(t < self.image_vocab for t in image), "tokens")
        fields = {"key": key, "variant": variant}
        if self.kind & 1:
            fields["text"] = list(text)
        if self.kind & 2:
            fields["image"] = list(image)
        return fields, at

    def block(self, head, first):
        """The records of a block, whose head is given."""
        tag, count, number, size, crc = BLOCK.unpack(head)
        need(tag == b"ABLK" and count >= 1 and number == first and size <= 64 << 20, "block head")
        need(not self.shard or (size + BLOCK.size) % 4096 == 0, "block alignment")
        payload = self.take(size)
        need(zlib.crc32(payload, zlib.crc32(head[:20])) == crc, "block CRC")
        at, records = 0, []
        if self.shard:
            table = struct.unpack_from("<%dI" % count, payload)
            at = 4 * count
        for i in range(count):
            need(not self.shard or table[i] == at, "table")
            fields, at = self.record(payload, at)
            records.append(fields)
        need(len(payload) - at < 4096 and not any(payload[at:]) if self.shard else at == len(payload), "rest of a block")
        return records

    def stream(self):
        """The records behind a header, up to and with the end record."""
        records, counts, offsets, index_at = 0, [], [], 0
        while True:
            at, tag = self.offset, self.take(4)
            if tag == b"AEND":
                break
            if tag == b"AIDX":
                need(self.shard and not index_at, "an index")
                index_at = at
                head = tag + self.take(INDEX.size - 4)
                _, per_block, blocks, reserved, crc = INDEX.unpack(head)
                need(blocks == len(offsets) and reserved == 0, "index head")
                raw = self.take(8 * blocks)
                need(zlib.crc32(raw, zlib.crc32(head[:20])) == crc, "index CRC")
                need(list(struct.unpack("<%dQ" % blocks, raw)) == offsets, "index offsets")
                need(all(c == per_block for c in counts[:-1]) and max(counts, default=1) <= per_block, "block sizes")
                continue
            need(not index_at, "a block behind the index")
            found = self.block(tag + self.take(BLOCK.size - 4), records)
            offsets.append(at)
            counts.append(len(found))
            records += len(found)
            yield from found
        raw = tag + self.take(END.size - 4)
        tag, reserved, total, blocks, index, size, header_crc, crc = END.unpack(raw)
        need(crc == zlib.crc32(raw[:44]) and reserved == 0, "end record CRC")
        need(total == records and blocks == len(offsets) and index == index_at and size == self.offset, "end record")
        need(bool(self.shard) == bool(index_at), "index")
        need(header_crc == self.crc, "end record of another header")


def read(file):
    """The header of the first stream, then all records."""
    reader = Reader(file)
    first = None
    more = reader.take(8)
    while more:
        header = reader.header(more)
        if first is None:
            first = header
            yield header
        else:
            need(all(first.get(name) == header.get(name) for name in ("kind", "text_vocab", "text_slots", "text_digest",
                                                                      "image_vocab", "grid", "image_digest")),
                 "streams that do not go together")
        yield from reader.stream()
        more = file.read(8)


def number_of(record):
    key = record["key"].encode()
    text, image = record.get("text", []), record.get("image", [])
    raw = struct.pack("<I", len(key)) + key + struct.pack("<II", record["variant"], len(text))
    raw += struct.pack("<%dH" % len(text), *text) + struct.pack("<I", len(image)) + struct.pack("<%dH" % len(image), *image)
    return struct.unpack("<Q", hashlib.sha256(raw).digest()[:8])[0]


def total(path):
    try:
        with open(path, "rb") as file:
            lines = read(file)
            next(lines)
            numbers = [number_of(record) for record in lines]
            return "%d records, sum %016x" % (len(numbers), sum(numbers) % 2**64)
    except (Bad, UnicodeDecodeError, struct.error) as why:
        return "refused: %s" % why


def main():
    if sys.argv[1] == "--sum":
        for path in sys.argv[2:]:
            print(total(path))
        return
    with open(sys.argv[1], "rb") as file:
        for fields in read(file):
            print(json.dumps(fields, separators=(",", ":"), ensure_ascii=False))


if __name__ == "__main__":
    try:
        main()
    except (Bad, UnicodeDecodeError, struct.error) as why:
        sys.exit("tok_read: %s: %s" % (sys.argv[-1], why))
