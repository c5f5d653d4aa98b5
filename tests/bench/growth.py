#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How the time of a prior's training step grows with tokens, layers, batch and threads; draws it with gnuplot.

    tests/bench/growth.py [PRECISION]            f32; writes growth.svg beside itself

Three points a line, the others held: time over what is grown, relative to the middle point.  Two threads against one: the
ratio of times.  All points in turn, ROUNDS of rounds (5), the least time of each: a busy machine only adds.
"""
import os
import re
import subprocess
import sys

BUILD = os.environ.get("BUILD", "build")
ROUNDS = int(os.environ.get("ROUNDS", 5))
HERE = os.path.dirname(os.path.abspath(__file__))
PRECISION = sys.argv[1] if len(sys.argv) > 1 else "f32"
WIDTH, HEADS, VOCAB = 512, 8, 512
# layers, text slots, side, batch, threads
POINTS = {"tokens": [(2, 16, 8, 8, 2), (2, 64, 16, 8, 2), (2, 256, 32, 8, 2)],
          "layers": [(2, 64, 16, 8, 2), (4, 64, 16, 8, 2), (8, 64, 16, 8, 2)],
          "batch": [(4, 64, 16, 4, 2), (4, 64, 16, 8, 2), (4, 64, 16, 16, 2)],
          "threads": [(4, 64, 16, 8, 1), (4, 64, 16, 8, 2)]}


def grown(what, p):
    layers, text, side, batch, threads = p
    return {"tokens": batch * (text + side * side), "layers": layers, "batch": batch, "threads": threads}[what]


def step_ms(p):
    layers, text, side, batch, threads = p
    words = [layers, WIDTH, HEADS, text, side, VOCAB, batch, batch, 0, "cpu", PRECISION]
    out = subprocess.run([BUILD + "/tests/bench/prior_step", *map(str, words)], check=True, capture_output=True, text=True,
                         env={**os.environ, "ROUNDS": "2", "OMP_NUM_THREADS": str(threads)}).stdout
    return float(re.search(r": ([0-9.]+) ms", out)[1])


def main():
    every = sorted({p for line in POINTS.values() for p in line})
    least = {p: float("inf") for p in every}
    for _ in range(ROUNDS):
        for p in every:
            least[p] = min(least[p], step_ms(p))
    data = []
    for what, line in POINTS.items():
        x, y = [grown(what, p) for p in line], [least[p] for p in line]
        if what == "threads":
            print("threads  1: %.1f ms, 2: %.1f ms, ratio %.2f" % (y[0], y[1], y[0] / y[1]))
        else:
            unit = [b / a for a, b in zip(x, y)]
            print("%-8s %s" % (what, ", ".join("%d: %.1f ms (%+.1f %%)" % (a, b, 100 * (u / unit[1] - 1))
                                               for a, b, u in zip(x, y, unit))))
        data.append("$%s << EOD\n%s\nEOD\n" % (what, "\n".join("%g %g" % (a / x[-1], b / y[-1]) for a, b in zip(x, y))))
    least_file = os.path.join(HERE, "growth.svg")
    script = "".join(data) + """
set terminal svg size 640,420 font 'sans,12'
set output '%s'
set key left top
set xlabel 'tokens, layers, batch, threads: share of the largest'
set ylabel 'time of a training step: share of the time there'
set xrange [0:1.05]
set yrange [0:*]
plot x title 'linear' lc rgb '#bbbbbb', %s
""" % (least_file, ", ".join("$%s with linespoints lw 2 title '%s'" % (w, w) for w in POINTS))
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


if __name__ == "__main__":
    main()
