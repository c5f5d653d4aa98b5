#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the checkpoint and pair examples under formats/good and formats/bad: the same bytes each time.

usage: examples.py FOLDER      (formats, to make them anew)
"""
import gzip
import io
import json
import os
import struct
import sys
import tarfile
import zipfile
import zlib


def safetensors(header, body, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def checkpoints():
    config = {"layers": 1, "width": 8, "heads": 1, "text_vocab": 3, "text_slots": 2, "min_pad": 0, "image_vocab": 2,
              "grid_h": 1, "grid_w": 2, "kernel": 11, "masks": "dalle"}
    meta = {"config": json.dumps(config, separators=(",", ":")), "format": "armchair-prior 1", "image_digest": "0" * 64,
            "masks": "dalle", "provenance": "shapes-make 0.1 --count=2\nprior-train 0.1 --steps=10\n", "step": "10",
            "text_digest": "9f" * 32}
    w = struct.pack("<8f", *(0.5 * i - 1 for i in range(8)))
    good = {"__metadata__": meta, "final.norm.bias": entry("F32", [2], 0, 8), "final.norm.weight": entry("F32", [2], 8, 16),
            "image.token.weight": entry("F32", [2, 2], 16, 32)}
    yield "good/checkpoint.safetensors", safetensors(good, w)
    body = (struct.pack("<Q", 2 ** 63) + struct.pack("<q", -5) + struct.pack("<d", 0.1) + struct.pack("<2f", 1.5, -0.0) +
            struct.pack("<I", 7) + struct.pack("<i", -7) + struct.pack("<2H", 0x3f80, 0xc000) + struct.pack("<e", 0.25) +
            struct.pack("<H", 65535) + struct.pack("<h", -2) + struct.pack("<b", -1) + b"\xff" + b"\1\0")
    types, at = {}, 0
    for name, dtype, shape, size in (
            ("u64", "U64", [], 8), ("i64", "I64", [1], 8), ("f64", "F64", [1, 1], 8), ("empty", "F32", [3, 0], 0),
            ("f32", "F32", [2], 8), ("u32", "U32", [], 4), ("i32", "I32", [], 4), ("bf16", "BF16", [2], 4),
            ("f16", "F16", [1], 2), ("u16", "U16", [], 2), ("i16", "I16", [], 2), ("i8", "I8", [], 1), ("u8", "U8", [], 1),
            ("bool", "BOOL", [2], 2)):
        types[name] = entry(dtype, shape, at, at + size)
        at += size
    yield "good/types.safetensors", safetensors(types, body)
    yield "good/no-tensors.safetensors", safetensors({}, b"")

    one = {"w": entry("F32", [2], 0, 8)}
    yield "good/one-tensor.safetensors", safetensors({"__metadata__": {"step": "10"}, **one}, struct.pack("<2f", 1, -2))
    yield "bad/checkpoint-cut.safetensors", safetensors(good, w)[:-1]
    yield "bad/checkpoint-cut-header.safetensors", safetensors(good, w)[:100]
    yield "bad/checkpoint-short.safetensors", b"\2\0\0\0"
    yield "bad/checkpoint-header-length.safetensors", safetensors(one, b"\0" * 8, 2 ** 40)
    yield "bad/checkpoint-not-json.safetensors", safetensors(b'{"w":', b"")
    yield "bad/checkpoint-array.safetensors", safetensors(b"[]", b"")
    yield "bad/checkpoint-trailing.safetensors", safetensors(one, b"\0" * 9)
    yield "bad/checkpoint-gap.safetensors", safetensors({"w": entry("F32", [2], 4, 12)}, b"\0" * 12)
    yield "bad/checkpoint-overlap.safetensors", safetensors({**one, "x": entry("F32", [2], 4, 12)}, b"\0" * 12)
    yield "bad/checkpoint-shape.safetensors", safetensors({"w": entry("F32", [3], 0, 8)}, b"\0" * 8)
    yield "bad/checkpoint-overflow.safetensors", safetensors({"w": entry("F32", [2 ** 62, 4], 0, 0)}, b"")
    yield "bad/checkpoint-type.safetensors", safetensors({"w": entry("F8_E5M2", [8], 0, 8)}, b"\0" * 8)
    yield "bad/checkpoint-twice.safetensors", safetensors(
        b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        b"\0" * 8)
    yield "bad/checkpoint-metadata.safetensors", safetensors({"__metadata__": {"step": 1}, **one}, b"\0" * 8)
    yield "bad/checkpoint-infinite.safetensors", safetensors(one, struct.pack("<2f", 1, float("inf")))


def png(pixels, width):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(pixels[i:i + 3 * width]) for i in range(0, len(pixels), 3 * width))
    # stored, not deflated: the bytes do not depend on a version of zlib
    stored = b"\x78\1\1" + struct.pack("<HH", len(rows), len(rows) ^ 0xffff) + rows + struct.pack(">I", zlib.adler32(rows))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(pixels) // 3 // width, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", stored) + chunk(b"IEND", b""))


def tar(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT, encoding="utf-8") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def pairs():
    red, grey = png([255, 0, 0] * 4, 2), b"P5 2 1 255\n\x40\x80"
    members = [("0001.png", red), ("0001.txt", "a red square\n".encode()),
               ("sub/0002.json", '{"url":"x","caption":"an é in grey"}'.encode()), ("sub/0002.pgm", grey),
               ("sub.d/0003.PNG", red), ("sub.d/0003.npy", b"extra"), ("sub.d/0003.txt", b"no line end"),
               ("\u6905\u5b50.png", red), ("\u6905\u5b50.txt", b"")]
    yield "good/pairs.tar", tar(members)
    yield "good/pairs.tar.gz", gzip.compress(tar(members), mtime=0)
    yield "good/pairs.zip", zip_(members)
    yield "good/pairs-empty.tar", tar([])
    yield "good/pairs.tsv", ("formats/good/pictures/red.png\ta red square\n"
                             "formats/good/pictures/grey.pgm\tan é in grey\n").encode()
    yield "good/pictures/red.png", red
    yield "good/pictures/grey.pgm", grey
    yield "good/pairs-rejects.jsonl", (b'{"source":"formats/good/pairs.zip","key":"sub.d/0003","reason":"any"}\n'
                                       b'{"source":"formats/good/pairs.zip","key":"0001","reason":"any"}\n'
                                       b'{"source":"@formats/good/pairs.tsv","key":"formats/good/pictures/red",'
                                       b'"reason":"any"}\n')

    plain = tar(members)
    yield "bad/pairs-cut.tar", plain[:512 * 5 + 100]
    yield "bad/pairs-cut-between.tar", plain[:512 * 4]
    yield "bad/pairs-cut.tar.gz", gzip.compress(plain, mtime=0)[:-20]
    yield "bad/pairs-cut.zip", zip_(members)[:-30]
    yield "bad/pairs-text.tar", b"a caption, no archive\n" * 100
    yield "bad/pairs-empty-file.tar", b""
    yield "bad/pairs-rejects-of-rejects.jsonl", b'{"source":"@formats/good/pairs-rejects.jsonl","key":"0001"}\n'
    yield "bad/pairs-rejects-no-key.jsonl", b'{"source":"formats/good/pairs.tar"}\n'
    yield "bad/pairs-problems.tar", tar([
        ("latin1.png", red), ("latin1.txt", b"caf\xe9"), ("nul.png", red), ("nul.txt", b"a\0b"), ("alone.png", red),
        ("bare.txt", b"no picture"), ("two.jpg", red), ("two.png", red), ("two.txt", b"two"),
        ("null.png", red), ("null.json", b'{"caption":null}')])


if __name__ == "__main__":
    for path, data in (*checkpoints(), *pairs()):
        path = os.path.join(sys.argv[1], path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
