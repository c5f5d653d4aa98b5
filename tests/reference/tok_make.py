#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A writer of token streams and shards, written from formats/tok.md and formats/shard.md alone, and the examples it makes.

    tok_make.py FOLDER    writes FOLDER/good/* and FOLDER/bad/*, as they stand in formats/, and the larger FOLDER/large/*,
                          which are good too but not kept

bad/tok.expect says for each bad file which words its refusal must hold. Each bad file has one fault: checksums are right
unless they are the fault.
"""
import os
import struct
import sys
import zlib

MAGIC = bytes.fromhex("8941544b0d0a1a0a")
TOKENIZER, CODEBOOK = bytes(range(32)), bytes(range(100, 132))


def crc(data):
    return struct.pack("<I", zlib.crc32(data))


class Stream:
    """A stream of one kind; any argument may be wrong on purpose."""

    def __init__(self, kind, shard=False, provenance="", version=1, flags=0, magic=MAGIC, vocab=300, slots=9, codes=512,
                 grid=(1, 2), tokenizer=TOKENIZER, codebook=CODEBOOK, reserved=0):
        text, image = kind in (1, 3), kind in (2, 3)
        self.shard, self.slots = shard, slots if text else 1
        self.cells = grid[0] * grid[1] if image else 0
        self.has_text = text
        raw = struct.pack("<8s10I32s32s", magic, version, kind, flags | shard, vocab if text else 0, slots if text else 0,
                          codes if image else 0, *(grid if image else (0, 0)), len(provenance.encode()), reserved,
                          tokenizer if text else bytes(32), codebook if image else bytes(32)) + provenance.encode()
        if shard:
            raw += bytes(-(len(raw) + 4) % 4096)
        self.raw = raw + crc(raw)
        self.header_crc = crc(raw)
        self.records, self.offsets = 0, []
        usual = 24 + 2 * self.cells + (64 if text else 0)
        most = 4108 + 2 * (self.slots - 1) + 2 * self.cells
        self.per_block = max(1, min(262144 // usual, 67100672 // most))

    def block(self, records, first=None, count=None, size=None, rest=b"", pad=None, shift=0):
        """One block of packed records."""
        payload = b"".join(records) + rest
        if self.shard:
            at, table = 4 * len(records), b""
            for raw in records:
                table += struct.pack("<I", at + shift)
                at += len(raw)
            payload = table + payload
            payload += bytes(-(24 + len(payload)) % 4096) if pad is None else pad(-(24 + len(payload)) % 4096)
        head = b"ABLK" + struct.pack("<IQI", len(records) if count is None else count,
                                     self.records if first is None else first, len(payload) if size is None else size)
        self.offsets.append(len(self.raw))
        self.raw += head + crc(head + payload) + payload
        self.records += len(records)
        return self

    def fill(self, records):
        """All records, in blocks as our writers make them."""
        for i in range(0, len(records), self.per_block):
            self.block(records[i:i + self.per_block])
        return self

    def end(self, records=None, header_crc=None, index=True, offset=0, reserved=0):
        index_at = 0
        if self.shard and index:
            index_at = len(self.raw)
            head = b"AIDX" + struct.pack("<IQI", self.per_block, len(self.offsets), 0)
            raw = b"".join(struct.pack("<Q", at + offset) for at in self.offsets)
            self.raw += head + crc(head + raw) + raw
        raw = b"AEND" + struct.pack("<IQQQQ", reserved, self.records if records is None else records, len(self.offsets),
                                    index_at, len(self.raw) + 48) + (header_crc or self.header_crc)
        self.raw += raw + crc(raw)
        return self.raw


def record(key, text=(), image=(), variant=0, pad=b"\0"):
    raw = key if isinstance(key, bytes) else key.encode()
    return (struct.pack("<HHI", len(raw), len(text), variant) + struct.pack("<%dH" % len(text), *text) +
            struct.pack("<%dH" % len(image), *image) + raw + pad * (len(raw) % 2))


LINE = "bpe-encode 0.1 --dropout=0\n"
WORDS = [record("a", [7, 299]), record("bc")]
PAIRS = [record("a", [7, 299], [511, 0]), record("bc", [], [1, 2], 3), record("a/\u00e9\"\\", [1] * 8, [3, 3], 4294967295)]


def good():
    yield "tok-text.tok", Stream(1, provenance=LINE).fill(WORDS).end()
    yield "tok-image.tok", Stream(2, grid=(2, 3), codebook=bytes(32)).fill([record("k", (), range(6), v) for v in range(3)]).end()
    yield "tok-pairs.tok", Stream(3, provenance=LINE + "shard-pack 0.1 \u2190 \"both\"\n").fill(PAIRS).end()
    yield "tok-none.tok", Stream(1).end()
    yield "shard-pairs.shard", Stream(3, True, LINE).fill(PAIRS).end()
    yield "shard-none.shard", Stream(3, True).end()


def large():
    yield "tok-blocks.tok", Stream(1).fill([record("%06d" % i, [i % 300]) for i in range(9000)]).end()
    yield "tok-grid.tok", Stream(2, grid=(1024, 64)).fill([record("k%d" % i, (), [i] * 65536) for i in range(5)]).end()
    big = Stream(3, True, grid=(32, 32), codes=8192)
    yield "shard-blocks.shard", big.fill([record("%d" % i, [], [i % 8192] * 1024) for i in range(big.per_block + 2)]).end()


def changed(raw, at, byte):
    return raw[:at] + bytes([byte]) + raw[at + 1:]


def bad():
    text = Stream(1, provenance=LINE).fill(WORDS).end()
    shard = Stream(3, True, LINE).fill(PAIRS).end()
    whole = Stream(1)
    yield "tok-empty.tok", "is empty", b""
    yield "tok-lines.tok", "newlines were converted", text.replace(b"\r\n", b"\n")
    yield "tok-json.tok", "tok-load reads JSON lines", b'{"armchair":"tok","version":1}\n'
    yield "tok-magic.tok", "not a token stream", changed(text, 1, 0x42)
    yield "tok-version.tok", "version 2", Stream(1, version=2).end()
    yield "tok-flags.tok", "reserved bits of the header", Stream(1, flags=2).end()
    yield "tok-reserved.tok", "reserved bits of the header", Stream(1, reserved=1).end()
    yield "tok-kind.tok", "is not text, image or pair", Stream(4).end()
    yield "tok-vocab.tok", "text vocabulary 65537", Stream(1, vocab=65537).end()
    yield "tok-grid.tok", "grid 1025 x 1", Stream(2, grid=(1025, 1)).end()
    yield "tok-header.tok", "the header is damaged", changed(text, 60, 1)
    yield "tok-provenance.tok", "provenance is not lines", Stream(1, provenance="no newline").end()
    yield "tok-cut.tok", "ends without its end record", text[:-48]
    yield "tok-block.tok", "the next block is damaged", changed(text, 112 + len(LINE) + 4 + 24 + 9, 9)
    yield "tok-order.tok", "a block is missing", whole.block(WORDS[:1]).block(WORDS[1:], first=2).end()
    yield "tok-count.tok", "cannot hold 1000 records", Stream(1).block(WORDS, count=1000).end()
    yield "tok-huge.tok", "a block of 67108865 bytes", Stream(1).block(WORDS, size=67108865).end()
    yield "tok-rest.tok", "holds more than its records", Stream(1).block(WORDS, rest=b"\0").end()
    yield "tok-short.tok", "not whole in its block", Stream(1).block(WORDS, count=3, rest=bytes(7)).end()
    yield "tok-token.tok", "text token 300, the vocabulary has 300", Stream(1).block([record("a", [300])]).end()
    yield "tok-code.tok", "image token 512", Stream(2).block([record("a", (), [0, 512])]).end()
    yield "tok-slots.tok", "9 text tokens for 9 slots", Stream(1).block([record("a", [0] * 9)]).end()
    yield "tok-key.tok", "a key of 0 bytes", Stream(1).block([record("") + bytes(8)]).end()
    yield "tok-control.tok", "control characters", Stream(1).block([record("a\n")]).end()
    yield "tok-utf8.tok", "not UTF-8", Stream(1).block([record(b"\xc0\xaf")]).end()
    yield "tok-pad.tok", "padding that is not zero", Stream(1).block([record("a", pad=b"\1")]).end()
    yield "tok-records.tok", "counts 3 records", Stream(1).fill(WORDS).end(records=3)
    yield "tok-end.tok", "end record is damaged", changed(text, len(text) - 2, text[-2] ^ 1)
    yield "tok-swapped.tok", "belongs to another header", Stream(1).fill(WORDS).end(header_crc=b"abcd")
    yield "tok-after.tok", "not a token stream", text + b"\n"
    yield "tok-index.tok", "neither a block nor the end", Stream(1).raw + b"AIDX" + bytes(100)
    yield "tok-cat.tok", TOKENIZER.hex(), text + Stream(1, tokenizer=CODEBOOK).end()
    yield "tok-kinds.tok", "image tokens, not text tokens", text + Stream(2).end()
    yield "shard-kind.shard", "a shard of text tokens", Stream(1, True).end()
    yield "shard-index.shard", "the index is damaged", changed(shard, len(shard) - 50, 1)
    yield "shard-offset.shard", "does not point at the blocks", Stream(3, True).fill(PAIRS).end(offset=4096)
    yield "shard-without.shard", "without index", Stream(3, True).fill(PAIRS).end(index=False)
    yield "shard-table.shard", "table of records is wrong", Stream(3, True).block(PAIRS, shift=2).end()
    yield "shard-pad.shard", "padding that is not zero", Stream(3, True).block(PAIRS, pad=lambda n: bytes(n - 1) + b"\1").end()
    yield "shard-align.shard", "not aligned", Stream(3, True).block(PAIRS, pad=lambda n: b"").end()
    yield "shard-long.shard", "holds more than its records", Stream(3, True).block(PAIRS, pad=lambda n: bytes(n + 4096)).end()
    yield "shard-uneven.shard", "is short", Stream(3, True).block(PAIRS[:2]).block(PAIRS[:1]).block(PAIRS[:2]).end()


def write(folder, name, raw):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(raw)


def main():
    for folder, files in (("good", good), ("large", large), ("bad", tuple)):
        os.makedirs(os.path.join(sys.argv[1], folder), exist_ok=True)
        for name, raw in files():
            write(os.path.join(sys.argv[1], folder), name, raw)
    expect = ""
    for name, words, raw in bad():
        write(os.path.join(sys.argv[1], "bad"), name, raw)
        expect += "%s\t%s\n" % (name, words)
    write(os.path.join(sys.argv[1], "bad"), "tok.expect", expect.encode())


if __name__ == "__main__":
    main()
