#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load prior_make
load cut_pipe

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR world
    train -q -o run --steps 150 --lr 5e-3 train.shard
}
setup() {
    cd "$BATS_TEST_TMPDIR"
    ln -s "$BATS_FILE_TMPDIR"/{run,*.shard,*.json,*.tok} .
}

sample() { prior-sample -j 1 -m run "$@"; }
records() { tok-dump "$@" | tail -n +2; }

@test "prior-sample: a caption from a pipe, candidates in order" {
    echo "a red circle" | bpe-encode -m tokenizer.json | sample -n 5 --seed 7 >out.tok
    tok-check -q out.tok
    [ "$(tok-dump --header out.tok | jq -c '[.kind, .image_vocab, .grid, .image_digest]')" = '["image",16,[4,4],"'"$(digest_of 1)"'"]' ]
    tok-dump --header out.tok | jq -e '.provenance | map(split(" ")[0]) == ["bpe-encode", "prior-sample"]'
    [ "$(records out.tok | jq -c '[.key, .variant]' | tr '\n' ' ')" = '["1",0] ["1",1] ["1",2] ["1",3] ["1",4] ' ]
    [ "$(records out.tok | jq -c .image | sort -u | wc -l)" -gt 1 ]
}

@test "prior-sample: keys keep their order; - and a file are the same as stdin" {
    sample text.tok >a.tok
    sample - <text.tok >b.tok
    sample <text.tok -o c.tok
    cmp a.tok b.tok && cmp b.tok c.tok
    [ "$(tok-dump --keys a.tok)" = "$(tok-dump --keys text.tok)" ]
}

@test "prior-sample: a picture is the same alone and in any batch, on any number of threads" {
    records text.tok | head -6 | sed '1e tok-dump --header text.tok' | tok-load >some.tok
    sample -n 5 --seed 3 some.tok | records >whole
    for batch in 1 4 7 32; do sample -n 5 --seed 3 --batch $batch some.tok | records | cmp - whole; done
    sample -n 5 --seed 3 -j 3 some.tok | records | cmp - whole
    sample -n 2 --seed 3 some.tok | records >two
    jq -c 'select(.variant < 2)' whole | cmp - two
    records text.tok | sed -n 4p | sed '1e tok-dump --header text.tok' | tok-load | sample -n 5 --seed 3 | records >alone
    grep '"k3"' whole | cmp - alone
    ! sample -n 5 --seed 4 some.tok | records | cmp -s - whole
}

@test "prior-sample: --precision: other numbers, the same alone and in any batch" {
    for p in bf16 int8; do
        sample -n 5 --seed 3 --precision $p text.tok | records >whole
        sample -n 5 --seed 3 --precision $p --batch 3 -j 3 text.tok | records | cmp - whole
    done
    sample -n 5 --seed 3 --precision auto text.tok >/dev/null
    run sample --precision int4 text.tok
    [ "$status" -eq 2 ]
}

@test "prior-sample: it has learnt: the true codes are drawn, in any precision" {
    records image.tok >true
    for p in f32 bf16 int8; do
        sample --temperature 0 --precision $p text.tok | records >drawn
        [ "$(jq -n '[inputs] | .[:64] as $a | .[64:] as $b | [range(64) | . as $i | range(16) | select($a[$i].image[.] == $b[$i].image[.])] | length' \
            drawn true)" -gt 700 ]
    done
}

@test "prior-sample: temperature 0 and top-k 1 take the most likely code" {
    sample --temperature 0 --seed 1 text.tok | records >a
    sample --temperature 0 --seed 2 text.tok | records | cmp - a
    sample --top-k 1 --seed 3 text.tok | records | cmp - a
    sample --top-p 0.000001 --seed 4 text.tok | records | cmp - a
}

@test "prior-sample: prompts are kept, by key and one for all" {
    sample -n 2 --prompt image.tok --keep 6 <text.tok >completed.tok
    records completed.tok | jq -c 'select(.variant == 1) | [.key, .image[:6]]' >given
    records image.tok | jq -c '[.key, .image[:6]]' | cmp - given
    sample --prompt image.tok --keep 16 text.tok | records | cmp - <(records image.tok)
    pictures 5 6 1 >one.tok
    sample --prompt one.tok --keep 6 text.tok | records | jq -c '.image[:6]' | sort -u >all
    [ "$(cat all)" = "$(records one.tok | jq -c '.image[:6]')" ]
    pictures 0 9 1 >few.tok
    run sample -o out.tok --prompt few.tok --keep 6 text.tok
    [ "$status" = 1 ]
    [[ "$output" == *"no prompt for key k9"* ]]
    [ ! -e out.tok ]
    captions 2 4 | bpe-encode -m tokenizer.json --keyed >two.tok
    run sample -o out.tok --prompt few.tok --keep 6 two.tok
    [ "$status" = 0 ]
    [ "$output" = "prior-sample: 7 prompts had no caption" ]
}

