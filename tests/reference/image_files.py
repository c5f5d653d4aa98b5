#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the pictures in tests/data/image and print the checksums in tests/unit/image_resize.c.

    python3 -m venv v && v/bin/pip install pillow==12.0.0 numpy && v/bin/python tests/reference/image_files.py tests/data/image

(Pillow 13 changed the order of its two passes.)  Needs ImageMagick's convert for interlaced and 16-bit PNG.  `make check` needs none of this: the files are kept.
Each file shows the same 12x8 scene: red, green over blue, white, so that a test can ask for the corners' colours.
"""
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
from PIL import Image

W, H = 12, 8
QUADRANTS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def scene():
    a = np.zeros((H, W, 3), np.uint8)
    for i, colour in enumerate(QUADRANTS):
        y, x = i // 2 * H // 2, i % 2 * W // 2
        a[y:y + H // 2, x:x + W // 2] = colour
    return Image.fromarray(a)


def exif_app1(orientation, big):
    e = ">" if big else "<"
    return b"Exif\0\0" + (b"MM\0*" if big else b"II*\0") + struct.pack(
        e + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def turned(image, orientation):
    """The stored picture whose EXIF orientation, once applied, gives image."""
    t = Image.Transpose
    undo = {2: t.FLIP_LEFT_RIGHT, 3: t.ROTATE_180, 4: t.FLIP_TOP_BOTTOM, 5: t.TRANSPOSE, 6: t.ROTATE_90,
            7: t.TRANSVERSE, 8: t.ROTATE_270}
    return image.transpose(undo[orientation]) if orientation in undo else image


def pngs(to, s):
    s.save(to("rgb8.png"))
    s.quantize(4).save(to("palette.png"))
    s.convert("L").save(to("grey8.png"))
    s.convert("1", dither=Image.Dither.NONE).save(to("grey1.png"))
    alpha = s.convert("RGBA")
    alpha.putalpha(Image.fromarray(np.where(np.asarray(s).sum(2) == 765, 0, 255).astype(np.uint8)))
    black = np.asarray(alpha).copy()
    black[black[..., 3] == 0, :3] = 0  # what is transparent must not show through
    Image.fromarray(black).save(to("rgba8.png"))
    s.quantize(4).save(to("palette-trns.png"), transparency=s.quantize(4).getpixel((W - 1, H - 1)))
    half = np.array([[[0, 128], [77, 0]]], np.uint8)  # half-black, and nothing
    Image.fromarray(half, "LA").save(to("half-alpha.png"))
    turned(s, 6).save(to("orient6.png"), exif=exif_app1(6, True)[6:])
    for name, args in {
        "rgb16.png": ["-define", "png:color-type=2", "-define", "png:bit-depth=16"],
        "rgba16-interlaced.png": ["-interlace", "PNG", "-define", "png:color-type=6", "-define", "png:bit-depth=16"],
        "rgb8-interlaced.png": ["-interlace", "PNG", "-define", "png:color-type=2", "-define", "png:bit-depth=8"],
        "grey16.png": ["-define", "png:color-type=0", "-define", "png:bit-depth=16"],
        "grey-alpha8.png": ["-colorspace", "Gray", "-define", "png:color-type=4", "-define", "png:bit-depth=8"],
    }.items():
        source = "rgba8.png" if "alpha" in name or "rgba" in name else "grey8.png" if "grey" in name else "rgb8.png"
        subprocess.run(["convert", to(source), "-strip", *args, to(name)], check=True)


def jpegs(to, s):
    big = s.resize((96, 64), Image.Resampling.NEAREST)
    big.save(to("baseline.jpg"), quality=90)
    big.save(to("progressive.jpg"), quality=90, progressive=True)
    big.convert("L").save(to("grey.jpg"), quality=90)
    big.convert("CMYK").save(to("cmyk.jpg"), quality=90)
    subprocess.run(["convert", to("cmyk.jpg"), "-quality", "90", to("ycck.jpg")], check=True)
    for orientation in range(1, 9):
        turned(big, orientation).save(to(f"orient{orientation}.jpg"), quality=90,
                                      exif=exif_app1(orientation, orientation % 2 == 0))
    whole = open(to("orient3.jpg"), "rb").read()
    app1 = whole.index(b"Exif\0\0")
    broken = bytearray(whole)
    broken[app1 + 10:app1 + 14] = b"\xff\xff\xff\xff"  # the folder lies far outside
    turned(big, 1).save(to("exif-broken.jpg"), quality=90, exif=bytes(broken[app1:app1 + 32]))


def webps(to, s):
    big = s.resize((96, 64), Image.Resampling.NEAREST)
    big.save(to("lossy.webp"), quality=90)
    s.save(to("lossless.webp"), lossless=True)
    Image.open(to("rgba8.png")).save(to("alpha.webp"), lossless=True, exact=True)
    turned(s, 6).save(to("orient6.webp"), lossless=True, exif=exif_app1(6, False))
    s.save(to("animation.webp"), lossless=True, save_all=True, duration=100,
           append_images=[Image.new("RGB", (W, H), (9, 9, 9))])


def pnms(to, s):
    a = np.asarray(s)
    grey = np.asarray(s.convert("L"))
    bit = (grey < 128).astype(np.uint8)
    rows = lambda m: "\n".join(" ".join(str(v) for v in r) for r in m.reshape(H, -1))
    put = lambda name, head, body=b"": open(to(name), "wb").write(head.encode() + body)
    put("p1.pbm", f"P1\n# a comment\n{W} {H}\n" + "\n".join("".join(map(str, r)) for r in bit) + "\n")
    put("p2.pgm", f"P2 {W} {H} # here too\n255\n{rows(grey)}\n")
    put("p3.ppm", f"P3\n{W}\n{H}\n15\n{rows(a // 17)}\n")
    put("p4.pbm", f"P4\n{W} {H}\n", np.packbits(bit, axis=1).tobytes())
    put("p5.pgm", f"P5\n{W} {H}\n255\n", grey.tobytes())
    put("p6.ppm", f"P6\n{W} {H}\n255\n", a.tobytes())
    put("p6-16.ppm", f"P6\n{W} {H}\n65535\n", (a.astype(">u2") * 257).tobytes())


def photos(to):
    """A picture with a photograph's spectrum and edges, small, in the kinds of JPEG and WebP, each with what Pillow sees."""
    n = 256
    rng = np.random.default_rng(1)
    f = np.fft.fftfreq(n)
    r = np.hypot(*np.meshgrid(f, f))
    r[0, 0] = 1 / n
    field = lambda: np.fft.ifft2(np.fft.fft2(rng.standard_normal((n, n))) / r ** 1.2).real
    a = np.stack([field()] * 3, -1) + 0.3 * np.stack([field() for _ in range(3)], -1)
    a = (a - a.mean()) / a.std() * 55 + 120
    y, x = np.mgrid[:n, :n]
    for _ in range(8):
        a[(x - rng.integers(n)) ** 2 + (y - rng.integers(n)) ** 2 < rng.integers(10, 60) ** 2] *= rng.uniform(0.5, 1.3, 3)
    photo = Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))
    small = photo.crop((20, 30, 93, 81))  # odd sides
    photo.save(to("photo.jpg"), quality=75)
    small.save(to("photo-progressive.jpg"), quality=85, progressive=True)
    small.convert("L").save(to("photo-grey.jpg"), quality=85)
    small.convert("CMYK").save(to("photo-cmyk.jpg"), quality=85)
    small.save(to("photo-422.jpg"), quality=85, subsampling="4:2:2")
    small.save(to("photo-restart.jpg"), quality=85, restart_marker_rows=1)
    small.save(to("photo-lossy.webp"), quality=80)
    for name in ("photo-progressive.jpg", "photo-grey.jpg", "photo-cmyk.jpg", "photo-422.jpg", "photo-restart.jpg", "photo-lossy.webp"):
        Image.open(to(name)).convert("RGB").save(to(os.path.splitext(name)[0] + ".pillow.png"), optimize=True)


