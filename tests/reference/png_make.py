#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make a PNG of every kind and what it shows, after the PNG specification (third edition), with Python's standard library:
png_make.py FOLDER writes NAME.png and NAME.ppm: 5 colour types, 1 to 16 bits, with and without Adam7 interlace, tRNS
chunks and alpha over white.  --check prints the largest difference from Pillow's decoder:
at most 2 (16 bits, where Pillow takes the upper byte), but for grey of 16 bits, which Pillow clips, and tRNS of 2 and 4 bits,
which it compares with the scaled sample."""
import os
import random
import struct
import sys
import zlib

W, H = 13, 11  # all seven passes have pixels, and none ends with a byte
KINDS = {"grey": (0, 1, (1, 2, 4, 8, 16)), "rgb": (2, 3, (8, 16)), "palette": (3, 1, (1, 2, 4, 8)),
         "greya": (4, 2, (8, 16)), "rgba": (6, 4, (8, 16))}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_row(samples, depth):
    if depth == 16:
        return b"".join(struct.pack(">H", s) for s in samples)
    bits = "".join(format(s, "0%db" % depth) for s in samples)
    return bytes(int(bits[i:i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))


def paeth(a, b, c):
    p = a + b - c
    near = min(abs(p - a), abs(p - b), abs(p - c))
    return a if abs(p - a) == near else b if abs(p - b) == near else c


def filtered(rows, step, rng):
    """Each row with a filter of its own, all five in use."""
    out, before = b"", None
    for row in rows:
        kind = rng.randrange(5)
        above = before or bytes(len(row))
        left = bytes(step) + row[:-step] if step < len(row) else bytes(len(row))
        corner = bytes(step) + above[:-step] if step < len(above) else bytes(len(row))
        guess = (lambda i: 0, lambda i: left[i], lambda i: above[i], lambda i: (left[i] + above[i]) // 2,
                 lambda i: paeth(left[i], above[i], corner[i]))[kind]
        out += bytes([kind]) + bytes((row[i] - guess(i)) & 255 for i in range(len(row)))
        before = row
    return out


def body(pixels, channels, depth, interlace, rng):
    step = max(1, channels * depth // 8)
    rows = lambda part: [pack_row([s for p in row for s in p], depth) for row in part]
    if not interlace:
        return filtered(rows(pixels), step, rng)
    out = b""
    for x, y, dx, dy in PASSES:
        part = [row[x::dx] for row in pixels[y::dy]]
        if part and part[0]:
            out += filtered(rows(part), step, rng)
    return out


def to8(sample, depth):
    return (sample * 255 * 2 + (1 << depth) - 1) // (2 * ((1 << depth) - 1))  # rounded


def over_white(c, a):
    return (a * c + (255 - a) * 255 + 127) // 255


def make(kind, depth, interlace, trns):
    number, channels, _ = KINDS[kind]
    rng = random.Random("%s %d %d %d" % (kind, depth, interlace, trns))
    most = (1 << depth) - 1
    palette = [tuple(rng.randrange(256) for _ in range(3)) for _ in range(min(1 << depth, 200))]
    alphas = [rng.randrange(256) for _ in range(len(palette) * 2 // 3)] if trns and kind == "palette" else []
    top = len(palette) - 1 if kind == "palette" else most
    pixels = [[tuple(rng.randint(0, top) for _ in range(channels)) for _ in range(W)] for _ in range(H)]
    key = pixels[3][4] if trns and kind != "palette" else None  # this colour is transparent
    shown = b""
    for row in pixels:
        for p in row:
            if kind == "palette":
                rgb, a = palette[p[0]], alphas[p[0]] if p[0] < len(alphas) else 255
            else:
                alpha = channels in (2, 4)
                colour = [to8(s, depth) for s in (p[:-1] if alpha else p)]
                rgb = colour * 3 if len(colour) == 1 else colour
                a = to8(p[-1], depth) if alpha else 0 if p == key else 255
            shown += bytes(over_white(c, a) for c in rgb)
    chunks = chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, depth, number, 0, 0, interlace))
    if kind == "palette":
        chunks += chunk(b"PLTE", bytes(c for p in palette for c in p))
    if trns:
        chunks += chunk(b"tRNS", bytes(alphas) if kind == "palette" else struct.pack(">%dH" % len(key), *key))
    data = zlib.compress(body(pixels, channels, depth, interlace, rng))
    half = len(data) // 2  # the data may be cut anywhere
    chunks += chunk(b"IDAT", data[:half]) + chunk(b"IDAT", b"") + chunk(b"IDAT", data[half:]) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks, b"P6 %d %d 255\n" % (W, H) + shown


def check(folder, name):
    from PIL import Image
    image = Image.open(os.path.join(folder, name + ".png")).convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    ours = open(os.path.join(folder, name + ".ppm"), "rb").read()[-3 * W * H:]
    theirs = Image.alpha_composite(white, image).convert("RGB").tobytes()
    print(name, max(abs(a - b) for a, b in zip(ours, theirs)))


if __name__ == "__main__":
    folder = sys.argv[1]
    for kind, (_, channels, depths) in KINDS.items():
        for depth in depths:
            for interlace in (0, 1):
                for trns in (0, 1) if channels in (1, 3) else (0,):
                    name = "%s%d%s%s" % (kind, depth, "-interlaced" * interlace, "-trns" * trns)
                    for ext, data in zip(("png", "ppm"), make(kind, depth, interlace, trns)):
                        with open(os.path.join(folder, name + "." + ext), "wb") as out:
                            out.write(data)
                    if "--check" in sys.argv:
                        check(folder, name)
