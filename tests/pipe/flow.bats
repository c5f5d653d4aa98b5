#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The flow of pipelines/, small: every stage runs, and runs again without harm.

setup() {
    cd "$BATS_TEST_TMPDIR"
    export TINY=1 OMP_NUM_THREADS=1
}

@test "the demo runs from drawings to judged drawings" {
    run "$ROOT/pipelines/demo.sh" demo
    [ "$status" -eq 0 ]
    [ -s demo/sheet.png ]
    [[ $output == *"right in all attributes"*"right in all attributes"*"right in all attributes"*"everything"* ]]
    tok-check demo/shards/*.shard demo/drawn.tok
    ckpt-show demo/prior >/dev/null
}

@test "what f16 loses: a table of runs, fixed scales, rooms, and pictures" {
    TINY=1 "$ROOT/pipelines/underflow.sh" out
    [ "$(wc -l <out/table.txt)" = 7 ] && [ "$(wc -l <out/rooms.txt)" = 5 ] && [ "$(wc -l <out/windows.txt)" = 24 ]
    awk '$1 == "paper-batch" {late = $5; lost = $6} $1 == "block" {with = $5 + $6} END {exit !(late + 0 > 90 && lost + 0 > 90 && with < 1)}' out/table.txt
    awk '$1 == "2^-16" {low = $4} $1 == "2^12" {high = $4} END {exit !(low + 0 > 90 && high + 0 < 1)}' out/windows.txt
    for name in norms lost loss scales; do [ "$(head -c 4 out/$name.png | tail -c 3)" = PNG ]; done
}

@test "the filter does what is missing, one archive each" {
    shapes-make -q --count 5 --size 32 -o a.tar
    shapes-make -q --count 5 --size 32 --seed 2 -o b.tar
    mkdir c
    printf 'P5 90 20 255\n' > c/wide.pgm
    echo "a wide picture" > c/wide.txt
    printf 'P5 20 20 255\n' > c/camera.pgm
    echo "IMG_0034" > c/camera.txt
    tar --sort=name -cf 'c d.tar' -C c .
    JOBS=2 "$ROOT/pipelines/0-filter.sh" kept a.tar b.tar 'c d.tar' -- --side 16
    cmp a.tar kept/a.tar
    jq -e '.pairs == 2 and .kept == 0 and .aspect == 1 and .words == 1' 'kept/c d.json'
    [ "$(wc -l < 'kept/c d.rejects')" -eq 2 ]
    rm kept/b.tar
    echo mine > kept/a.tar
    "$ROOT/pipelines/0-filter.sh" kept a.tar b.tar
    cmp b.tar kept/b.tar
    [ "$(cat kept/a.tar)" = mine ]
    run "$ROOT/pipelines/0-filter.sh" kept nowhere.tar
    [ "$status" -ne 0 ]
}

@test "the five stages, one after the other and once more" {
    shapes-make -q --count 30 --size 32 -o a.tar
    shapes-make -q --count 30 --size 32 --seed 2 -o b.tar
    for turn in 1 2; do
        "$ROOT/pipelines/1-vocab.sh" tokenizer.json a.tar b.tar
        "$ROOT/pipelines/2-dvae.sh" dvae a.tar b.tar
        JOBS=2 "$ROOT/pipelines/3-shards.sh" tokenizer.json dvae shards a.tar b.tar
        "$ROOT/pipelines/4-prior.sh" prior shards/a.shard shards/b.shard
        N=2 "$ROOT/pipelines/5-sample.sh" tokenizer.json dvae prior "a small red circle" sheet.png
    done
    [ "$(ls shards/*.shard | wc -l)" -eq 2 ]
    [ -s sheet.png ]
    [ -z "$(find shards -name '.*' -mindepth 1)" ]
}
