#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
load tok_make
load cut_pipe

setup() {
    cd "$BATS_TEST_TMPDIR"
    tokens text 0 20 >text.tok
    tok-dump text.tok >text.json
    head='{"armchair":"tok","kind":"image","image_vocab":512,"grid":[1,2]}'
}

refused() { # line, words
    printf '%s\n%s\n' "$head" "$1" >bad.json
    run bash -c 'tok-load bad.json | cat >/dev/null; exit ${PIPESTATUS[0]}'
    [ "$status" = 1 ]
    [[ "$output" == *"bad.json: line 2: "*"$2"* ]]
}

@test "dump and load give the same bytes, also of shards and of rows" {
    tok-dump text.tok | tok-load | cmp - text.tok
    tokens image 0 3000 >image.tok
    tok-dump -g image.tok | tok-load | cmp - image.tok
    tokens text 0 3000 >text2.tok
    shard-pack --text text2.tok --image image.tok -o a.shard
    tok-dump a.shard | tok-load | cmp - a.shard
}

@test "stdin, -, -o over an old file" {
    tok-load <text.json | cmp - text.tok
    tok-load - <text.json | cmp - text.tok
    echo old >out.tok
    tok-load -o out.tok text.json
    cmp out.tok text.tok
    [ -z "$(ls out.tok.tmp.* 2>/dev/null)" ]
}

@test "a failure leaves an old output as it was" {
    echo old >out.tok
    run bash -c 'head -c 300 text.json | tok-load -o out.tok'
    [ "$status" = 1 ]
    [ "$(cat out.tok)" = old ]
    [ -z "$(ls out.tok.tmp.* 2>/dev/null)" ]
}

@test "what may be missing is filled in; blank lines are skipped; --shard" {
    printf '%s\n\n%s' "$head" '{"key":"a","image":[1,511]}' | tok-load >a.tok
    [ "$(tok-dump a.tok | tail -1)" = '{"key":"a","variant":0,"image":[1,511]}' ]
    tok-dump a.tok | sed 's/"image",/"pair","text_vocab":9,"text_slots":9,/; s/"image":\[/"text":[],&/' | tok-load --shard >a.shard
    [ "$(tok-dump --header a.shard | jq -r .layout)" = shard ]
}

@test "keys keep their quotes, backslashes and letters" {
    printf '%s\n%s\n' "$head" '{"key":"a\"b\\c/é \u20ac","image":[0,0]}' | tok-load >a.tok
    [ "$(tok-dump --keys a.tok)" = 'a"b\c/é €' ]
    tok-dump a.tok | tok-load | cmp - a.tok
}

@test "bad lines are refused with their number and reason" {
    refused '{"key":"a","image":[1]}' "1 image tokens for a grid of 1 x 2"
    refused '{"key":"a","image":[1,512]}' "image token 512, the vocabulary has 512"
    refused '{"key":"a","image":[1,-1]}' "numbers in 0..65535"
    refused '{"key":"a","image":[1,1.5]}' "numbers in 0..65535"
    refused '{"key":"a","image":[1,65536]}' "numbers in 0..65535"
    refused '{"key":"a","image":[[1],2]}' "mixes rows and numbers"
    refused '{"key":"a","image":"1"}' "not a list"
    refused '{"key":"a","imag":[1,2]}' '"imag"'
    refused '{"key":"a","text":[1],"image":[1,2]}' "text tokens"
    refused '{"key":"","image":[1,2]}' "key of 0 bytes"
    refused '{"key":"a\nb","image":[1,2]}' "control characters"
    refused '{"key":7,"image":[1,2]}' '"key" is not a string'
    refused '{"image":[1,2]}' '"key" is not a string'
    refused '{"key":"a","variant":-1,"image":[1,2]}' '"variant"'
    refused '{"key":"a","key":"b","image":[1,2]}' "not JSON"
    refused '{"key":"a","image":[1,2]' "not JSON"
    refused '[1]' "not a JSON object"
}

@test "bad header lines are refused" {
    for header in '{"armchair":"pot"}' '{"armchair":"tok","kind":"sound"}' '{"armchair":"tok","kind":"text"}' \
        '{"armchair":"tok","kind":"image","image_vocab":5,"grid":[1,0]}' '{"key":"a","image":[1,2]}' \
        '{"armchair":"tok","version":2,"kind":"image","image_vocab":5,"grid":[1,1]}' \
        '{"armchair":"tok","kind":"image","image_vocab":5,"grid":[1,1],"image_digest":"12"}' \
        '{"armchair":"tok","kind":"image","image_vocab":5,"grid":[1,1],"layout":"shard"}' \
        '{"armchair":"tok","kind":"image","image_vocab":5,"grid":[1,1],"provenance":["a\nb"]}'; do
        run bash -c 'tok-load <<<"$1" | cat' _ "$header"
        [[ "$output" == "tok-load: stdin: line 1: "* ]]
    done
}

@test "another header line begins another stream, if it goes with the first" {
    cat text.json text.json | tok-load >two.tok
    [ "$(tok-check two.tok)" = "two.tok: ok, 40 records, text, 2 streams" ]
    (cat text.json; echo "$head") >mixed.json
    run bash -c 'tok-load mixed.json | cat'
    [[ "$output" == *"image tokens, not text tokens"* ]]
}

@test "empty input, no file, full disk, wrong calls" {
    run tok-load </dev/null
    [ "$status" = 1 ]
    [[ "$output" == *"ends without a header line"* ]]
    run tok-load nothing.json
    [ "$status" = 1 ]
    run bash -c 'tok-load text.json >/dev/full'
    [ "$status" = 1 ]
    one_line tok-load
    run tok-load --no-such
    [ "$status" = 2 ]
    run tok-load a b
    [ "$status" = 2 ]
}

@test "a closed pipe ends it quietly" {
    run cut_pipe tok-load text.json
    [ "$status" = 141 ] && [ -z "$output" ]
}
