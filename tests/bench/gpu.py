#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training, sampling, encoding and single operations on a GPU beside PyTorch: one table.

    BUILD=build python3 tests/bench/gpu.py [--quick] [--only PART,...] [--json FILE]

Parts, behind the machine's limits, in the order in which they run: train, dvae, ops, sample, big (training at d 2048,
sampling at the 12-billion shape).  Programs are those of BUILD/tests/bench, or beside this file.  Without PyTorch our own
figures are shown alone.  --device cpu or an emulated device with --tiny runs all of it at shapes that need seconds, to see
that it runs.

FLOPs: `useful` are the model's products and the pairs that masks allow, three times forward, nothing computed twice; `dense`
the same with all pairs of causal attention.  MFU is a share of the datasheet's 989 TFLOP/s (bf16).  Sampling's share of
bandwidth counts weights once a step, no caches.  Medians; +- is half of the distance from the least to the most.  Memory:
ours as it is planned, PyTorch's as it was at most.  gpu_torch.py says what is compared with.
"""
import argparse
import importlib.util
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("BUILD") or (ROOT if os.path.isdir(os.path.join(ROOT, "bin")) else os.path.join(ROOT, "build"))
PEAK = 989e12
START = time.monotonic()
TEXT, SIDE, TEXT_VOCAB, IMAGE_VOCAB, HEAD = 256, 32, 16384, 8192, 64


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="fewer shapes and variants: under two minutes")
    p.add_argument("--only", help="parts, with commas between")
    p.add_argument("--json", help="write all figures there")
    p.add_argument("--device", default="cuda", help="ours")
    p.add_argument("--torch-device", help="PyTorch's (cuda)")
    p.add_argument("--tiny", action="store_true", help="small shapes")
    p.add_argument("--no-torch", action="store_true")
    p.add_argument("--budget", type=float, default=540, help="seconds; what would begin later is skipped")
    return p.parse_args()


class Failure(Exception):
    """Why a figure is missing."""


def left(args):
    return args.budget - (time.monotonic() - START)


def note(text):
    print("%4.0f s  %s" % (time.monotonic() - START, text), file=sys.stderr, flush=True)


# ---- our programs ----------------------------------------------------------------------------------------------------


def program(name):
    for folder in (os.path.join(BUILD, "tests", "bench"), HERE):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    raise Failure("there is no program " + name)


def environment(**more):
    """Ours: the backend of the build; cuDNN, and where the system has no CUDA its libraries, as PyTorch brought them."""
    env = {**os.environ, **more}
    for folder in ("bin", os.path.join("lib", "armchair")):  # of a build, of a bundle
        backend = os.path.join(BUILD, folder, "libarmchair_cuda.so")
        if os.path.exists(backend):
            env.setdefault("ARMCHAIR_CUDA", os.path.abspath(backend))
    spec = importlib.util.find_spec("nvidia")
    names = ["cudnn"] if os.path.isdir("/usr/local/cuda/lib64") else ["cudnn", "cu13"]
    folders = [os.path.join(root, name, "lib") for root in (spec.submodule_search_locations or [] if spec else [])
               for name in names]
    path = [f for f in [env.get("LD_LIBRARY_PATH"), *filter(os.path.isdir, folders)] if f]
    return {**env, "LD_LIBRARY_PATH": ":".join(path)} if path else env


def ours(args, name, words, rounds=7, parts=True):
    """The text that a program of ours prints."""
    if left(args) < 5:
        raise Failure("out of time")
    try:
        r = subprocess.run([program(name), *map(str, words)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=max(5, left(args)), env=environment(ROUNDS=str(rounds), PARTS="1" if parts else "0"))
    except subprocess.TimeoutExpired:
        raise Failure("out of time")
    if r.returncode != 0:
        raise Failure((r.stderr.strip().splitlines() or ["exit %d" % r.returncode])[-1][:160])
    return r.stdout


def step_times(text):
    """Median, least, most in seconds, and the milliseconds by operation, of prior_step and dvae_step."""
    found = re.search(r"^  median +([0-9.]+) ms, ([0-9.]+) to ([0-9.]+) in", text, re.M)
    if not found:
        raise Failure("no time in what the program printed")
    parts = {name: float(ms) for name, ms in re.findall(r"^  (\w[\w ]*?) +([0-9.]+) ms$", text, re.M)}
    memory = sum(map(int, re.findall(r"(\d+)", (re.search(r"^memory:(.*)$", text, re.M) or ["", ""])[1])))
    return {**spread([float(found[i]) * 1e-3 for i in (1, 2, 3)]), "parts_ms": parts, "memory": memory}


def spread(times):
    times = sorted(times)
    return {"s": times[len(times) // 2], "half": (times[-1] - times[0]) / 2}


# ---- PyTorch's processes ---------------------------------------------------------------------------------------------


class Peer:
    """One piece of work of gpu_torch.py: loads PyTorch at once, builds and compiles when told, measures when asked."""

    def __init__(self, args, gigabytes, **spec):
        self.args, self.spec, self.gigabytes, self.ready, self.error = args, spec, gigabytes, None, None
        self.lines, self.process, self.building = queue.Queue(), None, False
        if not args.tiny:  # where that is tried there are few processors
            self.start()

    def start(self):
        self.log = tempfile.TemporaryFile("w+")
        spec = {"device": self.args.torch_device, "tiny": self.args.tiny, **self.spec}
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "gpu_torch.py"), json.dumps(spec)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        env={**os.environ, "TORCHINDUCTOR_COMPILE_THREADS": "4"})
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.put(json.loads(line))
        self.lines.put({"error": "ended without a word (exit %s)" % self.process.wait()})

    def tell(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it has ended: what it said last tells why

    def build(self):
        if not self.process:
            self.start()
        if not self.building:
            self.tell("build")
        self.building = True

    def next(self, seconds):
        try:
            said = self.lines.get(timeout=max(0.1, seconds))
        except queue.Empty:
            said = {"error": "out of time"}
        self.error = said.get("error", self.error)
        return said

    def poll(self):
        """Has it become ready, or failed?"""
        if not self.ready and not self.error and not self.lines.empty():
            self.ready = self.next(0)
        return bool(self.ready or self.error)

    def ask(self, rounds):
        """What it says of so many rounds; it ends then."""
        self.build()
        if not self.ready and not self.error:
            self.ready = self.next(left(self.args) - 10)
        said = {"error": self.error}
        if not self.error:
            self.tell(str(rounds))
            said = self.next(left(self.args) - 5)
        self.stop()
        if self.error:
            raise Failure(self.error)
        return said

    def times(self, rounds):
        said = self.ask(rounds)
        return {**spread(said["times"]), "memory": self.ready.get("memory", 0)}

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def warm_up(peers, gigabytes):
    """Build them together, as many at once as fit into so much memory, and see them compile."""
    waiting, busy = list(peers), []
    while waiting or busy:
        busy = [p for p in busy if not p.poll()]
        while waiting and (not busy or sum(p.gigabytes for p in busy) + waiting[0].gigabytes <= gigabytes):
            busy.append(waiting.pop(0))
            busy[-1].build()
        if peers and left(peers[0].args) < 60:
            return note("compiling took too long")
        time.sleep(0.2)


# ---- arithmetic ------------------------------------------------------------------------------------------------------


def pairs(kind, text, side, reach=5):
    """Pairs that a mask allows: lib/compute/attn.h."""
    slots = side * side
    offsets = {"dense": slots, "row": side + 1}.get(kind)
    if kind == "column":
        image = sum(j // side + 1 for j in range(slots))
    elif kind == "conv":
        allowed = [o for o in range(slots) if o // side <= reach and (o % side <= reach or side - o % side <= reach)]
        image = sum(slots - o for o in allowed)
    else:
        image = sum(min(j + 1, offsets) for j in range(slots))
    return text * (text + 1) // 2 + slots * text + image


def prior_flops(s, dense):
    """Of a training step."""
    d, layers, text, side = s["d"], s["layers"], s["text"], s["side"]
    kinds = ["conv" if i == layers - 1 else "column" if i % 4 == 1 else "row" for i in range(layers)]
    attention = 4 * d * sum(pairs("dense" if dense else k, text, side) for k in kinds)
    heads = 2 * d * (text * s["text_vocab"] + side * side * s["image_vocab"])
    return 3 * s["batch"] * (24 * d * d * layers * (text + side * side) + attention + heads)


def conv_flops(s, encoder):
    """Forward, one picture."""
    total, width, size = 0, s["hid"] if encoder else 128, s["size"] if encoder else s["size"] // 8
    total += 2 * size * size * (3 * s["hid"] * 49 if encoder else s["vocab"] * 128)
    for g in range(4) if encoder else range(3, -1, -1):
        out = s["hid"] << g
        for _ in range(s["blocks"]):
            mid = [width] + [out // 4] * 3 + [out]
            kernels = (3, 3, 3, 1) if encoder else (1, 3, 3, 3)
            path = sum(mid[i] * mid[i + 1] * k * k for i, k in enumerate(kernels))
            total += 2 * size * size * (path + (width * out if width != out else 0))
            width = out
        if encoder and g < 3:
            size //= 2
        elif not encoder and g > 0:
            size *= 2
    return total + 2 * size * size * width * (s["vocab"] if encoder else 6)


# ---- the table -------------------------------------------------------------------------------------------------------


class Table:
    def __init__(self, args):
        self.args, self.lines, self.all = args, [], []

    def row(self, name, mine, theirs, unit, work, extra):
        """mine: a measurement or a Failure; theirs: {variant: the same}; work: units a step; extra(seconds): more."""
        rate = {v: work / t["s"] for v, t in theirs.items() if not isinstance(t, Failure)}
        best, text = max(rate, key=rate.get, default=None), "%-34s " % name
        if isinstance(mine, Failure):
            text += "ours: %s" % mine
        else:
            text += "%9.1f +-%4.1f %% %s" % (work / mine["s"], 100 * mine["half"] / mine["s"], unit)
            text += "  %s, %.1f GiB" % (extra(mine["s"]), mine["memory"] / 2**30)
            if best:
                text += "  %.2fx" % (work / mine["s"] / rate[best])
        self.lines.append(text)
        other = []
        for v, t in theirs.items():
            other.append("%s %s" % (v, t if isinstance(t, Failure) else
                                    "%.1f +-%.1f %%" % (rate[v], 100 * t["half"] / t["s"])))
            if v == best:
                other[-1] += " (%s, %.1f GiB)" % (extra(t["s"]), t["memory"] / 2**30)
        if other:
            self.lines.append("    torch: " + "; ".join(other))
        self.all.append({"name": name, "unit": unit, "ours": plain(mine), "torch": {v: plain(t) for v, t in theirs.items()},
                         "work": work})
        note("\n        ".join(self.lines[-2:] if theirs else self.lines[-1:]))

    def line(self, text, **values):
        self.lines.append(text)
        self.all.append(values)
        note(text)


def plain(x):
    return {"failed": str(x)} if isinstance(x, Failure) else x


def attempt(f, *words, **named):
    try:
        return f(*words, **named)
    except Failure as e:
        return e


# ---- parts -----------------------------------------------------------------------------------------------------------


def prior_shape(args, d, layers, batch):
    if args.tiny:
        return {"d": 128, "layers": 4, "heads": 2, "text": 16, "side": 4, "text_vocab": 96, "image_vocab": 64, "batch": 2}
    return {"d": d, "layers": layers, "heads": d // HEAD, "text": TEXT, "side": SIDE, "text_vocab": TEXT_VOCAB,
            "image_vocab": IMAGE_VOCAB, "batch": batch}


def prior_words(args, s, train):
    sizes = [s["batch"], s["batch"], 0] if train else [0, 1, s["batch"]]
    return [s["layers"], s["d"], s["heads"], s["text"], s["side"], s["image_vocab"], *sizes, args.device, "bf16",
            s["text_vocab"]]


def train_row(args, table, s, peers, rounds):
    theirs = {v: attempt(p.times, rounds) for v, p in peers.items()}
    mine = attempt(lambda: step_times(ours(args, "prior_step", prior_words(args, s, True), rounds)))
    useful, dense = prior_flops(s, False), prior_flops(s, True)
    table.row("train d %d x %d, batch %d" % (s["d"], s["layers"], s["batch"]), mine, theirs, "img/s", s["batch"],
              lambda t: "MFU %.1f %% useful, %.1f %% dense" % (100 * useful / t / PEAK, 100 * dense / t / PEAK))


def sample_row(args, table, s, peers, rounds, copy):
    steps, codes = next(iter(peers.values())).spec["steps"] if peers else 1, s["side"] ** 2
    theirs = {}
    for v, p in peers.items():
        theirs[v] = attempt(p.times, rounds)
        if not isinstance(theirs[v], Failure):  # as if for a whole picture
            theirs[v] = {**theirs[v], "s": theirs[v]["s"] * codes / steps, "half": theirs[v]["half"] * codes / steps}
    mine = attempt(lambda: step_times(ours(args, "prior_step", prior_words(args, s, False), rounds, parts=s["d"] < 3000)))
    weights = 2 * (12 * s["d"] ** 2 * s["layers"] + s["d"] * s["image_vocab"])
    share = "weights %.0f %% of copy" if copy else "weights %.0f GB/s"
    table.row("sample d %d x %d, %d candidates" % (s["d"], s["layers"], s["batch"]), mine, theirs, "tok/s",
              s["batch"] * codes, lambda t: share % (weights * codes / t / (copy / 100 if copy else 1e9)))


def dvae_shape(args, mode):
    if args.tiny:
        return {"mode": mode, "hid": 16, "blocks": 1, "vocab": 64, "size": 32, "batch": 2}
    return {"mode": mode, "hid": 256, "blocks": 2, "vocab": 8192, "size": 256, "batch": 8 if mode == "train" else 16}


def dvae_row(args, table, s, peers, rounds):
    theirs = {v: attempt(p.times, rounds) for v, p in peers.items()}
    words = [s["mode"], s["hid"], s["blocks"], s["vocab"], s["size"], s["batch"], args.device, "bf16"]
    mine = attempt(lambda: step_times(ours(args, "dvae_step", words, rounds)))
    flops = {"train": 3 * (conv_flops(s, True) + conv_flops(s, False)), "encode": conv_flops(s, True),
             "decode": conv_flops(s, False)}[s["mode"]] * s["batch"]
    table.row("dVAE %s, hid %d, %dx%d, batch %d" % (s["mode"], s["hid"], s["size"], s["size"], s["batch"]), mine, theirs,
              "img/s", s["batch"], lambda t: "MFU %.1f %%" % (100 * flops / t / PEAK))


OPS_LINE = re.compile(r"^(.{30}) (\S+) +([0-9.]+) us +([0-9.]+) to +([0-9.]+) +([0-9.]+) GB/s +([0-9.]+) TFLOP/s$")
OPS_SHOWN = ("copy", "filter", "norm", "cross_entropy", "adam", "sum_squares", "matmul", "attn", "gumbel", "choose", "thin")


def our_ops(args, part):
    found = {}
    for line in ours(args, "gpu_ops", [args.device, "tiny" if args.tiny else "full", part]).splitlines():
        m = OPS_LINE.match(line)
        if m:
            found[m[1].strip(), m[2]] = {"us": float(m[3]), "least": float(m[4]), "most": float(m[5]), "GB/s": float(m[6]),
                                         "TFLOP/s": float(m[7])}
        elif " failed: " in line:
            name, why = line.split(" failed: ", 1)
            found[name[:30].strip(), name[30:].strip()] = Failure(why)
    return found


def ops_rows(args, table, peer, copy):
    theirs = attempt(peer.ask, 1) if peer else {}
    theirs = {} if isinstance(theirs, Failure) else theirs.get("found", {})
    cells, missing = [], {}
    for part in ("passes", "products", "attention") + (() if args.quick else ("codes", "convolutions", "sampling")):
        found = attempt(our_ops, args, part)
        if isinstance(found, Failure):
            table.line("%s: ours: %s" % (part, found), name=part, ours=plain(found))
            continue
        for (name, kind), t in found.items():
            other = theirs.get(name)
            table.all.append({"name": name, "type": kind, "ours": plain(t), "torch_us": other})
            if (name, "bf16") in found and kind == "f32" and not isinstance(found[name, "bf16"], Failure):
                continue  # shown in bf16
            if isinstance(t, Failure):
                missing.setdefault(str(t).split(":")[-1].strip()[:80], []).append("%s %s" % (name, kind))
            elif name.startswith(OPS_SHOWN) or part == "convolutions":
                moves = t["TFLOP/s"] == 0 or name.startswith("thin")
                rate = "%.0f TF" % t["TFLOP/s"] if not moves else "%.0f %%" % (100e9 * t["GB/s"] / copy) if copy else "-"
                ratio = " %.2fx" % (other / t["us"]) if isinstance(other, float) else ""
                cells.append("%s %s %.1f us %s%s" % (re.sub(" +", " ", name), kind, t["us"], rate, ratio))
            note("%s %s: %s; torch %s" % (name, kind, t if isinstance(t, Failure) else "%.1f us" % t["us"], other))
    for name, other in theirs.items():
        if isinstance(other, str):
            note("torch %s: %s" % (name, other))
    wide = max(map(len, cells), default=1) + 2
    each = max(1, 180 // wide)
    table.lines += ["operations: time, TFLOP/s or share of copy, PyTorch's time over ours (bf16; attention: FlexAttention)"]
    table.lines += ["  " + "".join(c.ljust(wide) for c in cells[i:i + each]).rstrip() for i in range(0, len(cells), each)]
    table.lines += ["  failed: %s: %s" % (", ".join(names), why) for why, names in missing.items()]


def card_of():
    """Name, driver and memory, as the driver's own program tells them; "" without it."""
    try:
        return subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def our_limits(args):
    """Where there is no PyTorch."""
    found = {"torch": "none", "cuda": "?", "cudnn": "?"}
    for part, op, key, name, unit in (("passes", "copy", "GB/s", "copy", 1e9),
                                      ("products", "matmul square", "TFLOP/s", "product", 1e12)):
        ops = attempt(our_ops, args, part)
        times = [] if isinstance(ops, Failure) else [t for (n, _), t in ops.items() if n == op]
        found[name] = max((t[key] for t in times if not isinstance(t, Failure)), default=0) * unit
    return found


