#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Archives as scrapers, other systems and broken disks leave them: archives.py NAME FILE.  Python's standard library alone."""
import io
import json
import random
import struct
import sys
import tarfile
import zipfile
import zlib


def picture(n):
    """A PPM of 16x16 that compresses badly."""
    return b"P6 16 16 255\n" + random.Random(n).randbytes(16 * 16 * 3)


def pair(key, n, caption=None):
    return [(key + ".ppm", picture(n)), (key + ".txt", (caption or "caption %d" % n).encode())]


def tar(path, members, mode="w", form=tarfile.PAX_FORMAT, **more):
    with tarfile.open(path, mode, format=form, encoding="utf-8", errors="surrogateescape", **more) as out:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member[0])
            body = b"" if member is info else member[1]
            info.size = len(body)
            out.addfile(info, io.BytesIO(body))


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def scraped(out):
    """img2dataset's layout: numbers with gaps, a json with much in it, members of other programs, a tally at the end."""
    members = []
    for n in (0, 1, 2, 17, 18, 400):
        key = "%09d" % n
        meta = {"caption": "from json %d" % n, "url": "http://x/é", "key": key, "status": "success", "exif": "{}", "nested": {"a": [1, None]}}
        members.append((key + ".jpg", picture(n)))  # what it is, its bytes say
        if n != 17:
            members.append((key + ".txt", b"caption %d" % n))
        members += [(key + ".json", json.dumps(meta).encode()), (key + ".npy", b"\x93NUMPY"), (key + ".cls", b"3")]
    tar(out, members + [("stats.log", b"6 of 401"), ("LICENSE", b"free")])


def plain(out, mode="w"):
    tar(out, [m for n in range(6) for m in pair("%03d" % n, n)], mode)


def long_names(out, form):
    folder = "/".join("directory-number-%d" % i for i in range(12))  # more than 100, more than 155 and 100
    tar(out, [m for k in ("a" * 180, folder + "/one", folder + "/" + "b" * 240, "é" * 90, "短/名") for m in pair(k, len(k))],
        form=form)


def problems(out):
    """Every way in which a record is incomplete, and good ones between."""
    tar(out, pair("good1", 1) + [("alone.ppm", picture(2))] + pair("good2", 3) + [("said.txt", b"no picture")] +
        pair("again", 4) + pair("good3", 5) + pair("again", 6) +  # a key twice, apart: two records
        pair("two", 7) + [("two.txt", b"another")] + pair("double", 8) + [("double.png", picture(9))] +
        [("cut.ppm", picture(10)[:300]), ("cut.txt", b"the picture is cut"), ("bytes.ppm", picture(11)), ("bytes.txt", b"\xff\xfe")] +
        pair("good4", 12))


def out_of_order(out):
    keys = ["%03d" % n for n in range(4)]
    tar(out, [pair(k, n)[0] for n, k in enumerate(keys)] + [pair(k, n)[1] for n, k in enumerate(keys)])


def macos(out):
    """What macOS adds: AppleDouble files beside the real ones, and a folder of them in zip files."""
    tar(out, [m for n in range(3) for name, body in pair("a/%d" % n, n)
              for m in (("a/._" + name[2:], b"\0\5\x16\7" + body[:40]), (name, body))] + [("a/.DS_Store", b"Bud1")])


def macos_zip(out):
    with zipfile.ZipFile(out, "w") as z:
        for n in range(3):
            for name, body in pair("a/%d" % n, n):
                z.writestr(name, body)
                z.writestr("__MACOSX/a/._" + name[2:], b"\0\5\x16\7" + body[:40])


def links(out):
    t = tarfile
    tar(out, [special("a", t.DIRTYPE), special("a/b.ppm", t.DIRTYPE)] + pair("a/1", 1) +
        [special("a/2.ppm", t.SYMTYPE, "1.ppm"), ("a/2.txt", b"a symbolic link"),
         special("a/3.ppm", t.LNKTYPE, "a/1.ppm"), ("a/3.txt", b"a hard link"),
         special("a/4.ppm", t.FIFOTYPE), ("a/4.txt", b"a pipe"), special("a/5.ppm", t.SYMTYPE, "/etc/passwd"),
         special("a/1x.ppm", t.CHRTYPE)] + pair("a/6", 6))


def latin1(out, form):
    tar(out, pair("caf\udce9", 1) + pair("fine", 2), form=form)


def latin1_zip(out):
    with zipfile.ZipFile(out, "w") as z:
        for name, body in pair("cafX", 1) + pair("fine", 2):
            z.writestr(name, body)
    whole = open(out, "rb").read()
    open(out, "wb").write(whole.replace(b"cafX", b"caf\xe9"))


def zips(out, kind):
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED) as z:
        z.comment = b"a comment" if kind == "comment" else b""
        z.writestr("sub/", b"")
        for n in range(6):
            for name, body in pair("sub/%03d" % n, n):
                if kind == "zip64":
                    with z.open(name, "w", force_zip64=True) as file:
                        file.write(body)
                else:
                    z.writestr(name, body)


def many(out, count):
    """A stream of count pairs, written as it goes."""
    body = picture(1)
    with tarfile.open(fileobj=sys.stdout.buffer if out == "-" else open(out, "wb"), mode="w|", format=tarfile.USTAR_FORMAT) as t:
        for n in range(int(count)):
            for ext, data in (("ppm", body), ("txt", b"a small red circle number %d" % n)):
                info = tarfile.TarInfo("%09d.%s" % (n, ext))
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))


def bombs(out):
    """Small files of huge pictures and members; each must be refused for what its header says."""
    def png(width, height, chunks=b""):
        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        body = zlib.compress(b"\0" * 1000000, 9)
        return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunks +
                chunk(b"IDAT", body) + chunk(b"IEND", b""))

    def ztxt():
        packed = zlib.compress(b"x" * (1 << 28), 9)
        data = b"Comment\0\0" + packed
        return struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))

    jpeg = b"\xff\xd8\xff\xc0\0\x11\x08\xff\xdc\xff\xdc\3\1\x22\0\2\x11\1\3\x11\1" + b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0" + b"\0" * 50
    vp8x = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xfe\x3f\0" + b"\xfe\x3f\0"
    vp8l = b"VP8L" + struct.pack("<IBI", 20, 0x2f, 0x3ffe | 0x3ffe << 14) + b"\0" * 15
    webp = b"RIFF" + struct.pack("<I", 4 + len(vp8l)) + b"WEBP" + vp8l
    named = {"png-wide": png(0x7fffffff, 0x7fffffff), "png-large": png(60000, 60000), "png-text": png(100000, 10000, ztxt()),
             "jpeg": jpeg, "webp": webp, "webp-canvas": vp8x, "pnm": b"P6 2000000 2000000 255\n" + b"\0" * 100,
             "pnm-text": b"P1 99999 99999\n0"}
    with tarfile.open(out, "w:gz", format=tarfile.GNU_FORMAT) as t:
        for key, body in named.items():
            for name, data in ((key + ".png", body), (key + ".txt", b"x")):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
        for key, size in (("member", 1 << 30), ("caption", 1 << 28)):  # zeros that compress to nothing
            info = tarfile.TarInfo(key + (".png" if key == "member" else ".txt"))
            info.size = size
            t.addfile(info, open("/dev/zero", "rb"))
        for name, data in pair("good", 1):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))


if __name__ == "__main__":
    name, out, *more = sys.argv[1:]
    globals()[name](out, *(int(a) if a.isdigit() else a for a in more))
