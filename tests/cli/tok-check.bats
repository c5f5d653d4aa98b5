#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0
load tok_make
load cut_pipe

setup() {
    cd "$BATS_TEST_TMPDIR"
    tokens text 0 20 >text.tok
    tokens image 0 20 >image.tok
    shard-pack --text text.tok --image image.tok -o pairs.shard
}

@test "a line for each good file" {
    run tok-check text.tok image.tok pairs.shard
    [ "$status" = 0 ]
    [ "$output" = "text.tok: ok, 20 records, text
image.tok: ok, 20 records, image
pairs.shard: ok, 20 records, pair shard" ]
    [ "$(tok-check <text.tok)" = "stdin: ok, 20 records, text" ]
    [ "$(cat text.tok text.tok | tok-check -)" = "stdin: ok, 40 records, text, 2 streams" ]
}

@test "@LIST stands for the files it names, more than a command line holds" {
    printf 'text.tok\r\n\nimage.tok' >list
    [ "$(tok-check pairs.shard @list text.tok | cut -d: -f1 | tr '\n' ' ')" = "pairs.shard text.tok image.tok text.tok " ]
    echo pairs.shard >one
    shard-pack -q @one | cmp - <(shard-pack -q pairs.shard)
    printf 'a.file.of.a.long.name.that.is.not.there/%0200d\n' $(seq 15000) >many
    run bash -c 'tok-check @many 2>/dev/null | wc -l'
    [ "$output" = 15000 ]
    : >empty
    run tok-check @empty
    [ "$status" = 2 ]
    [ "$output" = "tok-check: empty: names no files (see tok-check --help)" ]
    run tok-check @nowhere
    [ "$status" = 2 ]
    [ "$output" = "tok-check: nowhere: cannot open: No such file or directory (see tok-check --help)" ]
    cp text.tok @odd
    [ "$(tok-check ./@odd)" = "./@odd: ok, 20 records, text" ]
}

@test "bad files are named with their reason, and the others are still checked" {
    head -c 100 pairs.shard >cut.shard
    run --separate-stderr tok-check cut.shard nothing.tok text.tok
    [ "$status" = 1 ]
    [ "$output" = "cut.shard: bad
nothing.tok: bad
text.tok: ok, 20 records, text" ]
    [ "$stderr" = "tok-check: cut.shard: ends inside the header
tok-check: nothing.tok: cannot open: No such file or directory" ]
    run tok-check -q cut.shard text.tok
    [ "$status" = 1 ]
    [ "$output" = "" ]
}

@test "--sum depends on the records alone" {
    shard-pack --seed 5 --size 7 -o 'cut-%d.shard' pairs.shard
    sum=$(tok-check --sum pairs.shard | grep -o 'sum .*')
    [ "$(tok-check --sum cut-?.shard | tail -1)" = "total: ok, 20 records, $sum" ]
    tok-dump pairs.shard | sed 's/"k7"/"k77"/' | tok-load >other.shard
    [ "$(tok-check --sum other.shard | grep -o 'sum .*')" != "$sum" ]
    tok-dump pairs.shard | sed 's/"variant":0/"variant":1/' | tok-load >other.shard
    [ "$(tok-check --sum other.shard | grep -o 'sum .*')" != "$sum" ]
}

@test "--same wants files that go together" {
    run tok-check --same pairs.shard pairs.shard
    [ "$status" = 0 ]
    run tok-check --same text.tok image.tok
    [ "$status" = 1 ]
    [[ "$output" == *"image.tok: does not go with the first file: image tokens, not text tokens"* ]]
    digest=$(printf '1%.0s' {1..64})
    tok-dump text.tok | sed "s/\"text_digest\":null/\"text_digest\":\"$digest\"/" | tok-load >other.tok
    run tok-check --same text.tok other.tok
    [ "$status" = 1 ]
    [[ "$output" == *"$digest"* ]]
    run tok-check --same --force text.tok other.tok
    [ "$status" = 0 ]
}

@test "empty input, full disk, cut pipe, wrong calls" {
    run tok-check </dev/null
    [ "$status" = 1 ]
    [[ "$output" == *"is empty"* ]]
    run bash -c 'tok-check text.tok >/dev/full'
    [ "$status" = 1 ]
    one_line tok-check
    run cut_pipe tok-check text.tok
    [ "$status" = 141 ] && [ -z "$output" ]
    run tok-check --no-such
    [ "$status" = 2 ]
}
