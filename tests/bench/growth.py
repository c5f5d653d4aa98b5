#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How the time of a prior's training step grows with tokens, layers, batch and threads; draws it with gnuplot.

    tests/bench/growth.py [PRECISION]            f32; writes growth.svg beside itself

Three points a line, the others held: time over what is grown, relative to the middle point.  Two threads against one: the
ratio of times.  A line's points are measured one behind the other, ROUNDS of rounds (7), and the median of each ratio counts, so
that a machine that changes its speed matters little.
"""
import os
import re
import subprocess
import sys

BUILD = os.environ.get("BUILD", "build")
ROUNDS = int(os.environ.get("ROUNDS", 7))
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


def median(values):
    return sorted(values)[len(values) // 2]


def main():
    rounds = {what: [] for what in POINTS}
    for _ in range(ROUNDS):
        for what, line in POINTS.items():
            rounds[what].append([step_ms(p) for p in line])
    data = []
    for what, line in POINTS.items():
        x, ms = [grown(what, p) for p in line], rounds[what]
        share = [median([r[i] / (r[0] if what == "threads" else r[-1]) for r in ms]) for i in range(len(line))]
        text = ", ".join("%d: %.0f ms" % (a, min(r[i] for r in ms)) for i, a in enumerate(x))
        if what == "threads":
            print("threads  %s, ratio %.2f" % (text, 1 / share[1]))
            x = [1 / n for n in x]
        else:
            over = [median([r[i] / x[i] / (r[1] / x[1]) for r in ms]) for i in range(len(line))]
            print("%-8s %s; for one %+.1f %%, %+.1f %% of the middle's" % (what, text, 100 * over[0] - 100, 100 * over[2] - 100))
        data.append("$%s << EOD\n%s\nEOD\n" % (what, "\n".join("%g %g" % (a / max(x), b) for a, b in zip(x, share))))
    picture = os.path.join(HERE, "growth.svg")
    script = "".join(data) + """
set terminal svg size 640,420 font 'sans,12'
set output '%s'
set key left top
set xlabel 'tokens, layers, batch, 1 / threads: share of the largest'
set ylabel 'time of a training step: share of the time there'
set xrange [0:1.05]
set yrange [0:*]
plot x title 'linear' lc rgb '#bbbbbb', %s
""" % (picture, ", ".join("$%s with linespoints lw 2 title '%s'" % (w, w) for w in POINTS))
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


if __name__ == "__main__":
    main()
