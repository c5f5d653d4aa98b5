#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The whole system on a built-in world: draw captioned pictures, learn a vocabulary, a codebook and a prior, then draw
# pictures for captions that the model never saw, and judge them by their pixels.
#   demo.sh FOLDER
# A tenth of all combinations of size, colour, shape, place and background is held out of training (shapes-make(1)).
# TINY=1: the same in seconds, without learning much.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
rm -rf "$out"
mkdir -p "$out/shards"
: "${COUNT:=12000}" "${DRAWN:=2}"
dvae=(--size 32 --hid 32 --init 64 --blocks 1 --downs 2 --vocab 256 --prepare eval --no-flip)
prior=(--layers 4 --width 192 --heads 3)
if [ "${TINY:-}" ]; then COUNT=60 DRAWN=1; fi

begun=$(date +%s.%N)
stage() { # name, command...
    local name=$1 from; shift
    from=$(date +%s.%N)
    "$@"
    awk -v n="$name" -v a="$from" -v b="$(date +%s.%N)" 'BEGIN {printf "%-44s %7.1f s\n", n, b - a}' | tee -a "$out/stages.txt"
}

world() {
    shapes-make -q --count "$COUNT" --size 32 --seed 1 --split train -o "$out/pairs.tar"
    for ((i = 1; i <= DRAWN; i++)); do
        shapes-make -q --size 32 --seed "$((i + 1))" --split held-out -o "$out/held-out-$i.tar"
    done
}