@test "prior-sample: what was drawn, given as a prompt, is drawn on the same way" {
    sample --seed 9 text.tok >free.tok
    sample --seed 9 --prompt free.tok --keep 5 text.tok | records | cmp - <(records free.tok)
}

@test "prior-sample: other tokenizers and codebooks are refused, both digests named" {
    tok-dump text.tok | sed "1s/\"text_digest\":\"[0-9a-f]*\"/\"text_digest\":\"$(digest_of 7)\"/" | tok-load >other.tok
    run sample -o out.tok other.tok
    [ "$status" = 1 ]
    [[ "$output" == *"$(digest_of 7)"* ]] && [[ "$output" == *"$(tok-dump --header text.tok | jq -r .text_digest)"* ]]
    [ ! -e out.tok ]
    sample --force other.tok | records | cmp - <(sample text.tok | records)
    pictures 0 64 2 >other-image.tok
    run sample -o out.tok --prompt other-image.tok --keep 3 text.tok
    [ "$status" = 1 ]
    [[ "$output" == *"$(digest_of 1)"* ]] && [[ "$output" == *"$(digest_of 2)"* ]]
    sample --force --prompt other-image.tok --keep 3 text.tok | tok-check -q -
}

@test "prior-sample: long captions are cut and counted" {
    echo "a red red red red red red circle" | bpe-encode -m tokenizer.json >long.tok
    run sample -o out.tok long.tok
    [ "$status" = 0 ]
    [ "$output" = "prior-sample: 1 captions were longer than 7 tokens and cut at the right" ]
}

@test "prior-sample: --raw takes the last weights; a checkpoint and a file will do" {
    newest=run/$(cat run/latest)
    sample text.tok | records >mean
    sample --raw text.tok | records >last
    ! cmp -s mean last
    prior-sample -j 1 -m "$newest" text.tok | records | cmp - mean
    prior-sample -j 1 -m "$newest/model.safetensors" text.tok | records | cmp - last
}

@test "prior-sample: an existing output is replaced as a whole" {
    echo old >out.tok
    sample -o out.tok text.tok
    tok-check -q out.tok
    [ "$(ls out.tok*)" = out.tok ]
}

@test "prior-sample: --dry-run" {
    sample --dry-run -n 16 >plan
    for line in parameters "packed weights" "text keys and values" "image keys and values" workspace total; do
        grep -qP "^memory $line\t\d+\tbytes\t" plan
    done
    [ "$(sample --dry-run --batch 64 | awk -F '\t' '/^memory image/ {print $2}')" = \
        $((2 * $(sample --dry-run --batch 32 | awk -F '\t' '/^memory image/ {print $2}'))) ]
}

@test "prior-sample: input that is not captions, or broken, or empty" {
    for bad in image.tok tokenizer.json /dev/null missing; do
        run sample -o out.tok $bad
        [ "$status" = 1 ]
        [[ "$output" == "prior-sample: "* ]]
        [ ! -e out.tok ]
    done
    head -c -3 text.tok >cut.tok
    run sample -o out.tok cut.tok
    [ "$status" = 1 ]
    [ ! -e out.tok ]
    for bad in missing train.shard tokenizer.json .; do
        run prior-sample -m $bad -o out.tok text.tok
        [ "$status" = 1 ]
    done
    tok-dump --header text.tok | tok-load | sample | tok-check -q -
}

@test "prior-sample: a full disk is said, a cut pipe ends it quietly" {
    run bash -c 'prior-sample -q -j 1 -m run text.tok > /dev/full'
    [ "$status" = 1 ]
    [[ "$output" == "prior-sample: "*"No space left"* ]]
    run cut_pipe prior-sample -q -j 1 -m run text.tok
    [ "$status" = 141 ]
}

@test "prior-sample: called wrongly" {
    for wrong in "" "-m run --nothing" "-m run --keep 3" "-m run --prompt image.tok" "-m run --top-p 0" "-m run --temperature -1" \
        "-m run -n 0" "-m run a b" "-m run --keep 17 --prompt image.tok text.tok"; do
        run prior-sample $wrong
        [ "$status" = 2 ]
        [[ "$output" == "prior-sample: "* ]]
    done
    prior-sample --help | grep -q -- --top-k
    prior-sample --version | grep -q Armchair
}
