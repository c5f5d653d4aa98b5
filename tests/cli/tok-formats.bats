#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# formats/tok.md and formats/shard.md: the kept examples, and readers and a writer that know nothing but these pages.
bats_require_minimum_version 1.5.0
load tok_make

setup() {
    cd "$BATS_TEST_TMPDIR"
    reference="python3 $ROOT/tests/reference"
}

@test "the kept examples are what the reference writer makes" {
    $reference/tok_make.py made
    for folder in good bad; do
        for file in made/$folder/*; do cmp "$file" "$ROOT/formats/$folder/${file##*/}"; done
    done
}

@test "good examples round-trip byte for byte, and both readers agree" {
    $reference/tok_make.py made
    files=(made/good/* made/large/*)
    for file in "${files[@]}"; do tok-dump "$file" | tok-load | cmp - "$file"; done
    tok-check --sum "${files[@]}" | head -n -1 | sed 's/.*: ok, \([0-9]* records\).*\(, sum .*\)/\1\2/' >ours
    $reference/tok_read.py --sum "${files[@]}" | cmp - ours
    [ "$(wc -l <ours)" = ${#files[@]} ]
    for file in tok-pairs.tok shard-pairs.shard; do $reference/tok_read.py made/good/$file | cmp - <(tok-dump made/good/$file); done
}

@test "bad examples are refused with the expected words, by the reference reader too" {
    cd "$ROOT/formats/bad"
    mapfile -t files < <(cut -f1 tok.expect)
    tok-check "${files[@]}" 2>"$BATS_TEST_TMPDIR/why" >/dev/null || [ $? = 1 ]
    [ "$(wc -l <"$BATS_TEST_TMPDIR/why")" = ${#files[@]} ]
    while IFS=$'\t' read -r file words && read -r message <&3; do
        if [[ "$message" != *"$file"*"$words"* ]]; then echo "$file: '$words' is not in '$message'"; return 1; fi
    done <tok.expect 3<"$BATS_TEST_TMPDIR/why"
    $reference/tok_read.py --sum "${files[@]}" >"$BATS_TEST_TMPDIR/said"
    [ "$(grep -c '^refused: ' "$BATS_TEST_TMPDIR/said")" = ${#files[@]} ]
}

@test "the reference readers read what our programs write" {
    tokens text 0 5500 >text.tok
    tokens image 0 5500 >image.tok
    shard-pack --text text.tok --image image.tok -o pairs.shard
    tok-dump pairs.shard >lines
    $reference/tok_read.py text.tok | cmp - <(tok-dump text.tok)
    $reference/tok_read.py pairs.shard | cmp - lines
    cat pairs.shard pairs.shard >two.shard
    [ "$(tok-check --sum two.shard | grep -o 'sum .*')" = "$($reference/tok_read.py --sum two.shard | grep -o 'sum .*')" ]
    $reference/shard_read.py pairs.shard | cmp - <(tail -n +2 lines)
    $reference/shard_read.py pairs.shard 5499 0 3000 | cmp - <(for i in 5501 2 3002; do sed -n ${i}p lines; done)
    run ! $reference/shard_read.py two.shard
}
