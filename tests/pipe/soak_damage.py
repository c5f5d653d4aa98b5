#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""soak_damage.py ARCHIVE-NUMBER OUT < TAR: give each pair a key of its own and damage one in a hundred; their keys on stdout."""
import io
import random
import sys
import tarfile

NUMBER, OUT = int(sys.argv[1]), sys.argv[2]
draw = random.Random(NUMBER)


def damage(how, picture, caption):
    if how == 0:
        return picture[:len(picture) // 2], caption
    if how == 1:
        return picture[:40] + bytes([picture[40] ^ 255]) + picture[41:], caption
    if how == 2:
        return draw.randbytes(500), caption
    if how == 3:
        return b"", caption
    if how == 4:
        return picture[:16] + b"\0\0\xff\xff" * 2 + picture[24:], caption
    if how == 5:
        return picture, b"caf\xe9"
    if how == 6:
        return picture, caption.replace(b" ", b"\0", 1)
    return (None, caption) if how == 7 else (picture, None)


def main():
    out = tarfile.open(OUT, "w", format=tarfile.USTAR_FORMAT)
    pair, count = {}, 0

    def put(name, data):
        if data is not None:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))

    source = tarfile.open(fileobj=sys.stdin.buffer, mode="r|")
    for member in source:
        pair[member.name.rsplit(".", 1)[1]] = source.extractfile(member).read()
        if len(pair) < 2:
            continue
        ext = next(e for e in pair if e != "txt")
        picture, caption = pair[ext], pair["txt"]
        key = "%04d%06d" % (NUMBER, count)
        if draw.random() < 0.01:
            picture, caption = damage(draw.randrange(9), picture, caption)
            print(key)
        put(key + "." + ext, picture)
        put(key + ".txt", caption)
        pair, count = {}, count + 1
    out.close()


if __name__ == "__main__":
    main()
