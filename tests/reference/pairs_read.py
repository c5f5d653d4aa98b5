#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Read a pair source after formats/pairs.md, with Python's standard library alone: tar (plain, gzip, xz, bzip2; "-" is
stdin), zip, folder, @list of paths and captions, @list of rejects.

usage: pairs_read.py SOURCE...   one JSON object a record: key, caption, picture_ext, picture_sha256; or key and problem
"""
import hashlib
import json
import os
import sys
import tarfile
import zipfile

PICTURES = {"png", "jpg", "jpeg", "webp", "ppm", "pgm", "pbm", "pnm"}


def tar_members(path):
    stream = sys.stdin.buffer if path == "-" else open(path, "rb")
    with tarfile.open(fileobj=stream, mode="r|*", encoding="utf-8") as tar:
        for m in tar:
            if m.isfile():
                yield m.name, lambda m=m: tar.extractfile(m).read()


def zip_members(path):
    with zipfile.ZipFile(path) as archive:
        for m in archive.infolist():
            if not m.is_dir():
                yield m.filename, lambda m=m: archive.read(m)


def folder_members(path, below=""):
    names = sorted((n for n in os.listdir(os.path.join(path, below)) if not n.startswith(".")), key=os.fsencode)
    full = {n: os.path.join(path, below, n) for n in names}
    for n in names:
        if os.path.isfile(full[n]):
            yield os.path.join(below, n), lambda f=full[n]: open(f, "rb").read()
    for n in names:
        if os.path.isdir(full[n]) and not os.path.islink(full[n]):
            yield from folder_members(path, os.path.join(below, n))


def split(name):
    """Key and extension: the first dot of the file name divides them."""
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    folder, slash, last = name.rpartition("/")
    base, dot, ext = last.partition(".")
    return (folder + slash + base, ext.lower()) if base and dot else (None, None)


def caption_of(members):
    if "txt" in members:
        text = members["txt"].decode("utf-8")
        if text.endswith("\n"):
            text = text[:-1].removesuffix("\r")
        return text
    return json.loads(members["json"])["caption"] if "json" in members else None


def record(key, members, twice):
    pictures = [e for e in members if e in PICTURES]
    caption = caption_of(members)
    if twice or len(pictures) != 1 or caption is None or "\0" in caption:
        return {"key": key, "problem": True}
    return {"key": key, "caption": caption, "picture_ext": pictures[0],
            "picture_sha256": hashlib.sha256(members[pictures[0]]).hexdigest()}


def group(members):
    """Neighbours of one key are a record."""
    now, got, twice = None, {}, False
    for name, data in members:
        key, ext = split(name)
        if key is None:
            continue
        if key != now:
            if got:
                yield record(now, got, twice)
            now, got, twice = key, {}, False
        if ext in PICTURES or ext in ("txt", "json"):
            twice = twice or ext in got
            got[ext] = data()
    if got:
        yield record(now, got, twice)


def list_records(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = [line.rstrip("\n") for line in file]
    lines = [line for line in lines if line]
    if lines and lines[0].startswith("{"):
        wanted = {}
        for line in map(json.loads, lines):
            wanted.setdefault(line["source"], set()).add(line["key"])
        for source, keys in wanted.items():
            yield from (r for r in records(source) if r["key"] in keys)
        return
    for line in lines:
        name, _, caption = line.partition("\t")
        with open(name, "rb") as file:
            data = file.read()
        yield {"key": split(name)[0], "caption": caption, "picture_ext": name.rpartition(".")[2].lower(),
               "picture_sha256": hashlib.sha256(data).hexdigest()}


def records(source):
    if source.startswith("@"):
        return list_records(source[1:])
    if source != "-" and os.path.isdir(source):
        return group(folder_members(source))
    if source != "-" and zipfile.is_zipfile(source):
        return group(zip_members(source))
    return group(tar_members(source))


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        for found in records(argument):
            print(json.dumps(found, ensure_ascii=False))