# ---- resampling: a picture given by a formula, and the checksums of what the definitions make of it -----------------


def formula(width, height):
    y, x, c = np.mgrid[0:height, 0:width, 0:3].astype(np.uint64)
    v = (x * 2654435761 + y * 40503 + c * 7919 + x * y * 131) & 0xffffffff
    return ((v ^ v >> np.uint64(13)) >> np.uint64(5) & 0xff).astype(np.uint8)


def area_axis(n_in, n_out, corners):
    f = np.float32
    step = f(n_in - 1) / f(n_out - 1) if corners and n_out > 1 else f(n_in) / f(n_out)
    taps = []
    for i in range(n_out):
        a, b = f(i) * step, f(i + 1) * step
        row = []
        for j in range(int(np.floor(a)), int(np.ceil(b))):
            if j < a:
                w = step if j + 1 > b else f(j + 1) - a
            else:
                w = b - f(j) if j + 1 > b else f(1)
            row.append((min(j, n_in - 1), f(w)))
        taps.append(row)
    return step, taps


def area(image, width, height, corners):
    """TensorFlow's ResizeArea as its source states it, in f32 and in its order of sums."""
    f = np.float32
    sx, tx = area_axis(image.shape[1], width, corners)
    sy, ty = area_axis(image.shape[0], height, corners)
    out = np.zeros((height, width, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            total = np.zeros(3, f)
            for j, wy in ty[y]:
                line = np.zeros(3, f)
                for i, wx in tx[x]:
                    line = line + image[j, i].astype(f) * wx
                total = total + line * wy
            out[y, x] = np.clip(np.rint(total * (f(1) / (sy * sx))), 0, 255)
    return out


def checksums():
    for w, h, ow, oh in [(40, 30, 16, 12), (33, 47, 32, 32), (64, 64, 64, 64), (31, 17, 7, 5), (20, 20, 23, 29),
                         (100, 3, 9, 1), (1, 5, 3, 2), (257, 129, 36, 48)]:
        image = formula(w, h)
        lanczos = np.asarray(Image.fromarray(image).resize((ow, oh), Image.Resampling.LANCZOS))
        crc = lambda a: zlib.crc32(a.tobytes())
        corners = crc(area(image, ow, oh, True)) if min(w, h) > 1 else 0
        print(f"    {{{w}, {h}, {ow}, {oh}, 0x{corners:08x}, 0x{crc(area(image, ow, oh, False)):08x}, "
              f"0x{crc(lanczos):08x}}},")


# ---- the paper's listings, with Philox 4x32-10 as its authors state it ---------------------------------------------------


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xffffffff, (a >> 32) ^ c[3] ^ k[1], a & 0xffffffff]
        k = [(k[0] + 0x9E3779B9) & 0xffffffff, (k[1] + 0xBB67AE85) & 0xffffffff]
    return c


def draw(seed, step, element, low, high):
    """An integer in [low, high], both ends included."""
    low32 = lambda v: v & 0xffffffff
    v = philox((low32(element), element >> 32, low32(step), step >> 32), (low32(seed) ^ low32(3 * 0x9E3779B9), seed >> 32))
    return low + ((v[1] << 32 | v[0]) * (high - low + 1) >> 64)


def listing(image, size, train, seed, step):
    h, w = image.shape[:2]
    s = min(h, w)
    at = []
    for element, slack in ((0, w - s), (1, h - s)):
        low, end = (0, slack + 1) if train else (3 * slack // 8, max(3 * slack // 8 + 1, 5 * slack // 8))
        at.append(draw(seed, step, element, low, end - 1))
    square = image[at[1]:at[1] + s, at[0]:at[0] + s]
    t = draw(seed, step, 2, min(s, 9 * size // 8 if train else size), min(s, 12 * size // 8 if train else 9 * size // 8))
    scaled = area(square, t, t, True)
    x, y = draw(seed, step, 3, 0, t - size), draw(seed, step, 4, 0, t - size)
    out = scaled[y:y + size, x:x + size]
    return out[:, ::-1] if train and draw(seed, step, 5, 0, 1) else out


def listings():
    for w, h, size in ((90, 130, 48), (200, 61, 32), (64, 64, 64), (100, 80, 64)):
        image = formula(w, h)
        for seed, step in ((0, 1), (5, 0x123456789abcdef0)):
            crc = [zlib.crc32(np.ascontiguousarray(listing(image, size, train, seed, step)).tobytes()) for train in (True, False)]
            print(f"    {{{w}, {h}, {size}, {seed}, 0x{step:x}u, 0x{crc[0]:08x}, 0x{crc[1]:08x}}},")


if __name__ == "__main__":
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    path = lambda name: os.path.join(folder, name)
    for make in (pngs, jpegs, webps, pnms):
        make(path, scene())
    photos(path)
    checksums()
    listings()
