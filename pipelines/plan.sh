#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What turning N pairs into shards takes, from rates that are measured here, now, on one core, in some seconds
#   plan.sh [PAIRS [TOKENIZER DVAE ARCHIVE]]     PAIRS: 250 million if not given; ARCHIVE: a few hundred typical pairs
# Without them a vocabulary of the demo's captions and a codebook for 256 x 256 pixels of DALL-E's shape at a quarter of its
# width stand in, and drawings for the pictures.  PER: pairs an archive (10000); SLOTS: text slots (256); GPU_RATE: pictures a
# second of dvae-encode on the GPU that is meant.  What it measures holds for an idle machine.
set -euo pipefail
cores=$(nproc)
pairs=${1:-250000000} per=${PER:-10000} slots=${SLOTS:-256}
case $pairs$per in *[!0-9]*) echo "plan.sh: PAIRS and PER are whole numbers" >&2; exit 2 ;; esac
[ $# -le 1 ] || [ $# = 4 ] || { echo "usage: plan.sh [PAIRS [TOKENIZER DVAE ARCHIVE]]" >&2; exit 2; }
export OMP_NUM_THREADS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ $# = 4 ]; then
    tokenizer=$2 dvae=$3 archive=$4
else
    tokenizer=$work/tokenizer.json dvae=$work/dvae archive=$work/pairs.tar
    shapes-make -q --count 12 --size 256 -o "$archive"
    shapes-make -q --count 1000 --captions | bpe-train -q --vocab 1000 -o "$tokenizer"
    dvae-train -q --preset openai --hid 64 --init 32 --steps 1 --batch 1 --micro 1 --save-every 0 --picture-every 0 \
        --log-every 0 -o "$dvae" "$archive"
fi
tar -cf "$work/empty.tar" -T /dev/null

# Seconds for everything and for loading alone: what is left is the work.
text() { bpe-encode -q -k --pairs --slots "$slots" -m "$tokenizer" --summary "$work/$1.json" -o "$work/$1.tok" "${@:2}"; }
image() { dvae-encode -q -k -j1 -m "$dvae" --summary "$work/$1.json" -o "$work/$1.tok" "$2"; }
many=()
for _ in {1..50}; do many+=("$archive"); done # a few hundred captions are read in no time
text text "${many[@]}" 2>/dev/null
text text_load "$work/empty.tar"
image image "$archive" 2>/dev/null
image image_load "$work/empty.tar"

# Packing and the checksum: pairs like these, with made-up keys.
tok-dump "$work/text.tok" >"$work/text.jsonl"
tok-dump "$work/image.tok" >"$work/image.jsonl"
repeat() { # FILE: its header and 4000 records from its own, over and over
    awk 'NR == 1 {print; next} {line[n++] = $0}
        END {for (i = 0; n && i < 4000; i++) {s = line[i % n]; sub(/"key":"([^"\\]|\\.)*"/, "\"key\":\"" i "\"", s); print s}}' "$1" | tok-load
}
repeat "$work/text.jsonl" >"$work/texts.tok"
repeat "$work/image.jsonl" >"$work/images.tok"
shard-pack -q --text "$work/texts.tok" --image "$work/images.tok" --summary "$work/pack.json" -o "$work/shard"
from=$(date +%s.%N)
tok-check --sum "$work/shard" >"$work/check"
to=$(date +%s.%N)

jq -nr --argjson pairs "$pairs" --argjson per "$per" --argjson cores "$cores" --arg gpu "${GPU_RATE:-}" \
    --argjson check "[$from, $to]" --argjson shard "$(stat -c %s "$work/shard")" --argjson bytes "$(stat -L -c %s "$archive")" \
    --argjson given "$([ $# = 4 ] && echo true || echo false)" --slurpfile header <(tok-dump --header "$work/shard") \
    --slurpfile text "$work/text.json" --slurpfile text_load "$work/text_load.json" --slurpfile image "$work/image.json" \
    --slurpfile image_load "$work/image_load.json" --slurpfile pack "$work/pack.json" '
    def digits: if . >= 100 or . == floor then round elif . >= 1 then . * 10 | round / 10
        else . as $x | [1, 10, 100, 1000, 1e4, 1e5, 1e6] | map(select($x * . >= 10)) | (.[0] // 1e6) as $s | $x * $s | round / $s end;
    def row($name; $number; $unit): "\($name)\t\($number | digits)\t\($unit)";
    def size: if . >= 1e12 then [. / 1e12, "TB"] elif . >= 1e9 then [. / 1e9, "GB"] else [. / 1e6, "MB"] end;
    def rate($all; $load): $all.records / ([$all.seconds - $load.seconds, 1e-6] | max);
    if $image[0].written == 0 or $text[0].written == 0 then error("the sample has no usable pair") else . end |
    rate($text[0]; $text_load[0]) as $captions | rate($image[0]; $image_load[0]) as $pictures |
    ($pack[0].written / ($pack[0].seconds + $check[1] - $check[0])) as $packed |
    ($pairs / $per | ceil) as $archives | ($shard / $pack[0].written * $pairs) as $disk |
    [[$captions, "captions"], [$pictures, "pictures"], [$packed, "pairs packed and checked"]] as $rates |
    row("pairs"; $pairs; ""),
    row("grid"; $header[0].grid[0]; "codes along a side, \($header[0].image_vocab) to choose from"),
    ($rates[] | row(.[1]; .[0]; "a second on one core")),
    row("archives"; $archives; "of \($per) pairs"),
    row("files"; 3 * $archives + 1; "at most: shard, summary, rejects of each; the manifest"),
    row("disk, shards"; ($disk | size)[0]; ($disk | size)[1]),
    (2 * $shard / $pack[0].written * $per | size | row("disk, unfinished"; .[0]; .[1] + " for each archive in work")),
    (if $given then $bytes / $image[0].records * $pairs | size | row("disk, archives"; .[0]; .[1])
     else "disk, archives\tunknown\tname a sample" end),
    ($rates[] | row("core-hours, \(.[1])"; $pairs / .[0] / 3600; "")),
    ($pairs / 3600 * ($rates | map(1 / .[0]) | add) | row("core-hours"; .; "in all without a GPU"),
     row("days"; . / 24 / $cores; "on \($cores) such cores")),
    (if $gpu == "" then "GPU-hours\tunknown\tset GPU_RATE, pictures a second"
     else row("GPU-hours"; $pairs / ($gpu | tonumber) / 3600; "at \($gpu) pictures a second, in place of the pictures above") end),
    (if $given then empty else "codebook\t1/4\tof the published width, which takes 8 to 16 times as long for a picture" end)' |
    awk -F'\t' '{printf "%-38s %14s  %s\n", $1, $2, $3}'
