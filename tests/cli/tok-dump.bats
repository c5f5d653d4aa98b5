#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
load tok_make
load cut_pipe

setup() {
    cd "$BATS_TEST_TMPDIR"
    tokens text 0 20 >text.tok
    tokens image 0 20 >image.tok
}

@test "header and records are JSON lines" {
    [ "$(tok-dump text.tok | head -1 | jq -r '.kind, .text_slots, .text_digest, .provenance[0]' | paste -sd' ')" \
        = "text 9 null made by hand" ]
    [ "$(tok-dump text.tok | sed -n 4p)" = '{"key":"k2","variant":0,"text":[0,7]}' ]
    [ "$(tok-dump image.tok | sed -n 2p)" = '{"key":"k19","variant":0,"image":[19,20,21,22,23,24]}' ]
    [ "$(tok-dump image.tok | wc -l)" = 21 ]
}

@test "--grid, --header, --count, --keys" {
    [ "$(tok-dump -g image.tok | sed -n 2p)" = '{"key":"k19","variant":0,"image":[[19,20,21],[22,23,24]]}' ]
    [ "$(tok-dump --header image.tok)" = "$(tok-dump image.tok | head -1)" ]
    [ "$(tok-dump --count image.tok)" = 20 ]
    [ "$(tok-dump --keys text.tok | tail -1)" = k19 ]
}

@test "--stats counts tokens" {
    tok-dump --stats text.tok | jq -e '.records == 20 and .text.tokens == 73 and .text.distinct == 8 and .text.min == 0
        and .text.max == 8 and (.text.mean - 3.65 | fabs) < 1e-9 and .text.vocab == 300'
    # a uniform source of 4 codes has 2 bits
    (echo '{"armchair":"tok","kind":"image","image_vocab":9,"grid":[1,4]}'; echo '{"key":"a","image":[0,3,5,8]}') | tok-load |
        tok-dump --stats | jq -e '.image.entropy_bits == 2 and .image.distinct == 4'
}

@test "stdin, -, and -o" {
    tok-dump text.tok >want
    tok-dump <text.tok | cmp - want
    tok-dump - <text.tok | cmp - want
    echo old >out
    tok-dump -o out text.tok
    cmp out want
}

@test "a cat is one stream; parts with other provenance are marked" {
    cat text.tok text.tok >two.tok
    [ "$(tok-dump two.tok | grep -c armchair)" = 1 ]
    [ "$(tok-dump --count two.tok)" = 40 ]
    tok-dump text.tok | sed 's/made by hand/made by foot/' | tok-load >foot.tok
    [ "$(cat text.tok foot.tok | tok-dump | grep armchair | jq -c .provenance | paste -sd' ')" \
        = '["made by hand"] ["made by hand","made by foot"]' ]
    [ "$(cat text.tok foot.tok | tok-dump | tok-load | tok-dump --count)" = 40 ]
}

@test "a cat of streams with other digests: refused with both, unless forced" {
    for d in 11 22; do
        (echo '{"armchair":"tok","kind":"text","text_vocab":9,"text_slots":9,"text_digest":"'$(printf "$d%.0s" {1..32})'"}'
            echo '{"key":"a","text":[1]}') | tok-load >$d.tok
    done
    cat 11.tok 22.tok >both.tok
    run tok-dump both.tok
    [ "$status" = 1 ]
    [[ "$output" == *1111111111111111111111111111111111111111111111111111111111111111* ]]
    [[ "$output" == *2222222222222222222222222222222222222222222222222222222222222222* ]]
    [ "$(tok-dump --force --count both.tok)" = 2 ]
}

@test "empty and cut input" {
    run tok-dump </dev/null
    [ "$status" = 1 ]
    one_line tok-dump
    run bash -c 'head -c -1 text.tok | tok-dump --count'
    [ "$status" = 1 ]
    [[ "$output" == *"ends without its end record"* ]]
    run tok-dump nothing.tok
    [ "$status" = 1 ]
    [[ "$output" == *"nothing.tok: cannot open"* ]]
}

@test "not a token stream" {
    run bash -c 'echo "a caption" | tok-dump'
    [ "$status" = 1 ]
    [[ "$output" == *"not a token stream"* ]]
}

@test "a closed pipe ends it quietly, a full disk with a line" {
    run cut_pipe tok-dump text.tok
    [ "$status" = 141 ] && [ -z "$output" ]
    run bash -c 'tok-dump text.tok >/dev/full'
    [ "$status" = 1 ]
    one_line tok-dump
    run tok-dump -o /dev/full text.tok
    [ "$status" = 1 ]
}

@test "wrong calls" {
    run tok-dump --no-such
    [ "$status" = 2 ]
    run tok-dump --count --keys text.tok
    [ "$status" = 2 ]
    run tok-dump text.tok image.tok
    [ "$status" = 2 ]
}

@test "memory does not grow with the input: tok-dump, tok-check, tok-load" {
    no_sanitizer
    many image 0 250 >part.tok
    for _ in $(seq 60); do cat part.tok; done >many.tok
    head -c 1200000 <(tok-dump part.tok) | head -n -1 >part.json
    for _ in $(seq 25); do cat part.json; done >many.json
    for command in "tok-check -q" "tok-check -q --sum" "tok-dump" "tok-dump --stats" "tok-load"; do
        kind=tok
        [ "$command" != tok-load ] || kind=json
        least=$(least_memory "$command part.$kind")
        echo "$command: $least KiB"
        (ulimit -v $((least + 512)); $command many.$kind >out)
    done
    [ "$(tok-dump --count many.tok)" = 15000 ]
    [ "$(tok-dump --count out)" = "$((25 * ($(wc -l <part.json) - 1)))" ]
}
