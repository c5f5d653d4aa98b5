#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load cut_pipe

setup() {
    cd "$BATS_TEST_TMPDIR"
    export M="$ROOT/formats/good/tokenizer-dalle.json"
}

@test "bpe-decode: gives captions back, from a file, a pipe and -" {
    printf '%s\n' 'an armchair in the shape of an avocado' '' 'été 日本 🥑 42!' > c.txt
    bpe-encode -m "$M" c.txt > c.tok
    bpe-decode -m "$M" c.tok | cmp - c.txt
    bpe-decode -m "$M" < c.tok | cmp - c.txt
    cat c.tok | bpe-decode -m "$M" - | cmp - c.txt
    echo 'An ARMCHAIR' | bpe-encode -m "$M" | bpe-decode -m "$M" | cmp - <(echo 'an armchair')
    cat c.tok c.tok | bpe-decode -m "$M" | cmp - <(cat c.txt c.txt)
}

@test "bpe-decode: any caption is one line, and bpe-encode --escaped reads it back" {
    mkdir p
    python3 -c 'import json; json.dump({"caption": "a\tb\nc\\d\re\x07\x7f é"}, open("p/k.json", "w"))'
    bpe-encode -m "$M" p > k.tok
    bpe-decode -m "$M" --keyed k.tok > k.tsv
    cmp k.tsv <(printf 'k\ta\\tb\\nc\\\\d\\re\\x07\\x7f \303\251\n')
    bpe-encode -m "$M" --keyed --escaped k.tsv | tok-dump | tail -n +2 | cmp - <(tok-dump k.tok | tail -n +2)
}

@test "bpe-decode: a caption cut within a character" {
    echo 'éé' | bpe-encode -q -m "$M" --slots 4 | bpe-decode -m "$M" | cmp - <(printf '\303\251\\xc3\n')
}

@test "bpe-decode: every byte there is survives" {
    python3 "$ROOT/tests/reference/tokenizer_read.py" lines 500 > c.txt
    bpe-encode -m "$M" --slots 4000 c.txt > one.tok
    bpe-decode -m "$M" one.tok > lines
    [ "$(wc -l < lines)" = 500 ]
    tok-dump one.tok | jq -r 'select(has("key")) | .text | map(tostring) | join(" ")' |
        python3 "$ROOT/tests/reference/tokenizer_read.py" decode "$M" > want
    python3 -c 'import json, sys
for a, b in zip(open("lines", encoding="utf-8", newline="\n"), open("want")):
    assert a[:-1] == json.loads(b).replace("\\", "\\\\").replace("\t", "\\t"), (a, b)'
}

@test "bpe-decode: tokens of another vocabulary are refused with both digests" {
    other="$ROOT/formats/good/tokenizer-gpt2.json"
    echo x1 | bpe-encode -m "$other" > o.tok # bytes have the same ids everywhere
    run bpe-decode -m "$M" o.tok
    [ "$status" = 1 ]
    [ "$output" = "bpe-decode: o.tok: made with tokenizer $(tok-dump o.tok | head -1 | jq -r .text_digest), $M is 5e24356db178127f9733aba5c50dc3a73bb96d48cbedea81a21db9d2d869e222" ]
    bpe-decode --force -m "$M" o.tok | cmp - <(echo x1)
    echo an | bpe-encode -m "$M" > m.tok
    run bash -c 'cat m.tok o.tok | bpe-decode -m "$M"'
    [ "$status" = 1 ]
    seq 100 | tr 0-9 a-j | bpe-train -q --vocab 300 --min-count 1 > large.json
    seq 100 | tr 0-9 a-j | bpe-encode -m large.json > l.tok
    run bash -c 'bpe-decode --force -m "$M" l.tok 2>&1 > /dev/null' # some of its ids are past our vocabulary
    [ "$status" = 1 ]
    [ "$output" = "bpe-decode: l.tok: 22: token 268; the vocabulary has 268" ]
}

@test "bpe-decode: wrong kinds of stream, damage, empty input" {
    run bash -c ': | bpe-decode -m "$M"'
    [ "$status" = 1 ]
    [[ "$output" == "bpe-decode: stdin: "* ]]
    run bash -c 'echo "an armchair" | bpe-decode -m "$M"'
    [ "$status" = 1 ]
    printf '%s\n' '{"armchair":"tok","version":1,"kind":"image","layout":"stream","image_vocab":4,"grid":[1,1],"provenance":[]}' > i.jsonl
    if tok-load i.jsonl > i.tok 2> /dev/null; then
        run bpe-decode -m "$M" i.tok
        [ "$status" = 1 ]
        [ "$output" = "bpe-decode: i.tok: a stream of kind image has no text" ]
    fi
    echo "an armchair" | bpe-encode -m "$M" > c.tok
    head -c -5 c.tok > cut.tok
    run bpe-decode -m "$M" cut.tok
    [ "$status" = 1 ]
    bpe-encode -m "$M" < /dev/null | bpe-decode -m "$M" | cmp - /dev/null
}

@test "bpe-decode: output files, full disk, cut pipe" {
    yes "an armchair" | head -200000 | bpe-encode -m "$M" > c.tok
    echo old > o
    bpe-decode -m "$M" -o o c.tok
    [ "$(wc -l < o)" = 200000 ]
    run bash -c 'bpe-decode -m "$M" c.tok > /dev/full'
    [ "$status" = 1 ]
    [[ "$output" == "bpe-decode: stdout: "*"No space left on device" ]]
    run bpe-decode -m "$M" -o /dev/full c.tok
    [ "$status" = 1 ]
    run cut_pipe bpe-decode -m "$M" c.tok
    [ "$status" = 141 ]
    run bash -c 'bpe-decode -m "$M" c.tok | head -1'
    [ "$output" = "an armchair" ]
}

@test "bpe-decode: called wrongly" {
    for options in '' "-m $M --nonsense" "-m $M a b"; do
        run bpe-decode $options
        [ "$status" = 2 ]
        [[ "$output" == "bpe-decode: "* ]]
    done
    run bpe-decode --help
    [ "$status" = 0 ]
}
