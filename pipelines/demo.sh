#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The whole system on a built-in world: captioned drawings teach a vocabulary, a codebook and a prior, which then draw
# pictures for captions that they never saw; a judge reads the drawings' attributes back from their pixels.
#   demo.sh FOLDER
# A tenth of all combinations of size, colour, shape, place and background is held out of training (shapes-make(1)).
# TINY=1: the same in seconds, without learning much.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
rm -rf "$out"
mkdir -p "$out"
export PRESET=small
slots=11 count=12000 held=377 # held-out scenes, each drawn once; captions have up to ten words
# Flat colours, placed alike on the grid of codes: a picture is a function of its caption, so every miss is the model's.
world=(-q --size 32 --jitter 0 --shade 0 --grain 0)
# Noise on the pixels keeps the learned scale from falling to nothing on flat drawings, and with it the codes in use.  A small
# beta leaves codes few and sure, which a prior learns several times faster.
dvae=(--size 32 --hid 16 --init 64 --blocks 1 --downs 2 --vocab 128 --prepare eval --dither 0.25 --beta 0.25 --batch 16
    --lr 4e-3 --steps 5000 --tau-steps 3750 --save-every 0 --picture-every 1000)
prior=(--layers 2 --width 192 --heads 12 --batch 32 --lr 3e-3 --weight-decay 0.4 --steps 1800
    --save-every 0)
if [ "${TINY:-}" ]; then count=60; fi

begun=$(date +%s.%N)
stages=$out/stages.txt
. "$here/timed.sh"

world() {
    shapes-make "${world[@]}" --count "$count" --seed 1 --split train -o "$out/pairs.tar"
    shapes-make "${world[@]}" --count $held --seed 2 --split held-out -o "$out/held-out.tar"
    shapes-make -q --count $held --seed 2 --split held-out --captions --keyed -o "$out/held-out.tsv"
}

codebook_judged() {
    dvae-encode -q -m "$out/dvae" "$out/held-out.tar" | dvae-decode -q -m "$out/dvae" --tar |
        shapes-judge --captions "$out/held-out.tsv"
}

shards() {
    SLOTS=$slots "$here/3-shards.sh" "$out/tokenizer.json" "$out/dvae" "$out/shards" "$out/pairs.tar"
}

drawings() {
    bpe-encode -q -m "$out/tokenizer.json" --slots $slots --keyed "$out/held-out.tsv" |
        prior-sample -q -m "$out/prior" --seed 1 -o "$out/drawn.tok"
    dvae-decode -q -m "$out/dvae" --tar -o "$out/drawn.tar" "$out/drawn.tok"
}

judged() {
    echo "true held-out pictures, as the judge sees them:"
    shapes-judge "$out/held-out.tar"
    echo "the same through the codebook:"
    codebook_judged
    echo "drawn for their captions:"
    shapes-judge --captions "$out/held-out.tsv" "$out/drawn.tar"
}

sheet() { # the first 16 captions, with what was drawn for them
    head -16 "$out/held-out.tsv" >"$out/sheet.tsv"
    bpe-encode -q -m "$out/tokenizer.json" --slots $slots --keyed "$out/sheet.tsv" | prior-sample -q -m "$out/prior" --seed 1 |
        dvae-decode -q -m "$out/dvae" --grid 4 --captions "$out/sheet.tsv" -o "$out/sheet.png"
}

stage "the world: $count captioned drawings" world
stage "the vocabulary" env VOCAB=512 SPLIT=gpt2 "$here/1-vocab.sh" "$out/tokenizer.json" "$out/pairs.tar"
stage "the codebook (dVAE)" "$here/2-dvae.sh" "$out/dvae" "$out/pairs.tar" -- "${dvae[@]}"
stage "tokens and shards" shards
stage "the prior" "$here/4-prior.sh" "$out/prior" "$out/shards/pairs.shard" -- "${prior[@]}"
stage "drawings for held-out captions" drawings
stage "a contact sheet" sheet
judged | tee "$out/scores.txt"
awk -v a="$begun" -v b="$(date +%s.%N)" 'BEGIN {printf "%-40s %7.1f s\n", "everything", b - a}' | tee -a "$out/stages.txt"
echo "captions with their drawings: $out/sheet.png"
