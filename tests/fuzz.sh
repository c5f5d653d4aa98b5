#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Replay the kept corpus of every fuzz harness: what once went wrong stays right.
set -uo pipefail
cd "$(dirname "$0")/.."
n=0
for source in tests/fuzz/*.c; do
    name=$(basename "$source" .c)
    [ "$name" = replay ] && continue
    [ -e "$source" ] || continue
    n=$((n + 1))
    if output=$(timeout 120 "$BUILD/tests/fuzz/$name" tests/fuzz/corpus/"$name" 2>&1); then echo "ok $n - $name replays its corpus"
    else echo "not ok $n - $name replays its corpus"; tail -5 <<<"$output" | sed 's/^/# /'; fi
done
echo "1..$n"
