#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training, sampling and encoding beside PyTorch, a line each: ours, theirs, the ratio, our share of the machine's limit.

    PEERS=FOLDER PYTHON=venv/bin/python tests/bench/peers.py [WORD...]

PEERS: where torch_prior.py and torch_dvae.py lie, which take sizes as options and print one JSON object; without it ours alone
are shown.  WORD: only lines that have one in their name.  Rounds are interleaved, ROUNDS of them (3); medians.  Theirs is the
fastest of f32 and, where the processor multiplies it, bf16 autocast, eager and compiled, for pictures channels_last.  Ours is
the fastest of our precisions, each of which is shown.
"""
import json
import os
import re
import subprocess
import sys

BUILD = os.environ.get("BUILD", "build")
PEERS = os.environ.get("PEERS")
ROUNDS = int(os.environ.get("ROUNDS", 3))
HAS_BF16 = any(w in open("/proc/cpuinfo").read() for w in (" avx512_bf16", " amx_bf16"))
THREADS = os.environ.get("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))


def run(command, **env):
    return subprocess.run([str(c) for c in command], check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env={**os.environ, **env}).stdout


def ours(program, words, precision, rounds):
    """Milliseconds and the share of the limit, as the program says them."""
    out = run([BUILD + "/tests/bench/" + program, *words, "cpu", precision], ROUNDS=rounds)
    found = re.search(r": ([0-9.]+) ms.*, ([0-9]+ % of [^,\n]*)$", out, re.M)
    return float(found[1]), found[2]


def theirs(program, words, *more):
    out = run([sys.executable, PEERS + "/" + program, *words, "--threads", THREADS, *more])
    return json.loads(out.strip().splitlines()[-1])


def train_variants(dtypes, *more):
    return [("%s%s" % (d, ", compiled" if c else ""), ["--dtype", d, *more, *(["--compile"] if c else [])])
            for d in dtypes for c in (False, True)]


def lines():
    """Name, our program with its words, our precisions, their program with its words, their variants, their time of an output."""
    dtypes = ["fp32"] + (["bf16"] if HAS_BF16 else [])
    auto = ["f32"] + (["bf16"] if HAS_BF16 else [])
    step = lambda r: r["ms_per_step_median"]  # noqa: E731
    for name, (layers, width, heads, text, side, vocab, batch) in (
            ("4 x 256", (4, 256, 4, 64, 16, 512, 16)), ("8 x 512", (8, 512, 8, 256, 32, 512, 2))):
        shape = ["--layers", layers, "--dim", width, "--heads", heads, "--text-len", text, "--image-len", side * side,
                 "--image-vocab", vocab]
        own = [layers, width, heads, text, side, vocab]
        yield ("prior train, %s, %d+%d tokens, batch %d" % (name, text, side * side, batch), "prior_step", [*own, batch, batch, 0],
               auto, "torch_prior.py", [*shape, "--mode", "train", "--batch", batch, "--steps", 5], train_variants(dtypes), step)
        for n in (1, 16):
            yield ("prior sample, %s, %d codes, %d candidates" % (name, side * side, n), "prior_step", [*own, 0, 1, n],
                   ["f32", "bf16", "int8"], "torch_prior.py",
                   [*shape, "--mode", "sample", "--batch", n, "--steps", 3 if layers == 4 else 1, "--warmup", 1 if layers == 4 else 0],
                   [(d, ["--dtype", d]) for d in dtypes],
                   lambda r, n=n, codes=side * side: n * codes / r["tokens_per_s"] * 1e3)
    for mode, (hid, vocab, size, batch) in (("train", (32, 512, 64, 16)), ("train", (128, 2048, 128, 4)),
                                            ("encode", (256, 8192, 256, 4))):
        yield ("dVAE %s, n_hid %d, vocab %d, %dx%d, batch %d" % (mode, hid, vocab, size, size, batch), "dvae_step",
               [mode, hid, 2, vocab, size, batch], auto, "torch_dvae.py",
               ["--mode", mode, "--n-hid", hid, "--blocks", 2, "--vocab", vocab, "--image", size, "--batch", batch, "--steps", 5,
                "--inplace-relu"], train_variants(dtypes, "--memory-format", "channels_last"), step)


def median(values):
    return sorted(values)[len(values) // 2]


def best(times):
    return min(times, key=lambda k: median(times[k]))


def main():
    for name, program, words, precisions, peer, peer_words, variants, time_of in lines():
        if len(sys.argv) > 1 and not any(w in name for w in sys.argv[1:]):
            continue
        own, other, share = {p: [] for p in precisions}, {v: [] for v, _ in variants}, {}
        for _ in range(ROUNDS):
            for p in precisions:
                ms, share[p] = ours(program, words, p, "3")
                own[p].append(ms)
            for v, options in variants if PEERS else []:
                other[v].append(time_of(theirs(peer, peer_words, *options)))
        if not PEERS:
            other = {}
        text = ", ".join("%s %.1f" % (p, median(t)) for p, t in own.items())
        print("%s\n    ours, ms: %s; %s" % (name, text, share[best(own)]))
        if other:
            ratio = ", ".join("%s %.2f" % (p, median(other[best(other)]) / median(t)) for p, t in own.items())
            print("    torch, ms: %s\n    ratio of torch's best (%s) to ours: %s" %
                  (", ".join("%s %.1f" % (v, median(t)) for v, t in other.items()), best(other), ratio))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
