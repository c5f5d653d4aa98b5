#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reading pairs and pictures beside other programs: JPEG to 256 x 256, pair archives, dvae-encode with and without decoding.

`make bench` runs it; PYTHON=venv/bin/python make bench with Pillow, opencv-python-headless, numpy and webdataset there
measures the peers too.  Rounds are interleaved; the best of each counts.
"""
import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time

BUILD = os.environ.get("BUILD", "build")
ROUNDS = 7


def ours(what, path, rounds):
    out = subprocess.run([BUILD + "/tests/bench/pictures", what, path, str(rounds)], check=True, capture_output=True, text=True)
    return [float(v) for v in out.stdout.split()]


def best_of(run, rounds=20):
    """Processor seconds of the best round."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def wall(command, **more):
    start = time.perf_counter()
    subprocess.run(command, check=True, **more)
    return time.perf_counter() - start


def table(title, best, base):
    print(title)
    for name, seconds in sorted(best.items(), key=lambda item: item[1]):
        print("  %-64s %9.2f ms  %5.2f" % (name, seconds * 1e3, seconds / best[base]))


def missing(name, error):
    print("  (not measured: %s: %s)" % (name, error))


def rounds_of(tasks):
    best = {}
    for _ in range(ROUNDS):
        for name, run in tasks.items():
            best[name] = min(best.get(name, 1e30), run())
    return best


def jpeg(folder):
    path = folder + "/a.jpg"
    ours("make", path, 1024)
    data = open(path, "rb").read()
    tasks = {"ours: decode at a fraction, Lanczos (dvae-encode)": lambda: ours("eval", path, 20)[0],
             "ours: decode in full, Lanczos (--full-decode)": lambda: ours("full", path, 20)[0],
             "ours: decode in full, area: the paper's listing 2": lambda: ours("prior", path, 20)[0]}
    print("JPEG 1024 x 1024, quality 85, %d bytes -> middle, 256 x 256 RGB, one thread" % len(data))
    try:
        from PIL import Image, __version__ as version

        def pillow(side, how):
            image = Image.open(io.BytesIO(data))
            if side:
                image.draft("RGB", (side, side))
            image = image.convert("RGB")
            s = min(image.size)
            x, y = (image.width - s) // 2, (image.height - s) // 2
            image.resize((256, 256), how, box=(x, y, x + s, y + s)).tobytes()

        name = "Pillow %s: " % version
        tasks[name + "draft at 512, Lanczos"] = lambda: best_of(lambda: pillow(512, Image.Resampling.LANCZOS))
        tasks[name + "draft at 512, box"] = lambda: best_of(lambda: pillow(512, Image.Resampling.BOX))
        tasks[name + "draft at 256, no resize"] = lambda: best_of(lambda: pillow(256, Image.Resampling.BOX))
        tasks[name + "in full, Lanczos"] = lambda: best_of(lambda: pillow(0, Image.Resampling.LANCZOS))
    except ImportError as error:
        missing("Pillow", error)
    try:
        import cv2
        import numpy

        cv2.setNumThreads(1)

        def opencv(flag, how):
            image = cv2.imdecode(numpy.frombuffer(data, numpy.uint8), flag)
            s = min(image.shape[:2])
            y, x = (image.shape[0] - s) // 2, (image.shape[1] - s) // 2
            cv2.cvtColor(cv2.resize(image[y:y + s, x:x + s], (256, 256), interpolation=how), cv2.COLOR_BGR2RGB)

        name = "OpenCV %s: " % cv2.__version__
        tasks[name + "in full, area"] = lambda: best_of(lambda: opencv(cv2.IMREAD_COLOR, cv2.INTER_AREA))
        tasks[name + "in full, Lanczos of 8 taps"] = lambda: best_of(lambda: opencv(cv2.IMREAD_COLOR, cv2.INTER_LANCZOS4))
        tasks[name + "at a half, area"] = lambda: best_of(lambda: opencv(cv2.IMREAD_REDUCED_COLOR_2, cv2.INTER_AREA))
        tasks[name + "at a quarter, no resize"] = lambda: best_of(lambda: opencv(cv2.IMREAD_REDUCED_COLOR_4, cv2.INTER_AREA))
    except ImportError as error:
        missing("OpenCV", error)
    table("  processor time a picture; ratio to ours", rounds_of(tasks), "ours: decode at a fraction, Lanczos (dvae-encode)")


def archive(path, count, picture):
    noise = random.Random(1)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for n in range(count):
            for ext, body in (("jpg", noise.randbytes(picture)), ("json", b'{"caption": "a red bird", "url": "http://x/%d"}' % n),
                              ("txt", b"a red bird on a branch, number %d" % n)):
                info = tarfile.TarInfo("%09d.%s" % (n, ext))
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))


def pairs(folder):
    for count, picture in ((2000, 50000), (20000, 2000)):
        path = folder + "/pairs.tar"
        archive(path, count, picture)
        tasks = {"ours": lambda: ours("pairs", path, 3)[1],
                 "cat FILE | cat > /dev/null": lambda: wall("cat '%s' | cat > /dev/null" % path, shell=True)}
        try:
            import logging

            logging.disable(logging.WARNING)
            import webdataset

            def read():
                start = time.perf_counter()
                assert sum(1 for _ in webdataset.WebDataset(path, shardshuffle=False)) == count
                return time.perf_counter() - start

            tasks["webdataset %s, nothing decoded" % webdataset.__version__] = read
        except ImportError as error:
            missing("webdataset", error)
        table("A tar of %d pairs, pictures of %d bytes, %d MB: time to read all; ratio to ours" %
              (count, picture, os.path.getsize(path) // 1000000), rounds_of(tasks), "ours")


def encode(folder):
    """Pictures of 1024 x 1024 as JPEG, and the same pictures as PPM of the model's size: computing alone."""
    from_pgm = folder + "/a.ppm"
    data = open(folder + "/a.jpg", "rb").read()
    with open(from_pgm, "wb") as out:  # the contents do not matter, the size does
        out.write(b"P6 256 256 255\n" + random.Random(2).randbytes(256 * 256 * 3))
    for name, body, ext in (("jpeg", data, "jpg"), ("ppm", open(from_pgm, "rb").read(), "ppm")):
        with tarfile.open(folder + "/" + name + ".tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for n in range(64):
                info = tarfile.TarInfo("%09d.%s" % (n, ext))
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))
    subprocess.run([BUILD + "/bin/dvae-train", "-q", "--preset", "openai", "--hid", "32", "--init", "32", "--size", "64", "--batch", "1",
                    "--steps", "1", "--picture-every", "0", "-o", folder + "/dvae", folder + "/ppm.tar"], check=True)

    def run(name):
        def once():
            return wall([BUILD + "/bin/dvae-encode", "-q", "-j2", "--size", "256", "-m", folder + "/dvae", "-o", folder + "/x.tok",
                         folder + "/" + name + ".tar"]) / 64
        return once

    best = rounds_of({"pictures of the model's size, uncompressed": run("ppm"), "JPEG of 1024 x 1024": run("jpeg")})
    table("dvae-encode, the published shape an eighth as wide, two threads: time a picture", best, "JPEG of 1024 x 1024")
    print("  of the speed of computing alone: %.1f %%" % (100 * best["pictures of the model's size, uncompressed"] /
                                                       best["JPEG of 1024 x 1024"]))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        for part in (jpeg, pairs, encode):
            if len(sys.argv) == 1 or part.__name__ in sys.argv[1:] or part is jpeg:
                part(temporary)
                sys.stdout.flush()
