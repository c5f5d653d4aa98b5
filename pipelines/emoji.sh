#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Real pictures and real captions: every emoji of the Noto Color Emoji font, captioned with its Unicode name.
#   emoji.sh FOLDER
# Needs fonts-noto-color-emoji, unicode-data and pango1.0-tools (`make emoji` installs them).  Run again, it goes on.
# VIEWS: drawings of each emoji (4): the first large, centred, on white; the others of other sizes, places, backgrounds.  The
# codebook learns from all; the prior from the first alone: names do not say the view, and to know 1,870 pictures by heart
# it must see each some forty times.
# SIDE: pixels (64).  TINY=1: a few emoji, seconds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export OUT=$1 VIEWS=${VIEWS:-4} SIDE=${SIDE:-64}
list=/usr/share/unicode/emoji/emoji-test.txt
every=1
if [ "${TINY:-}" ]; then VIEWS=2 SIDE=32 every=100; fi
for need in "$list" /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf; do
    [ -e "$need" ] || { echo "emoji.sh: $need: not there; make emoji installs it" >&2; exit 1; }
done
mkdir -p "$OUT"

# code, the emoji itself, name: every fully qualified one without skin tones
names() {
    awk -v every="$every" '
        /; fully-qualified/ && !/skin tone/ && ++n % every == 0 {
            code = $0; sub(/ *;.*/, "", code); gsub(/ /, "-", code)
            rest = $0; sub(/.*# /, "", rest)
            face = rest; sub(/ .*/, "", face)
            sub(/^[^ ]* E[0-9.]* /, "", rest)
            print code "\t" face "\t" rest
        }' "$list"
}

# Width and height of the font's drawings at a size: all are of one size, so indent and margins can put them anywhere.
measure() { # size
    local png
    png=$(mktemp --suffix .png)
    pango-view --pixels -q --font "Noto Color Emoji $1" --background=white --margin=0 --text "😀" -o "$png"
    od -An -tu1 -j16 -N8 "$png" | awk '{print $3 * 256 + $4, $7 * 256 + $8}'
    rm -f "$png"
}

# One emoji: pictures/CODE/VIEW.png and .txt, so the key is CODE/VIEW.  Choices are a function of code and view.
draw() { # code, face, name
    set -euo pipefail
    local code=$1 face=$2 name=$3 view hash size ground width height left top stem
    local grounds=(white '#f4f4f4' '#fff6e0' '#e8f4ff' '#eaffea' '#ffeef4' '#f2ecff' '#dddddd')
    mkdir -p "$OUT/pictures/$code"
    for ((view = 0; view < VIEWS; view++)); do
        hash=$(cksum <<<"$code $view" | cut -d' ' -f1)
        size=$((SIDE * 46 / 64)) ground=white
        if [ "$view" -gt 0 ]; then size=$((SIDE * (40 + hash % 9) / 64)) ground=${grounds[hash / 9 % 8]}; fi
        read -r width height <<<"$(sed -n "s/^$size //p" "$OUT/sizes")"
        left=$(((SIDE - width) / 2)) top=$(((SIDE - height) / 2))
        if [ "$view" -gt 0 ]; then
            left=$((hash / 72 % (SIDE - width + 1))) top=$((hash / 7200 % (SIDE - height + 1)))
        fi
        stem=$OUT/pictures/$code/$(printf %02d "$view")
        pango-view --pixels -q --font "Noto Color Emoji $size" --background="$ground" --text "$face" \
            --width="$SIDE" --indent="$left" --margin="$top 0 $((SIDE - height - top))" -o "$stem.png"
        printf '%s\n' "$name" >"$stem.txt"
    done
}
export -f draw

pictures() {
    [ -e "$OUT/pairs.tar" ] && return
    names >"$OUT/names.tsv"
    for ((size = SIDE * 40 / 64; size <= SIDE * 48 / 64; size++)); do echo "$size $(measure "$size")"; done >"$OUT/sizes"
    tr '\t' '\n' <"$OUT/names.tsv" | tr '\n' '\0' | xargs -0 -n 3 -P 2 bash -c 'draw "$@"' draw
    tar --sort=name --mtime=@0 -C "$OUT/pictures" -cf "$OUT/pairs.tar.part" .
    awk -F'\t' '{print $1 "/00"}' "$OUT/names.tsv" >"$OUT/plain.keys"
    pairs-filter -q --keys "$OUT/plain.keys" -o "$OUT/plain.tar" "$OUT/pairs.tar.part"
    mv "$OUT/pairs.tar.part" "$OUT/pairs.tar"
    rm -rf "$OUT/pictures"
}

learn() {
    stage "the vocabulary" env VOCAB=2048 SPLIT=gpt2 "$here/1-vocab.sh" "$OUT/tokenizer.json" "$OUT/pairs.tar"
    stage "the codebook (dVAE)" "$here/2-dvae.sh" "$OUT/dvae" "$OUT/pairs.tar" -- "${dvae[@]}"
    stage "tokens and shards" env SLOTS=$slots "$here/3-shards.sh" "$OUT/tokenizer.json" "$OUT/dvae" "$OUT/shards" "$OUT/plain.tar"
    stage "the prior" "$here/4-prior.sh" "$OUT/prior" "$OUT/shards/plain.shard" -- "${prior[@]}"
}

sample() { # keyed captions, dvae-decode's options...
    local captions=$1
    shift
    bpe-encode -q -m "$OUT/tokenizer.json" --slots $slots --keyed "$captions" | prior-sample -q -m "$OUT/prior" --seed 1 |
        dvae-decode -q -m "$OUT/dvae" "$@"
}

slots=18 # the longest name has 17 tokens
dvae=(--size "$SIDE" --hid 16 --init 64 --blocks 1 --downs 3 --vocab 512 --prepare eval --dither 0.15 --beta 0.5 --batch 16
    --lr 3e-3 --steps 6000 --tau-steps 4500)
prior=(--layers 2 --width 256 --heads 16 --batch 32 --lr 3e-3 --steps 2500)

stages=$OUT/stages.txt
. "$here/timed.sh"

# Trainers that stopped on request go on when the script is run again.
stage "pictures and names" pictures
learn
awk -F'\t' '{print $1 "\t" $3}' "$OUT/names.tsv" >"$OUT/captions.tsv"
echo "true pictures through the codebook:"
dvae-encode -q -m "$OUT/dvae" "$OUT/pairs.tar" | dvae-decode -q -m "$OUT/dvae" --tar -o "$OUT/decoded.tar"
pairs-nearest --among "$OUT/pairs.tar" "$OUT/decoded.tar"
echo "drawn for their names:"
sample "$OUT/captions.tsv" --tar -o "$OUT/drawn.tar"
pairs-nearest --among "$OUT/pairs.tar" --each "$OUT/ranks.tsv" "$OUT/drawn.tar" | tee "$OUT/score.txt"
awk -v n="$(wc -l <"$OUT/captions.tsv")" 'NR % int(n / 20 + 1) == 1' "$OUT/captions.tsv" >"$OUT/twenty.tsv"
sample "$OUT/twenty.tsv" --grid 5 --captions "$OUT/twenty.tsv" -o "$OUT/sheet.png"
N=16 "$here/5-sample.sh" "$OUT/tokenizer.json" "$OUT/dvae" "$OUT/prior" "an armchair in the shape of an avocado" \
    "$OUT/avocado.png"
echo "twenty names with their drawings: $OUT/sheet.png; an armchair in the shape of an avocado: $OUT/avocado.png"
