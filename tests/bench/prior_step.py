#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A training step and the sampling of the prior, beside PyTorch: ratios of medians, rounds interleaved.

    PEERS=FOLDER PYTHON=venv/bin/python tests/bench/prior_step.py [SHAPE]

PEERS: where torch_prior.py lies, which takes sizes as options and prints one JSON object.  PyTorch's best counts, of f32 and
bf16 autocast, eager and compiled (training), f32 and bf16 weights (sampling).  Without PEERS ours alone are shown, with
what each operation takes.
"""
import json
import os
import re
import subprocess
import sys

BUILD = os.environ.get("BUILD", "build")
PEERS = os.environ.get("PEERS")
ROUNDS = int(os.environ.get("ROUNDS", 3))
# layers, width, heads, text, side, vocabulary, batch
SHAPES = {"4 x 256": (4, 256, 4, 64, 16, 512, 16), "8 x 512": (8, 512, 8, 256, 32, 512, 2)}


def ours(shape, samples, precision):
    """Milliseconds of a training step and of the samples; the whole output."""
    layers, width, heads, text, side, vocab, batch = shape
    words = [layers, width, heads, text, side, vocab, batch, batch, samples, "cpu"] + (["bf16"] if precision == "bf16" else [])
    out = subprocess.run([BUILD + "/tests/bench/prior_step", *map(str, words)], check=True, capture_output=True, text=True).stdout
    return [float(t) for t in re.findall(r"^\S.*: ([0-9.]+) ms", out, re.M)], out


def theirs(shape, mode, batch, *more):
    layers, width, heads, text, side, vocab, _ = shape
    command = [sys.executable, PEERS + "/torch_prior.py", "--layers", layers, "--dim", width, "--heads", heads, "--text-len", text,
               "--image-len", side * side, "--image-vocab", vocab, "--batch", batch, "--mode", mode, "--threads", 2, *more]
    out = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout
    data = json.loads(out.strip().splitlines()[-1])
    return data["ms_per_step_median"] if mode == "train" else batch * side * side / data["tokens_per_s"] * 1e3


def median(values):
    return sorted(values)[len(values) // 2]


def table(title, runs, base):
    print(title)
    times = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            times[name].append(run())
    best = min((median(t) for name, t in times.items() if name.startswith("torch")), default=None)
    for name, t in times.items():
        print("  %-28s %9.1f ms" % (name, median(t)))
    if best:
        print("  best of torch over ours, %s: %.2f" % (base, best / median(times[base])))
    sys.stdout.flush()


def main():
    for name, shape in SHAPES.items():
        if len(sys.argv) > 1 and name != sys.argv[1]:
            continue
        if not PEERS:
            for precision in ("f32", "bf16"):
                print("%s, %s\n%s" % (name, precision, ours(shape, 16, precision)[1]))
            continue
        runs = {"ours, " + p: (lambda p=p: ours(shape, 1, p)[0][0]) for p in ("f32", "bf16")}
        for p in ("fp32", "bf16"):
            runs["torch, " + p] = lambda p=p: theirs(shape, "train", shape[-1], "--dtype", p)
            runs["torch, %s, compiled" % p] = lambda p=p: theirs(shape, "train", shape[-1], "--dtype", p, "--compile")
        table("Training step, %s, batch %d" % (name, shape[-1]), runs, "ours, bf16")
        for samples in (1, 16):
            runs = {"ours, " + p: (lambda p=p: ours(shape, samples, p)[0][1]) for p in ("f32", "bf16")}
            for p in ("fp32", "bf16"):
                runs["torch, " + p] = lambda p=p: theirs(shape, "sample", samples, "--dtype", p, "--steps", "1", "--warmup", "1")
            table("%d candidates of a caption, %s" % (samples, name), runs, "ours, bf16")


if __name__ == "__main__":
    main()
