#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What f16 does to the gradients of a deep, narrow prior, with and without scales: a table, and pictures.
#   underflow.sh FOLDER [SHARD...]
# Without shards it makes the demo's world and a small codebook first.  Each run uses one thread, as many at once as there are
# processors (JOBS).  TINY=1: the same in seconds, without learning anything.
#
# Gradients of activations are shares of the mean over the tokens of an update: 2^9 of the image here, 2^20 in the paper's.  A scale
# of 2^-11 leaves of them what the paper's batch would, without anything against it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
shift
jobs=${JOBS:-$(nproc)}
layers=64 steps=400
if [ "${TINY:-}" ]; then layers=4 steps=8; fi
rm -rf "$out"
mkdir -p "$out"
stages=$out/stages.txt
. "$here/timed.sh"

world() {
    shapes-make -q --size 32 --jitter 0 --shade 0 --grain 0 --count 2000 --seed 1 --split train -o "$out/pairs.tar"
    VOCAB=512 SPLIT=gpt2 "$here/1-vocab.sh" "$out/tokenizer.json" "$out/pairs.tar"
    dvae-train -q --size 32 --hid 16 --init 64 --blocks 1 --downs 2 --vocab 128 --prepare eval --dither 0.25 --beta 0.25 --batch 16 \
        --lr 4e-3 --steps $((steps * 2)) --tau-steps $steps --save-every 0 --picture-every 0 -o "$out/dvae" "$out/pairs.tar"
    SLOTS=11 "$here/3-shards.sh" "$out/tokenizer.json" "$out/dvae" "$out/shards" "$out/pairs.tar"
}

# NAME STEPS OPTION...: a run, by default of the size that the table is about
learn() {
    local name=$1 last=$2
    shift 2
    prior-train -q -j 1 --layers $layers --width 32 --heads 4 --batch 8 --lr 1e-3 --warmup 50 --lr-over 0 --average 0 --save-every 0 \
        --log-every 10 --log-blocks --max-skips 0 --steps "$last" -o "$out/$name" "$@" $shards_list
}

# NAME STEPS SCALE OPTION...: one update behind the end of an f32 run, with that fixed scale; it changes nothing
probe() {
    local run=$1 last=$2 scale=$3
    shift 3
    mkdir -p "$out/$run/at$scale"
    cp -r "$out/$run/ckpt-"* "$out/$run/at$scale"
    learn "$run/at$scale" $((last + 1)) "$@" --precision fp16 --grad-scale fixed --scale-first "$scale" --lr 1e-12 --resume --convert
    rm -r "$out/$run/at$scale/ckpt-"*
}

runs() {
    xargs -P "$jobs" -I{} bash -ec 'learn {}' <<RUNS
f32 $steps --precision f32
f32-again $steps --precision f32 --seed 2
block $steps --precision fp16
global $steps --precision fp16 --grad-scale global
unscaled $steps --precision fp16 --grad-scale none
paper-batch $steps --precision fp16 --grad-scale fixed --scale-first -11
hot $((steps * 2)) --precision fp16 --scale-first 21
RUNS
}

# f32 runs of other depths and first weights: wider ones let the stream between the blocks grow further
sizes() {
    xargs -P "$jobs" -I{} bash -ec 'learn {}' <<RUNS
layers16 $((steps / 2)) --precision f32 --layers $((layers / 4))
wide64 $((steps / 2)) --precision f32 --init-scale 64
wide256 $((steps / 2)) --precision f32 --init-scale 256 --lr 3e-3
RUNS
}

scales=$(seq -16 2 28)
probes() {
    {
        printf 'f32 %d %d\n' $(for s in $scales; do echo $steps "$s"; done)
        printf 'layers16 %d %d --layers %d\n' $(for s in $scales; do echo $((steps / 2)) "$s" $((layers / 4)); done)
        printf 'wide64 %d %d\n' $(for s in $scales; do echo $((steps / 2)) "$s"; done)
        printf 'wide256 %d %d\n' $(for s in $scales; do echo $((steps / 2)) "$s"; done)
    } | xargs -P "$jobs" -I{} bash -ec 'probe {}'
}