def limits(args, table):
    """Copy bandwidth in bytes a second, 0: not known; GiB of the card's memory."""
    said = attempt(Peer(args, 0, work="limits").ask, 1) if args.torch_device else Failure("none")
    found, card = our_limits(args) if isinstance(said, Failure) else said["found"], card_of()
    table.line("%s; torch %s, CUDA %s, cuDNN %s; copy %.2f TB/s, product of 8192^3 %.0f TFLOP/s" % (
        card or args.device, found["torch"], found["cuda"], found["cudnn"], found["copy"] * 1e-12, found["product"] * 1e-12),
        name="limits", card=card, **found)
    total = re.search(r"(\d+) MiB", card)
    return found["copy"], int(total[1]) / 1024 if total else 80


def plan(args, parts):
    """What is compared in each part: [shape, {variant: Peer}], in the order of running; ops: a Peer or None."""
    torch, quick, todo = bool(args.torch_device), args.quick, {"train": [], "dvae": [], "sample": [], "big": [], "ops": None}

    def training(d, layers, batch, gigabytes, variants):
        s = prior_shape(args, d, layers, batch)
        return s, {v: Peer(args, gigabytes, work="train", variant=v, **s) for v in variants if torch}

    def sampling(d, layers, n, gigabytes):
        s = prior_shape(args, d, layers, n)
        steps = 8 if args.tiny else 128 if d < 3000 else 32
        variants = ("graph",) if quick else ("eager", "graph")
        return s, {v: Peer(args, gigabytes, work="sample", variant=v, steps=steps, **s) for v in variants if torch}

    if "train" in parts:
        variants = ["eager", "flex128"] + ([] if quick else ["sdpa", "flex64"])
        todo["train"].append(training(1024, 24, 16, 26, variants))
        if not quick:
            todo["train"].append(training(512, 12, 32, 20, variants))
    if "dvae" in parts:
        for mode in ("train",) if quick else ("train", "encode", "decode"):
            s = dvae_shape(args, mode)
            todo["dvae"].append((s, {v: Peer(args, 16 if mode == "train" else 8, work="dvae", variant=v, **s)
                                     for v in (("eager",) if quick else ("eager", "compile")) if torch}))
    if "ops" in parts and torch and not quick:
        todo["ops"] = Peer(args, 12, work="ops")
    if "sample" in parts:
        shapes = [(1024, 24)] if quick else [(512, 12), (1024, 24)]
        todo["sample"] = [sampling(d, layers, n, 8) for d, layers in shapes for n in (1, 64)]
    if "big" in parts:
        todo["big"] = [training(2048, 24, 8, 40, ["sdpa", "flex128"])] + [sampling(3968, 64, n, 40) for n in (1, 64)]
    return todo


