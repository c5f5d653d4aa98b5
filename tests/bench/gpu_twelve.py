# SPDX-License-Identifier: MIT
"""Ten real updates of dalle-12b on one GPU: full width, depth and sequence, numbers of 16 bits, as users start it.

    python3 tests/bench/gpu_twelve.py [--device cuda] [--tiny] [--micro N] [OPTION of prior-train ...]

Prints the losses, seconds an update, the share of 989 TFLOP/s, and the GPU's memory at most beside what --dry-run says.  The run is
killed behind its tenth line, since a checkpoint would be 116 GiB.  PATH has the programs.  --tiny: a small model, to see that it runs.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

STEPS = 10
SIZES = {"side": 32, "text": 256, "text_vocab": 16384, "image_vocab": 8192}
TINY = {"side": 4, "text": 16, "text_vocab": 300, "image_vocab": 64}


def make_shard(folder, s, pairs):
    """Pairs with something to learn: a picture repeats its first row, which its caption says."""
    codes, lines = s["side"] ** 2, {"text": [], "image": []}
    for n in range(pairs):
        key, row = "k%03d" % n, [(7 * n + 3 * j) % s["image_vocab"] for j in range(s["side"])]
        lines["text"].append({"key": key, "text": [v % s["text_vocab"] for v in row[:s["text"] - 2]]})
        lines["image"].append({"key": key, "image": (row * s["side"])[:codes]})
    head = {"text": {"armchair": "tok", "kind": "text", "text_vocab": s["text_vocab"], "text_slots": s["text"]},
            "image": {"armchair": "tok", "kind": "image", "image_vocab": s["image_vocab"], "grid": [s["side"], s["side"]]}}
    for kind in lines:
        text = "\n".join(map(json.dumps, [head[kind]] + lines[kind])) + "\n"
        with open(os.path.join(folder, kind + ".tok"), "wb") as f:
            subprocess.run(["tok-load"], input=text.encode(), stdout=f, check=True)
    shard = os.path.join(folder, "pairs.shard")
    subprocess.run(["shard-pack", "-q", "--text", os.path.join(folder, "text.tok"), "--image", os.path.join(folder, "image.tok"),
                    "-o", shard], check=True)
    return shard


def planned(words):
    text = subprocess.run(["prior-train", "--dry-run"] + words, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {line.split("\t")[0]: int(line.split("\t")[1]) for line in text.splitlines()}


def memory_used():
    """Bytes of the GPU in use by anybody; 0: not known."""
    try:
        r = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10)
        return int(r.stdout.split()[0]) << 20 if r.returncode == 0 and r.stdout.split() else 0
    except (OSError, subprocess.TimeoutExpired):
        return 0


def lines_of(path):
    try:
        with open(path) as f:
            return [json.loads(line) for line in f.read().splitlines(True) if line.endswith("\n")]
    except FileNotFoundError:
        return []


def measure(words, folder, seconds, env=None):
    """The log's lines, the GPU's memory before and at most."""
    run, before, most = os.path.join(folder, "run"), memory_used(), 0
    deadline, log = time.monotonic() + seconds, []
    p = subprocess.Popen(["prior-train", "-q", "-o", run, "--log-every", "1"] + words, stderr=subprocess.PIPE, text=True, env=env)
    while len(log) < STEPS and p.poll() is None and time.monotonic() < deadline:
        time.sleep(0.3)
        most, log = max(most, memory_used()), lines_of(os.path.join(run, "log.jsonl"))
    p.kill()
    reason = p.communicate()[1].strip()
    if len(log) < STEPS and reason:
        raise RuntimeError(reason.splitlines()[-1][:200])
    return log, before, most


def words_of(args, s):
    size = ["--layers", "2", "--width", "64", "--heads", "1"] if args.tiny else []
    return (["--preset", "dalle-12b", "--device", args.device, "--batch", str(args.micro), "--micro", str(args.micro), "--lr", "1e-4",
             "--warmup", "2", "--average", "0", "--save-every", "0", "--steps", "1000000"] + size + args.option)


def flops(s, d, layers):
    """Of an update's pair: products and, by the mask's share, attention; three times forward."""
    text, image = s["text"], s["side"] ** 2
    return 3 * (24 * d * d * layers * (text + image) + 2 * d * (text * s["text_vocab"] + image * s["image_vocab"]))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cuda")
    p.add_argument("--tiny", action="store_true")
    p.add_argument("--micro", type=int, default=8)
    p.add_argument("--seconds", type=float, default=420)
    args, args.option = p.parse_known_args()
    s = TINY if args.tiny else SIZES
    with tempfile.TemporaryDirectory() as folder:
        shard = make_shard(folder, s, 4 * args.micro)
        words = words_of(args, s) + [shard]
        plan = planned(words)
        try:
            log, before, most = measure(words, folder, args.seconds)
        except RuntimeError as e:
            sys.exit("gpu_twelve.py: %s; planned %.1f GiB" % (e, plan["memory total"] / 2**30))
    if len(log) < 3:
        sys.exit("gpu_twelve.py: %d updates in %.0f s" % (len(log), args.seconds))
    times = sorted(args.micro / line["examples_per_s"] for line in log[1:])
    second = times[len(times) // 2]
    print("losses: " + " ".join("%.3f" % line["loss"] for line in log))
    print("%.3f s an update of %d pairs (%.3f to %.3f), %.1f %% of 989 TFLOP/s in products" % (
        second, args.micro, times[0], times[-1], 100 * args.micro * flops(s, *((64, 2) if args.tiny else (3968, 64))) / second / 989e12))
    print("memory: planned %.2f GiB, taken %.2f GiB, of which the driver's and others' %.2f before" % (
        plan["memory total"] / 2**30, most / 2**30, before / 2**30))
    sys.exit(0 if log[-1]["loss"] < log[0]["loss"] else "gpu_twelve.py: the loss did not fall")


if __name__ == "__main__":
    main()
