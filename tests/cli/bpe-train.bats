#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load cut_pipe

setup() {
    cd "$BATS_TEST_TMPDIR"
    printf '%s\n' 'an armchair in the shape of an avocado' 'an armchair imitating an avocado' > captions.txt
}

@test "bpe-train: the vocabularies of formats/good, from a file, a pipe and -" {
    for how in 'bpe-train --vocab 268 captions.txt' 'bpe-train --vocab 268 < captions.txt' 'cat captions.txt | bpe-train --vocab 268 -'; do
        bash -c "$how" > t.json
        cmp t.json "$ROOT/formats/good/tokenizer-dalle.json"
    done
    bpe-train --vocab 268 --split gpt2 captions.txt | cmp - "$ROOT/formats/good/tokenizer-gpt2.json"
    head -c 10 t.json # prose: it is text
}

@test "bpe-train: several files, order and threads change nothing" {
    head -1 captions.txt > a
    tail -1 captions.txt > b
    bpe-train -j 3 --vocab 268 b a | cmp - "$ROOT/formats/good/tokenizer-dalle.json"
    bpe-train -j 1 --vocab 268 - b < a | cmp - "$ROOT/formats/good/tokenizer-dalle.json"
}

@test "bpe-train: too few words make a smaller vocabulary and a line about it" {
    run bash -c 'bpe-train captions.txt 2>&1 > t.json'
    [ "$status" = 0 ]
    [ "$output" = "bpe-train: stopped at 271 of 16384 tokens: no further pair occurs 2 times" ]
    [ "$(jq '.model.vocab | length' t.json)" = 271 ]
    run bash -c 'bpe-train -q --min-count 1000000 captions.txt 2>&1 > t.json'
    [ -z "$output" ]
    [ "$(jq '.model.merges | length' t.json)" = 0 ]
    bpe-encode -m t.json captions.txt > /dev/null
    run bash -c "printf '\n\n' | bpe-train 2>&1 > t.json" # captions without words
    [ "$status" = 0 ]
    [ "$(jq '.model.vocab | length' t.json)" = 256 ]
}

@test "bpe-train: pair archives, from a file and a pipe" {
    mkdir p
    while IFS= read -r line; do n=$((n + 1)); echo "$line" > p/$n.txt; echo x > p/$n.png; done < captions.txt
    tar cf p.tar --sort=name -C p .
    bpe-train --vocab 268 p.tar | cmp - "$ROOT/formats/good/tokenizer-dalle.json"
    bpe-train --vocab 268 p | cmp - "$ROOT/formats/good/tokenizer-dalle.json"
    bpe-train --vocab 268 --pairs - < p.tar | cmp - "$ROOT/formats/good/tokenizer-dalle.json"
}

@test "bpe-train: keyed and escaped lines" {
    paste <(printf 'k1\nk2\n') captions.txt > keyed.tsv
    bpe-train --vocab 268 --keyed keyed.tsv | cmp - "$ROOT/formats/good/tokenizer-dalle.json"
    printf 'ab\\ncd\nab\\ncd\n' | bpe-train --escaped | jq -e '.model.merges == ["a b", "c d"]'
}

@test "bpe-train: empty input" {
    run bash -c ': | bpe-train'
    [ "$status" = 1 ]
    [ "$output" = "bpe-train: no captions to learn from" ]
}

@test "bpe-train: captions that are not UTF-8 stop it, or are left out with -k" {
    printf 'an armchair\n\377\nan avocado\n' > bad.txt
    run bpe-train bad.txt
    [ "$status" = 1 ]
    [ "$output" = "bpe-train: bad.txt: line 2: not UTF-8 at byte 0" ]
    bpe-train -k --rejects r.jsonl bad.txt > t.json 2> words
    [ "$(tail -1 words)" = "bpe-train: 1 records left out" ]
    [ "$(jq -r '[.source, .key, .reason] | @tsv' r.jsonl)" = $'bad.txt\t2\tnot UTF-8 at byte 0' ]
    grep -v $'\377' -a bad.txt | bpe-train -q | cmp - t.json
    printf 'no tab\nk\tword word\n' > k.tsv
    run bpe-train --keyed k.tsv
    [ "$output" = "bpe-train: k.tsv: line 1: no tab between key and caption" ]
}

@test "bpe-train: output files, full disk, cut pipe, missing input" {
    echo old > t.json
    bpe-train --vocab 268 -o t.json captions.txt
    cmp t.json "$ROOT/formats/good/tokenizer-dalle.json"
    [ "$(ls | grep -c tmp)" = 0 ]
    run bash -c 'bpe-train -q captions.txt > /dev/full'
    [ "$status" = 1 ]
    [[ "$output" == "bpe-train: stdout: "*"No space left on device" ]]
    run bpe-train -q -o /dev/full captions.txt
    [ "$status" = 1 ]
    run cut_pipe bpe-train -q captions.txt
    [ "$status" = 141 ]
    run bpe-train nowhere.txt
    [ "$status" = 1 ]
    [ "$output" = "bpe-train: nowhere.txt: cannot open: No such file or directory" ]
    run bpe-train -o no/such/folder captions.txt
    [ "$status" = 1 ]
}

@test "bpe-train: called wrongly" {
    for options in '--vocab 255' '--vocab 65537' '--vocab x' '--split words' '--min-count 0' '--nonsense' '-j -1'; do
        run bpe-train $options captions.txt
        [ "$status" = 2 ]
        [[ "$output" == "bpe-train: "* ]]
    done
    run bpe-train --help
    [ "$status" = 0 ]
    run bpe-train --version
    [ "$output" = "bpe-train (Armchair) 0.1" ]
}
