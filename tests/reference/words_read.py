#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""words_read.py -- formats/words.md in plain Python: read, join and write word counts.

    words_read.py FILE...    print one file of words that has the counts of all; exit status 1 where one is refused

Nothing but the standard library; written from the format page, not from lib/text.
"""
import re
import sys
import zlib

NAMED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"\\": b"\\"}


def plain(text):
    return re.sub(rb"\\(?:x([0-9a-f]{2})|(.))", lambda m: bytes.fromhex(m[1].decode()) if m[1] else NAMED[m[2]], text)


def escaped(word):
    named = {v: b"\\" + k for k, v in NAMED.items()}
    out = b""
    for c in word.decode("utf-8", "surrogateescape"):
        byte = c.encode("utf-8", "surrogateescape")
        control = len(byte) == 1 and (byte[0] < 32 or byte[0] >= 127)
        out += named.get(byte) or (b"\\x%02x" % byte[0] if control else byte)
    return out


def read(path):
    data = open(path, "rb").read()
    body, newline, end = data[:-1].rpartition(b"\n")
    assert data.endswith(b"\n") and newline and end.startswith(b"end\t"), "cut off"
    head, *lines = body.split(b"\n")
    assert re.fullmatch(rb"armchair words 1 (dalle|gpt2)( nfc)?( lower)?", head), "first line"
    words = []
    for line in lines:
        count, word = line.split(b"\t")
        assert re.fullmatch(rb"[1-9][0-9]*", count) and int(count) < 2**64, "count"
        words.append((plain(word), int(count)))
    assert all(a[0] < b[0] for a, b in zip(words, words[1:])) and (not words or words[0][0]), "order"
    fields = re.fullmatch(rb"end\t(0|[1-9][0-9]*)\t(0|[1-9][0-9]*)\t([0-9a-f]{8})", end)
    assert fields, "end line"
    assert int(fields[1]) == len(words) and int(fields[3], 16) == zlib.crc32(body + b"\n"), "count or checksum"
    return head, dict(words), int(fields[2])


def main():
    heads, total, captions = set(), {}, 0
    for path in sys.argv[1:]:
        head, words, more = read(path)
        heads.add(head)
        captions += more
        for word, count in words.items():
            total[word] = total.get(word, 0) + count
    assert len(heads) == 1, "different rules"
    body = heads.pop() + b"\n" + b"".join(b"%d\t%s\n" % (n, escaped(w)) for w, n in sorted(total.items()))
    sys.stdout.buffer.write(body + b"end\t%d\t%d\t%08x\n" % (len(total), captions, zlib.crc32(body)))


try:
    main()
except (AssertionError, ValueError, KeyError) as reason:
    sys.exit(f"words_read.py: refused: {reason}")
