#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hf_tokenizer.py -- compare with Hugging Face's `tokenizers` (PyPI), where it is installed.  Not part of `make check`.

    PATH=build/bin:$PATH python3 tests/reference/hf_tokenizer.py [CORPUS...] [TOKENIZER.json...]

Compared, for both split rules: the files that each side learns from the same captions; the ids that both give with
either file on at least 100,000 lines (the corpus, this repository's prose, and made-up lines of ASCII, control characters,
many scripts, emoji, random code points, and random bytes of which what is UTF-8 is kept).  Then files with added texts,
one laid out as GPT-2's was published, and every TOKENIZER.json given.  Lines with characters newer than Python's Unicode are counted apart: the three tables (utf8proc's,
the library's, Python's) need not have the same version.  Exit status 1 if anything else differs.
"""
import glob
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

FAILED = []


def report(name, ok, note=""):
    print(f"{'ok    ' if ok else 'DIFFER'} {name} {note}")
    if not ok:
        FAILED.append(name)


def library(split):
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    letters = pre_tokenizers.Split(Regex("[a-z]+|[^a-z]"), "isolated")
    t.pre_tokenizer = (pre_tokenizers.Sequence([letters, bytes_only]) if split == "dalle"
                       else pre_tokenizers.ByteLevel(add_prefix_space=False))
    t.decoder = decoders.ByteLevel()
    return t


EMOJI = ["🥑", "👩‍🚀", "👨‍👩‍👧‍👦", "🇯🇵", "👍🏽", "1️⃣", "❤️", "🏳️‍🌈"]
ADDED = ["<|endoftext|>", "<|end|>", "<|END|>", "[A b]", "É!", "E\u0301!"]


def make_lines(count):
    draw = random.Random(1)
    words = EMOJI + ADDED + "an Armchair in the shape of avocado it's we'll 3.14 CAFÉ Ωμέγα ΣΟΦΟΣ İstanbul 日本語 한국어 J\u030c e\u0301 🥑".split()

    def character():
        r = draw.random()
        if r < 0.45:
            return chr(draw.randrange(32, 127))
        if r < 0.5:
            return chr(draw.randrange(32))
        if r < 0.6:
            return draw.choice(words)
        bounds = (0x80, 0x600) if r < 0.75 else (0x600, 0x3000) if r < 0.85 else (0x3000, 0x20000) if r < 0.95 else (0, 0x110000)
        return chr(draw.randrange(*bounds))

    for i in range(count):
        if i % 10 == 4:
            line = draw.randbytes(draw.randrange(60)).decode("utf-8", "ignore")
        elif i % 2:
            line = " ".join(draw.choice(words) for _ in range(draw.randrange(12)))
        else:
            line = "".join(character() for _ in range(draw.randrange(40)))
        yield "".join(c for c in line if c not in "\n\r" and not 0xD800 <= ord(c) < 0xE000)


def newer(text):
    """Characters that a table of another version may know otherwise: unassigned, and marks of which NFC's order depends."""
    return any(unicodedata.category(c) == "Cn" or (unicodedata.combining(c) and ord(c) > 0x36F) for c in text)


def our_ids(path, lines):
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n") as f:
        f.write("".join(line + "\n" for line in lines))
        f.flush()
        start = time.time()
        tok = subprocess.run(["bpe-encode", "-q", "--slots", "65536", "-m", path, f.name], capture_output=True, check=True).stdout
        seconds = time.time() - start
    dump = subprocess.run(["tok-dump"], input=tok, capture_output=True, check=True).stdout
    return [json.loads(r)["text"] for r in dump.split(b"\n")[1:] if r], seconds


