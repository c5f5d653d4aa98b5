#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load cut_pipe

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    shapes-make -q -n 24 --size 16 -o pairs.tar
    dvae-train -q -j1 --preset tiny --steps 2 -o dvae pairs.tar
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    export P="$BATS_FILE_TMPDIR/pairs.tar" M="$BATS_FILE_TMPDIR/dvae"
}

encode() { dvae-encode -q -j1 -m "$M" "$@"; }

@test "dvae-encode: keys, grid, digest and provenance; from a file, a pipe, stdin, a folder and a list" {
    encode "$P" > a.tok
    tok-dump a.tok | jq -s -e '.[0].kind == "image" and .[0].image_vocab == 32 and .[0].grid == [4, 4] and
        (.[0].image_digest | test("^[0-9a-f]{64}$")) and (.[0].provenance[0] | startswith("dvae-encode ")) and
        .[1].key == "train-000001" and (.[1].image | length) == 16 and (map(select(has("key"))) | length) == 24'
    records() { tok-dump "$1" | tail -n +2; }
    encode --precision bf16 "$P" | tok-dump --count | grep -qx 24
    records a.tok > want
    encode < "$P" > b.tok
    cat "$P" | encode - > c.tok
    encode --batch 5 -j2 -o d.tok "$P"
    gzip -c "$P" | encode > e.tok
    for i in b c e; do records $i.tok | cmp - want; done
    [ "$(diff <(records d.tok) want | grep -c '^>')" -lt 3 ] # other sums, so a code in many may tip over
    mkdir folder && tar -xf "$P" -C folder && (cd folder && encode . > ../f.tok)
    records f.tok | cmp - want
    printf 'folder/train-000002.png\tx\n' > list.tsv
    encode @list.tsv | tok-dump | jq -s -e '.[1].key == "folder/train-000002"'
    encode "$P" "$P" | tok-dump --count | grep -qx 48
}

@test "dvae-encode: an empty archive is an empty stream" {
    tar -cf empty.tar -T /dev/null
    encode empty.tar > x.tok
    tok-check x.tok
    [ "$(tok-dump --count x.tok)" = 0 ]
}

@test "dvae-encode: crops are variants and depend on seed, key and number alone" {
    shapes-make -q -n 6 --size 40 -o large.tar
    encode --crops 3 large.tar > a.tok
    tok-dump a.tok | jq -s -e '(map(select(has("key"))) | length) == 18 and .[1].key == .[3].key and .[3].variant == 2'
    encode --crops 3 --batch 1 -j2 large.tar > b.tok
    cmp <(tok-dump a.tok | tail -n +2) <(tok-dump b.tok | tail -n +2)
    encode --crops 2 large.tar | tok-dump | jq -c 'select(has("key"))' | sort > two
    tok-dump a.tok | jq -c 'select(has("key") and .variant != 2)' | sort | cmp - two
    ! encode --crops 3 --seed 9 large.tar | tok-dump | tail -n +2 | cmp -s - <(tok-dump a.tok | tail -n +2)
}

@test "dvae-encode: another size; the raw weights; a checkpoint and a file" {
    shapes-make -q -n 2 --size 40 -o large.tar
    encode --size 32 large.tar | tok-dump | jq -s -e '.[0].grid == [8, 8]'
    run encode --size 30 large.tar
    [ "$status" = 1 ]
    folder="$M/$(cat "$M/latest")"
    encode "$P" > a.tok
    dvae-encode -q -j1 -m "$folder" "$P" | tok-dump | tail -n +2 | cmp - <(tok-dump a.tok | tail -n +2)
    dvae-encode -q -j1 -m "$folder/ema.safetensors" "$P" | tok-dump | tail -n +2 | cmp - <(tok-dump a.tok | tail -n +2)
    digest() { tok-dump --header "$1" | jq -r .image_digest; }
    dvae-encode -q -j1 -m "$folder/model.safetensors" "$P" > b.tok
    encode --raw "$P" > c.tok
    [ "$(digest b.tok)" = "$(digest c.tok)" ]
    [ "$(digest b.tok)" != "$(digest a.tok)" ]
}

@test "dvae-encode: bad pictures stop it, or are left out and listed; the list is a source" {
    mkdir folder && tar -xf "$P" -C folder
    cp folder/train-000003.png whole
    head -c 100 whole > folder/train-000003.png
    shapes-make -q -n 1 --size 16 -o one.tar
    run encode folder
    [ "$status" = 1 ]
    [[ "$output" == *"train-000003: "* ]]
    run encode -o x.tok folder
    [ ! -e x.tok ]
    encode -k --rejects bad.jsonl --summary s.json folder 2> words | tok-dump --count | grep -qx 23
    jq -e '.program == "dvae-encode" and .records == 24 and .written == 23 and .left_out == 1' s.json
    encode -k --crops 2 --summary s.json -o crops.tok folder
    jq -e '.records == 24 and .written == 46 and .left_out == 1' s.json
    grep -q "1 records left out" words
    encode -k --rejects again.jsonl -o x.tok @bad.jsonl # names the folder, not the list, so it is a source as well
    cmp again.jsonl bad.jsonl
    mv whole folder/train-000003.png
    encode @bad.jsonl | tok-dump | jq -s -e '.[1].key == "train-000003"'
}

@test "dvae-encode: cut pipe, full disk, wrong calls, wrong files" {
    run cut_pipe encode "$P"
    [ "$status" = 141 ]
    run bash -c "dvae-encode -q -j1 -m '$M' '$P' > /dev/full"
    [ "$status" = 1 ]
    [[ "$output" == "dvae-encode: "*"No space left"* ]]
    echo old > x.tok
    encode -o x.tok "$P"
    tok-check x.tok
    run dvae-encode "$P"
    [ "$status" = 2 ]
    run encode --no-such-option
    [ "$status" = 2 ]
    run encode x.tok
    [ "$status" = 1 ]
    run dvae-encode -m "$P" "$P"
    [ "$status" = 1 ]
    run dvae-encode -m /nowhere "$P"
    [ "$status" = 1 ]
    head -c 5000 "$P" > cut.tar
    run encode cut.tar
    [ "$status" = 1 ]
}
