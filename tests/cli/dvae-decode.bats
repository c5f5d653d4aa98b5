#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load cut_pipe

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    shapes-make -q -n 24 --size 16 -o pairs.tar
    dvae-train -q -j1 --preset tiny --steps 2 -o dvae pairs.tar
    dvae-encode -q -j1 -m dvae -o image.tok pairs.tar
    tok-dump image.tok | head -2 | tok-load -o one.tok
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    export F="$BATS_FILE_TMPDIR" M="$BATS_FILE_TMPDIR/dvae"
}

decode() { dvae-decode -q -j1 -m "$M" "$@"; }

size() { # of a PNG: width height
    od -An -tu1 -j16 -N8 "$1" | awk '{print $3 * 256 + $4, $7 * 256 + $8}'
}

@test "dvae-decode: one record is one PNG, from a file, stdin and -" {
    decode "$F/one.tok" > a.png
    decode < "$F/one.tok" > b.png
    cat "$F/one.tok" | decode -o c.png -
    cmp a.png b.png
    cmp a.png c.png
    [ "$(size a.png)" = "16 16" ]
    grep -aq "train-000001" a.png
    grep -aq "dvae-encode 0" a.png
    decode --bare "$F/one.tok" > d.png
    [ "$(grep -acE 'train-000001|dvae-' d.png)" = 0 ]
    run decode "$F/image.tok"
    [ "$status" -ne 0 ]
    [[ "$output" == *"more than one picture: --grid"* ]]
}

@test "dvae-decode: a file each, a tar, a sheet and PPMs hold the same pictures" {
    decode --bare -o 'out/%k.png' "$F/image.tok"
    [ "$(ls out | wc -l)" = 24 ]
    decode --bare --tar "$F/image.tok" | tar -x
    for i in out/*.png; do cmp "$i" "$(basename "$i")"; done
    decode --ppm "$F/image.tok" > all.ppm
    [ "$(wc -c < all.ppm)" = $((24 * (13 + 768))) ]
    decode --batch 7 -j2 --ppm "$F/image.tok" > again.ppm # other sums, so a byte in many may be rounded the other way
    [ "$(wc -c < again.ppm)" = "$(wc -c < all.ppm)" ]
    [ "$(cmp -l again.ppm all.ppm | wc -l)" -lt 100 ]
    decode --grid 6 -o sheet.png "$F/image.tok"
    [ "$(size sheet.png)" = "$((6 * 128 + 7 * 4)) $((4 * 128 + 5 * 4))" ]
    decode --tar "$F/image.tok" | dvae-encode -q -j1 -m "$M" | tok-check -q -
}

@test "dvae-decode: variants of a key" {
    shapes-make -q -n 3 --size 40 -o large.tar
    dvae-encode -q -j1 -m "$M" --crops 2 -o crops.tok large.tar
    decode --batch 1 --tar crops.tok | tar -t | cmp - <(for i in 1 2 3; do printf 'train-00000%d/%04d.png\n' $i 0 $i 1; done)
    decode -o '%k-%n.png' crops.tok
    [ -e train-000003-1.png ]
    run decode -o 'x/%k.png' crops.tok
    [ "$status" -ne 0 ]
    [[ "$output" == *"two pictures of this name"* ]]
    decode -o '%k-%n.png' crops.tok # a second run replaces
}

@test "dvae-decode: captions in the sheet and in files" {
    shapes-make -q -n 24 --captions --keyed -o c.tsv
    decode --grid 4 --captions c.tsv "$F/image.tok" > a.png
    decode --grid 4 "$F/image.tok" > b.png
    [ "$(size a.png | cut -d' ' -f2)" -gt "$(size b.png | cut -d' ' -f2)" ]
    decode --captions c.tsv "$F/one.tok" | grep -aq "$(head -1 c.tsv | cut -f2)"
    tok-dump "$F/one.tok" | sed 's/"train-000001"/"1"/' | tok-load > one.tok
    echo "a line of its own" > lines.txt
    decode --captions lines.txt one.tok | grep -aq "a line of its own"
}

@test "dvae-decode: names from keys stay in their folder" {
    tok-dump "$F/one.tok" | sed 's|"train-000001"|"../../x"|' | tok-load > evil.tok
    mkdir -p a/b
    (cd a/b && decode -o 'out/%k.png' ../../evil.tok)
    [ -z "$(find . -name 'x.png' -not -path './a/b/out/*')" ]
    [ "$(find a/b/out -name '*.png' | wc -l)" = 1 ]
}

@test "dvae-decode: tokens of another codebook are refused with both digests" {
    dvae-train -q -j1 --preset tiny --steps 1 --seed 3 -o other "$F/pairs.tar"
    run dvae-decode -q -j1 -m other "$F/one.tok"
    [ "$status" = 1 ]
    [ "$(grep -oE '[0-9a-f]{64}' <<< "$output" | sort -u | wc -l)" = 2 ]
    dvae-decode -q -j1 -m other --force "$F/one.tok" > x.png
    dvae-train -q -j1 --preset tiny --steps 1 --vocab 16 -o less "$F/pairs.tar"
    run dvae-decode -q -j1 -m less --force "$F/one.tok"
    [ "$status" = 1 ]
}

@test "dvae-decode: empty stream, cut stream, text tokens, cut pipe, full disk, wrong calls" {
    tok-dump "$F/one.tok" | head -1 | tok-load > empty.tok
    decode --tar empty.tok | tar -t
    decode --ppm empty.tok | cmp - /dev/null
    run decode --grid 2 empty.tok
    [ "$status" = 1 ]
    head -c 300 "$F/image.tok" > cut.tok
    run decode -o x.tar --tar cut.tok
    [ "$status" = 1 ]
    [ ! -e x.tar ]
    run decode --tar - < /dev/null
    [ "$status" = 1 ]
    run decode "$F/pairs.tar"
    [ "$status" = 1 ]
    echo "a red circle" | bpe-encode -m "$ROOT/formats/good/tokenizer-dalle.json" > text.tok
    run decode text.tok
    [ "$status" = 1 ]
    [[ "$output" == *"image tokens are needed"* ]]
    run cut_pipe decode --ppm "$F/image.tok"
    [ "$status" = 141 ]
    for form in --tar --ppm "--grid 3"; do
        run bash -c "dvae-decode -q -j1 -m '$M' $form '$F/image.tok' > /dev/full"
        [ "$status" = 1 ]
        [[ "$output" == "dvae-decode: "*"No space left"* ]]
    done
    run dvae-decode "$F/one.tok"
    [ "$status" = 2 ]
    run decode --tar --ppm "$F/one.tok"
    [ "$status" = 2 ]
    run decode --no-such-option
    [ "$status" = 2 ]
}
