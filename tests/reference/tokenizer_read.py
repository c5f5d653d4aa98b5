#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tokenizer_read.py -- formats/tokenizer.md in plain Python: encode with a tokenizer.json, and its digest.

    tokenizer_read.py digest tokenizer.json            print the digest
    tokenizer_read.py lines N                          print N test captions, always the same
    tokenizer_read.py encode tokenizer.json < lines    print the ids of each line, spaces between
    tokenizer_read.py decode tokenizer.json < ids      print the text of each line of ids as JSON

Nothing but the standard library; written from the format page, not from lib/text.
"""
import hashlib
import json
import random
import re
import struct
import sys
import unicodedata


def alphabet():
    """Code point of each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {**{b: b for b in printable}, **{b: 256 + i for i, b in enumerate(others)}}


POINT = alphabet()
BYTE = {chr(p): b for b, p in POINT.items()}


class Tokenizer:
    def __init__(self, path):
        data = json.load(open(path, encoding="utf-8"))
        model = data["model"]
        assert model["type"] == "BPE" and data["version"] == "1.0"
        self.vocab = model["vocab"]
        self.merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
        self.rank = {m: i for i, m in enumerate(self.merges)}
        normalizer = data["normalizer"] or {"type": "Sequence", "normalizers": []}
        self.steps = [n["type"] for n in normalizer.get("normalizers", [normalizer])]
        self.split = "dalle" if data["pre_tokenizer"]["type"] == "Sequence" else "gpt2"
        self.added = sorted((t["id"], self.normalise(t["content"]) if t["normalized"] else t["content"], t["normalized"])
                            for t in data["added_tokens"])
        token = {i: bytes(BYTE.get(c, 0) for c in t) for t, i in self.vocab.items()} | {i: t.encode() for i, t, _ in self.added}
        self.token = [token[i] for i in range(len(token))]
        self.raw = self.finder({t: i for i, t, later in self.added if not later})
        self.later = self.finder({t: i for i, t, later in self.added if later})

    @staticmethod
    def finder(ids):
        """Cut a text into what is between added texts and the ids of these, in turn; the longest one wins."""
        if not ids:
            return lambda text: [text]
        expression = re.compile("(" + "|".join(map(re.escape, sorted(ids, key=len, reverse=True))) + ")")
        return lambda text: [ids[t] if i % 2 else t for i, t in enumerate(expression.split(text))]

    def normalise(self, text):
        if "NFC" in self.steps:
            text = unicodedata.normalize("NFC", text)
        if "Lowercase" in self.steps:
            text = "".join(c.lower() for c in text)  # each character alone: no rule for a sigma at the end
        return text

    def pieces(self, text):
        if self.split == "dalle":
            return re.findall("[a-z]+|[^a-z]", text)
        return pieces_gpt2(text)

    def merge(self, symbols):
        while len(symbols) > 1:
            ranks = [self.rank.get(pair, len(self.rank)) for pair in zip(symbols, symbols[1:])]
            best = min(ranks)
            if best == len(self.rank):
                break
            i = ranks.index(best)
            symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
        return symbols

    def encode(self, text):
        ids = []
        parts = [p for raw in self.raw(text) for p in ([raw] if isinstance(raw, int) else self.later(self.normalise(raw)))]
        for piece in [p for part in parts for p in ([part] if isinstance(part, int) else self.pieces(part))]:
            if isinstance(piece, int):
                ids.append(piece)
                continue
            symbols = [chr(POINT[b]) for b in piece.encode("utf-8")]
            ids += [self.vocab[s] for s in self.merge(symbols)]
        return ids

    def decode(self, ids):
        return b"".join(self.token[i] for i in ids).decode("utf-8", "replace")

    def digest(self):
        out = [b"armchair bpe 1\n"]
        out += [b"nfc\n"] if "NFC" in self.steps else []
        out += [b"lower\n"] if "Lowercase" in self.steps else []
        out += [self.split.encode() + b"\n", struct.pack("<I", len(self.token))]
        for token in self.token:
            out += [struct.pack("<I", len(token)), token]
        out += [struct.pack("<I", len(self.merges))]
        out += [struct.pack("<II", self.vocab[a], self.vocab[b]) for a, b in self.merges]
        if self.added:
            out += [struct.pack("<I", len(self.added))] + [struct.pack("<II", i, later) for i, _, later in self.added]
        return hashlib.sha256(b"".join(out)).hexdigest()


SPACES = {*map(chr, [*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000])}


def kind(c):
    """One letter for the classes of GPT-2's expression; the plain space is one of its own."""
    if c in SPACES:
        return " " if c == " " else "s"
    return {"L": "L", "N": "N"}.get(unicodedata.category(c)[0], "o")


def pieces_gpt2(text):
    kinds = "".join(map(kind, text))
    expression = re.compile(r" ?L+| ?N+| ?o+|[ s]+(?![^ s])|[ s]+")
    at, pieces = 0, []
    while at < len(text):
        found = re.compile("'s|'t|'re|'ve|'m|'ll|'d").match(text, at) or expression.match(kinds, at)
        pieces.append(text[at : found.end()])
        at = found.end()
    return pieces


def lines(count):
    draw = random.Random(1)
    words = "An armchair in the shape of an avocado, it's we'll 3.14 CAFÉ Ωμέγα ΣΟΦΟΣ İstanbul 日本語 한국어 J\u030c e\u0301 🥑 \t  ~ ---".split(" ")
    old = [chr(c) for c in range(32, 0x3000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Mn") and c != 0x2028]
    for i in range(count):
        if i % 2:
            yield " ".join(draw.choice(words) for _ in range(draw.randrange(12))).replace("~ ---", "<|endoftext|>[A b]")
        else:
            yield "".join(draw.choice(old if draw.random() < 0.5 else words) for _ in range(draw.randrange(40)))


def main():
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    sys.stdin.reconfigure(encoding="utf-8", newline="\n")
    what = sys.argv[1]
    if what == "lines":
        for line in lines(int(sys.argv[2])):
            print(line)
        return
    tokenizer = Tokenizer(sys.argv[2])
    if what == "digest":
        print(tokenizer.digest())
    for line in sys.stdin if what in ("encode", "decode") else []:
        line = line.removesuffix("\n")
        if what == "encode":
            print(*tokenizer.encode(line))
        else:
            print(json.dumps(tokenizer.decode(map(int, line.split()))))


main()
