#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Pair archives of our programs, read by a reader that was written after formats/pairs.md and knows nothing else.

setup() {
    cd "$BATS_TEST_TMPDIR"
    read="$ROOT/tests/reference/pairs_read.py"
}

@test "pairs: what shapes-make writes, others read, from a file and a pipe" {
    shapes-make --count 20 --size 16 --seed 3 > pairs.tar
    shapes-make --count 20 --size 16 --seed 3 --captions --keyed > captions.tsv
    python3 "$read" pairs.tar > file.jsonl
    python3 "$read" - < pairs.tar | cmp - file.jsonl
    jq -r '[.key, .caption] | @tsv' file.jsonl | cmp - captions.tsv
    jq -es 'length == 20 and all(.picture_ext == "png")' file.jsonl
    shapes-make --count 20 --size 16 --seed 3 | cmp - pairs.tar
}

@test "pairs: the examples, as the page says" {
    cd "$ROOT"
    for source in formats/good/pairs.tar formats/good/pairs.tar.gz formats/good/pairs.zip; do
        run python3 "$read" "$source"
        [ "$status" = 0 ]
        [ "$(jq -r '.key + "|" + .caption + "|" + .picture_ext' <<<"$output")" = \
            $'0001|a red square|png\nsub/0002|an é in grey|pgm\nsub.d/0003|no line end|png\n椅子||png' ]
    done
    [ -z "$(python3 "$read" formats/good/pairs-empty.tar)" ]
    [ "$(python3 "$read" @formats/good/pairs.tsv | jq -r .caption)" = $'a red square\nan é in grey' ]
    [ "$(python3 "$read" @formats/good/pairs-rejects.jsonl | jq -r .key)" = \
        $'0001\nsub.d/0003\nformats/good/pictures/red' ]
}