def run(args, table):
    parts = args.only.split(",") if args.only else ["train", "dvae", "ops", "sample"] + ([] if args.quick else ["big"])
    rounds, few = (1, 1) if args.tiny else (5, 3) if args.quick else (7, 3)
    copy, gigabytes = limits(args, table)
    todo = plan(args, parts)
    compiling = [p for _, peers in todo["train"] + todo["dvae"] for v, p in peers.items() if v != "eager"]
    note("compiling %d models of PyTorch" % len(compiling))
    warm_up(compiling, 2 if args.tiny else gigabytes - 16)
    note("compiled")
    for s, peers in todo["train"]:
        train_row(args, table, s, peers, rounds)
    for s, peers in todo["dvae"]:
        dvae_row(args, table, s, peers, rounds)
    if "ops" in parts:
        ops_rows(args, table, todo["ops"], copy)
    for s, peers in todo["sample"]:
        sample_row(args, table, s, peers, rounds, copy)
    for s, peers in todo["big"][:1]:
        train_row(args, table, s, peers, rounds)
    for s, peers in todo["big"][1:]:
        sample_row(args, table, s, peers, few, copy)


def main():
    args = arguments()
    if args.no_torch or not importlib.util.find_spec("torch"):
        args.torch_device = None
    elif not args.torch_device:
        args.torch_device = "cuda"
    tried = attempt(ours, args, "gpu_ops", [args.device, "tiny", "codes"])
    if isinstance(tried, Failure):
        sys.exit("gpu.py: %s" % tried)
    table = Table(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("gpu.py: stopped"))  # what is known is still printed
    try:
        run(args, table)
    finally:
        print("\n".join(table.lines), flush=True)
        if args.json:
            with open(args.json, "w") as f:
                json.dump(table.all, f, indent=1)


if __name__ == "__main__":
    main()