# Of the last tenth of a run: loss, updates left out, zeros among the gradients of early and late parameters, what f16 lost of the
# gradient on its way into late blocks beyond what is 0 in f32 too, and the late gradients' norm beside that of f32.
table() {
    local name
    printf '%-12s %7s %8s %12s %12s %10s %12s\n' run loss skipped 'zeros early' 'zeros late' 'lost late' 'norm late'
    for name in f32 f32-again block global unscaled paper-batch; do
        jq -rs --slurpfile base "$out/f32/log.jsonl" --arg name "$name" '
            def mean: if length == 0 then 0 else add / length end;
            def tail: .[(length * 9 / 10 | floor):];
            def late(f): [tail[] | f[length / 2:] | map(. // 0) | mean] | mean;
            def early(f): [tail[] | f[:length / 2] | map(. // 0) | mean] | mean;
            [$name, ([tail[].loss | select(. != null)] | mean), .[-1].skipped, early(.zeros), late(.zeros),
             late(.lost) - ($base | late(.lost)), late(.norms) / ($base | late(.norms))] | @tsv' "$out/$name/log.jsonl" |
            awk -F '\t' '{printf "%-12s %7.3f %8d %11.2f%% %11.2f%% %9.2f%% %12.3f\n", $1, $2, $3, 100 * $4, 100 * $5, 100 * $6, $7}'
    done
}

# For every fixed scale: blocks that overflow, zeros and losses as above.
windows() {
    local scale
    printf '%-8s %-18s %12s %12s %10s\n' scale overflow 'zeros early' 'zeros late' 'lost late'
    for scale in $scales; do
        jq -r --slurpfile base "$out/f32/log.jsonl" --arg scale "$scale" '
            def mean: add / length;
            (.norms | to_entries | map(select(.value == null) | .key)) as $bad | (.norms | length / 2) as $half |
            ["2^" + $scale, if $bad == [] then "none" else "\($bad | length) blocks, \($bad[0]).." end,
             (.zeros[:$half] | mean), (.zeros[$half:] | mean), (.lost[$half:] | mean) - ($base[-1].lost[$half:] | mean)] | @tsv' \
            <(tail -1 "$out/f32/at$scale/log.jsonl") |
            awk -F '\t' '{printf "%-8s %-18s %11.2f%% %11.2f%% %9.2f%%\n", $1, $2, 100 * $3, 100 * $4, 100 * $5}'
    done
}

# A block's room: from the smallest scale at which at most 1 % more of its gradients are 0 than at the largest scale at which all are
# finite, to that one; bits.  One scale for all blocks must lie in the room of each.
rooms() {
    local run
    printf '%-10s %18s %18s %14s %22s\n' run 'norms, first/last' 'first overflow' 'last underflow' 'room: one, each'
    for run in layers16 f32 wide64 wide256; do
        for scale in $scales; do tail -1 "$out/$run/at$scale/log.jsonl" | jq -c --argjson scale "$scale" '{scale: $scale, norms, zeros}'; done |
            jq -rs --slurpfile log "$out/$run/log.jsonl" --arg run "$run" '
                . as $at | ($at[0].norms | length) as $n |
                [range($n) | . as $b | [$at[] | select(.norms[$b] != null)] | .[-1] as $top |
                 {high: $top.scale, low: (map(select(.zeros[$b] <= $top.zeros[$b] + 0.01)) | .[0].scale)}] as $room |
                ([$room[].high] | min) as $high | ([$room[].low] | max) as $low |
                [$run, $log[-1].norms[0] / $log[-1].norms[-1], $high, $low, $high - $low, ([$room[] | .high - .low] | min)] | @tsv' |
            awk -F '\t' '{printf "%-10s %18.0f %18s %14s %22s\n", $1, $2, "above 2^" $3, "below 2^" $4, $5 ", " $6 " bits"}'
    done
}

pictures() {
    log-draw -q --field norms --log --title "norm of each block's gradient: f32, and f16 at fixed scales" -o "$out/norms.png" \
        "$out"/f32 "$out"/f32/at{12,-8,-10,-12}
    log-draw -q --field lost --title "share of the gradient into each block that is 0, at fixed scales" -o "$out/lost.png" \
        "$out"/f32 "$out"/f32/at{-2,-4,-6,-8,-10}
    log-draw -q --field loss --smooth 3 --title "loss" -o "$out/loss.png" "$out"/{f32,f32-again,block,global,unscaled,paper-batch}
    log-draw -q --field scales --title "log2 of each block's scale, from 2^21 on" -o "$out/scales.png" "$out/hot"
}

shards=("$@")
if [ $# = 0 ]; then
    stage "a world and its codes" world
    shards=("$out/shards/pairs.shard")
fi
export -f learn probe
export out layers steps
export shards_list="${shards[*]}"
stage "seven runs of $layers layers, $steps updates" runs
stage "three others, to see their spread" sizes
stage "fixed scales, one update each" probes
table | tee "$out/table.txt"
windows | tee "$out/windows.txt"
rooms | tee "$out/rooms.txt"
stage "pictures" pictures