def compare_ids(name, path, lines):
    t = Tokenizer.from_file(path)
    start = time.time()
    theirs = [e.ids for e in t.encode_batch(lines)]
    seconds = time.time() - start
    ours, our_seconds = our_ids(path, lines)
    wrong = [line for line, a, b in zip(lines, theirs, ours) if a != b]
    apart = [line for line in wrong if newer(line)]
    report(f"{name}: ids of {len(lines)} lines", len(ours) == len(lines) and len(wrong) == len(apart),
           f"({len(apart)} lines with newer characters differ; library {seconds:.1f} s on all cores, ours {our_seconds:.1f} s on one)")
    for line in [w for w in wrong if w not in apart][:5]:
        print("      ", ascii(line))


def merges_of(path):
    model = json.load(open(path, encoding="utf-8"))["model"]
    return model["vocab"], [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]


def compare_training(name, split, lines, folder):
    their_file, our_file = f"{folder}/{name}-theirs.json", f"{folder}/{name}-ours.json"
    t = library(split)
    start = time.time()
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=8192, min_frequency=2, show_progress=False,
                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    middle = time.time()
    t.save(their_file)
    subprocess.run(["bpe-train", "-q", "--vocab", "8192", "--split", split, "-o", our_file], check=True,
                   input="".join(line + "\n" for line in lines).encode())
    report(f"{name}: merges learnt from {len(lines)} lines", merges_of(their_file) == merges_of(our_file),
           f"(library {middle - start:.1f} s, ours {time.time() - middle:.1f} s)")
    return their_file, our_file


def library_like(path, lines, kind):
    """A file of the library: "added" texts among what it learns, or "gpt2": laid out as the published one."""
    t = library("gpt2") if kind == "added" else Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix=""))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "[A b]"] if kind == "added" else []
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=8192, show_progress=False, special_tokens=special,
                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    if kind == "added":
        t.add_tokens([AddedToken("<|end|>", normalized=True), AddedToken("É!", normalized=True)])
        t.save(path)
        return
    data = json.loads(t.to_str())
    model = data["model"]
    last = len(model["vocab"])
    data["added_tokens"] = [{"id": last, "special": True, "content": "<|endoftext|>", "single_word": False, "lstrip": False,
                             "rstrip": False, "normalized": True}]
    data["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    data["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False}
    data["decoder"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}
    data["model"] = {"dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
                     "vocab": model["vocab"] | {"<|endoftext|>": last},
                     "merges": [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]}
    json.dump(data, open(path, "w", encoding="utf-8"), ensure_ascii=False)


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    given = [path for path in sys.argv[1:] if path.endswith(".json")]
    prose = [path for path in sys.argv[1:] if path not in given] + sorted(glob.glob(f"{root}/**/*.md", recursive=True))
    corpus = [line for path in prose for line in open(path, encoding="utf-8", newline="\n").read().split("\n")]
    corpus = [line.replace("\r", "") for line in corpus]
    lines = corpus + list(make_lines(max(40000, 100000 - len(corpus))))
    plain = [line.encode("ascii", "ignore").decode() for line in corpus] + [l for l in lines if l.isascii()]
    old = [line for line in lines if not newer(line)]
    with tempfile.TemporaryDirectory() as folder:
        # the library also learns merges within single characters of several bytes; dalle's rule has none, hence ASCII
        files = [("dalle", *compare_training("dalle", "dalle", plain, folder)),
                 ("gpt2", *compare_training("gpt2", "gpt2", old, folder))]
        for split, theirs, ours in files:
            compare_ids(f"{split}, their file", theirs, lines)
            compare_ids(f"{split}, our file", ours, lines)
        for kind in ("added", "gpt2"):
            library_like(f"{folder}/{kind}.json", old, kind)
            compare_ids(f"their file, {kind}", f"{folder}/{kind}.json", lines)
        for path in [f"{root}/formats/good/tokenizer-added.json", *given]:
            compare_ids(path, path, lines)
        t = library("dalle")  # a file of theirs with merges within characters
        t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=8192, show_progress=False,
                                                         initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        t.save(f"{folder}/within.json")
        compare_ids("dalle, merges within characters", f"{folder}/within.json", lines)
    sys.exit(1 if FAILED else 0)


main()
