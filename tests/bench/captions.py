#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Learning a vocabulary and encoding with it, beside `tokenizers` and `tiktoken` with the same merges.

`make bench` runs it; PYTHON=venv/bin/python make bench with tokenizers and tiktoken there measures the peers too.
BYTES of captions to learn from (200 MB; the figures of LOG.md: BYTES=1000000000).  Rounds are interleaved; the best counts.

Peers get what favours them: captions as a list in memory for `tokenizers`, for `tiktoken` in lower case already; ours reads
a file and writes a token stream.  Encoding: processor time of one thread.  Learning: time that passed, two threads, and the
largest resident memory of the process.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("BUILD", "build")
BYTES = int(os.environ.get("BYTES", 200000000))
ENCODED = 40 << 20
VOCAB = 16384
ROUNDS = 3


def measured(command, threads):
    """Seconds that passed, processor seconds, bytes of the largest resident memory."""
    env = dict(os.environ, RAYON_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="true" if threads > 1 else "false")
    start = time.perf_counter()
    child = subprocess.Popen(command, env=env)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit("captions.py: %s: status %d" % (command[0], status))
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def captions(path, size, seed):
    with open(path, "wb") as out:
        subprocess.run([BUILD + "/tests/bench/captions", str(size), str(seed)], check=True, stdout=out)


def has(module):
    try:
        __import__(module)
        return True
    except ImportError as error:
        print("  (not measured: %s)" % error)
        return False


# ---- what peers do, each in a process of its own: captions.py peer NAME FILE... --------------------------------------

def peer_train(text):
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex("[a-z]+|[^a-z]"), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.train([text], trainers.BpeTrainer(vocab_size=VOCAB, min_frequency=2, show_progress=False,
                                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))


def peer_tokenizers(text, vocabulary):
    from tokenizers import Tokenizer

    t = Tokenizer.from_file(vocabulary)
    lines = open(text, encoding="utf-8").read().split("\n")
    best = 1e30
    for _ in range(ROUNDS):
        start = time.process_time()
        for i in range(0, len(lines), 4096):
            t.encode_batch_fast(lines[i:i + 4096])
        best = min(best, time.process_time() - start)
    print(best)


def peer_tiktoken(text, vocabulary):
    import tiktoken

    data = json.load(open(vocabulary, encoding="utf-8"))
    shown = {b: chr(b) for b in [*range(33, 127), *range(161, 173), *range(174, 256)]}
    for b in range(256):
        shown.setdefault(b, chr(256 + sum(1 for c in shown.values() if ord(c) >= 256)))
    byte = {c: b for b, c in shown.items()}
    ranks = {bytes(byte[c] for c in token): i for token, i in data["model"]["vocab"].items()}
    encoding = tiktoken.Encoding("captions", pat_str="[a-z]+|[^a-z]", mergeable_ranks=ranks, special_tokens={})
    lines = open(text, encoding="utf-8").read().lower().split("\n")
    best = 1e30
    for _ in range(ROUNDS):
        start = time.process_time()
        for line in lines:
            encoding.encode_ordinary(line)
        best = min(best, time.process_time() - start)
    print(best)


# ---- tables ----------------------------------------------------------------------------------------------------------

def encode(folder):
    text, vocabulary = folder + "/encode.txt", folder + "/t.json"
    captions(text, ENCODED, 2)
    subprocess.run([BUILD + "/bin/bpe-train", "-q", "--vocab", str(VOCAB), "-o", vocabulary, text], check=True)
    size = os.path.getsize(text)
    command = [BUILD + "/bin/bpe-encode", "-q", "--slots", "256", "-m", vocabulary, "-o", "/dev/null", text]
    best = {"bpe-encode": 1e30}
    for _ in range(ROUNDS):
        best["bpe-encode"] = min(best["bpe-encode"], measured(command, 1)[1])
        for name in [n for n in ("tokenizers", "tiktoken") if n not in best or best[n] is not None]:
            if name not in best and not has(name):
                best[name] = None
                continue
            out = subprocess.run([sys.executable, __file__, "peer", name, text, vocabulary], check=True, capture_output=True,
                                 text=True, env=dict(os.environ, RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false"))
            best[name] = min(best.get(name, 1e30), float(out.stdout))
    print("Encoding %d MiB of captions, vocabulary of %d, one thread: processor time; ratio to ours" % (size >> 20, VOCAB))
    for name, seconds in best.items():
        if seconds is not None:
            print("  %-20s %8.2f s  %7.1f MiB/s  %6.2f" % (name, seconds, size / seconds / 2**20, seconds / best["bpe-encode"]))


def train(folder):
    text = folder + "/train.txt"
    captions(text, BYTES, 1)
    tasks = {"bpe-train": [BUILD + "/bin/bpe-train", "-q", "-j2", "--vocab", str(VOCAB), "-o", folder + "/x.json", text]}
    if has("tokenizers"):
        tasks["tokenizers"] = [sys.executable, __file__, "peer", "train", text]
    print("Learning %d tokens from %.2f GB of captions, two threads; ratios to ours" % (VOCAB, BYTES / 1e9))
    ours = None
    for name, command in tasks.items():
        passed, used, memory = measured(command, 2)
        ours = ours or (passed, memory)
        print("  %-20s %8.1f s (%.1f of processors)  %6.2f   %8.0f MiB  %6.2f" %
              (name, passed, used, passed / ours[0], memory / 2**20, memory / ours[1]))
        sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        {"train": peer_train, "tokenizers": peer_tokenizers, "tiktoken": peer_tiktoken}[sys.argv[2]](*sys.argv[3:])
        sys.exit()
    with tempfile.TemporaryDirectory() as temporary:
        for part in (encode, train):
            if len(sys.argv) == 1 or part.__name__ in sys.argv[1:]:
                part(temporary)
                sys.stdout.flush()
