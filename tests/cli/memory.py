# SPDX-License-Identifier: MIT
"""Does prior-train take the memory that --dry-run says?  memory.py SHARD

Peak of resident memory of real runs, less that of a prior of one narrow layer (the program itself and its libraries), beside the
plan of everything on the device, which is the host here, and on the host while a checkpoint is written.  Fails beyond 3 %."""
import os
import shutil
import subprocess
import sys
import tempfile


def peak(words):
    folder = tempfile.mkdtemp()
    pid = os.fork()
    if pid == 0:
        os.execvp("prior-train", ["prior-train", "-q", "-o", folder + "/run"] + words)
    _, status, usage = os.wait4(pid, 0)
    shutil.rmtree(folder)
    assert status == 0, words
    return usage.ru_maxrss * 1024


def plan(words):
    text = subprocess.run(["prior-train", "--dry-run"] + words, capture_output=True, text=True, check=True).stdout
    return {line.split("\t")[0]: int(line.split("\t")[1]) for line in text.splitlines()}


shard = sys.argv[1]
common = ["-j", "2", "--save-every", "0", "--val", shard]
small = peak(["--layers", "1", "--width", "8", "--heads", "1", "--batch", "1", "--steps", "1", shard] + common)
worst = 0
for numbers in ("--precision f32", "--precision bf16", "--precision bf16 --no-master --moments 16 --average 0",
                "--precision fp16 --moments 16 --recompute block --micro 8", "--precision fp16 --recompute attention --micro 32"):
    words = "--layers 6 --width 384 --heads 6 --batch 32 --micro 16 --steps 2".split() + numbers.split() + [shard] + common
    want = plan(words)
    want = want["memory total"] + want["host while saving"]
    off = (peak(words) - small) / want - 1
    print("%-58s planned %6.1f MiB, taken %+.2f %%" % (numbers, want / 2**20, 100 * off))
    worst = max(worst, abs(off))
sys.exit(worst > 0.03)
