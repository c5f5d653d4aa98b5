#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Read a checkpoint (safetensors) after formats/checkpoint.md, with Python's standard library alone.

usage: checkpoint_read.py FILE...        one JSON object a file: metadata, tensors, values, bytes, digest
       checkpoint_read.py --values FILE  one line a value: NAME INDEX VALUE
Exit status 1 with a line on stderr where a file is not allowed by the page.
"""
import hashlib
import json
import struct
import sys

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2,
         "I8": 1, "U8": 1, "BOOL": 1}
CODES = {"F64": "d", "F32": "f", "F16": "e", "I64": "q", "U64": "Q", "I32": "i", "U32": "I", "I16": "h", "U16": "H",
         "I8": "b", "U8": "B", "BOOL": "B"}
HEADER_MAX = 100_000_000


class Refused(Exception):
    pass


def once(pairs):
    """An object whose names are all different."""
    seen = dict(pairs)
    if len(seen) != len(pairs):
        raise Refused("a name stands twice")
    return seen


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 8:
        raise Refused("shorter than 8 bytes")
    (size,) = struct.unpack_from("<Q", data)
    if not 2 <= size <= HEADER_MAX or size > len(data) - 8 or data[8:9] != b"{":
        raise Refused("header")
    try:
        header = json.loads(data[8:8 + size].decode("utf-8"), object_pairs_hook=once)
    except ValueError as why:
        raise Refused(f"header: {why}") from why
    body = memoryview(data)[8 + size:]
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise Refused("metadata is not text to text")
    tensors, at = [], 0
    for name, entry in sorted(header.items(), key=lambda item: (item[1]["data_offsets"], item[0])):
        begin, end = entry["data_offsets"]
        count = 1
        for d in entry["shape"]:
            count *= d
        if entry["dtype"] not in SIZES or min(entry["shape"], default=0) < 0:
            raise Refused(f"{name}: type or shape")
        if end - begin != count * SIZES[entry["dtype"]]:
            raise Refused(f"{name}: size")
        if begin != at or end > len(body):
            raise Refused(f"{name}: place")
        at = end
        tensors.append((name, entry["dtype"], entry["shape"], body[begin:end]))
    if at != len(body):
        raise Refused("bytes behind the last tensor")
    return metadata, tensors


def digest(tensors):
    total = hashlib.sha256()
    for name, dtype, shape, data in sorted(tensors, key=lambda t: t[0].encode()):
        total.update(name.encode() + b"\0" + dtype.encode() + b"\0" + ",".join(map(str, shape)).encode() + b"\0")
        total.update(data)
    return total.hexdigest()


def values(dtype, data):
    if dtype == "BF16":
        return [struct.unpack("<f", struct.pack("<I", h << 16))[0] for (h,) in struct.iter_unpack("<H", data)]
    return [v for (v,) in struct.iter_unpack("<" + CODES[dtype], data)]


def main(arguments):
    show_values = arguments[:1] == ["--values"]
    for path in arguments[show_values:]:
        try:
            metadata, tensors = read(path)
        except (Refused, OSError, KeyError, TypeError, ValueError) as why:
            sys.exit(f"checkpoint_read.py: {path}: {why}")
        if show_values:
            for name, dtype, _, data in tensors:
                for i, value in enumerate(values(dtype, data)):
                    print(name, i, repr(value))
            continue
        print(json.dumps({
            "metadata": metadata,
            "tensors": [{"name": n, "type": t, "shape": s} for n, t, s, _ in tensors],
            "values": sum(len(d) // SIZES[t] for _, t, _, d in tensors),
            "bytes": sum(len(d) for _, _, _, d in tensors),
            "digest": digest(tensors)}, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1:])
