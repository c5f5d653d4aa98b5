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

@test "bpe-train: the same file for any threads and memory, when words go to disk too" {
    awk 'BEGIN { srand(5); for (i = 0; i < 15000; i++) { line = ""
        for (j = 0; j < 12; j++) { w = ""; n = 3 + int(7 * rand()); for (k = 0; k < n; k++) w = w substr("eatoinsrhldcumfpgwyb", 1 + int(20 * rand() * rand()), 1)
            line = line w " " } print line } }' > many.txt
    bpe-train -q -j 2 --memory 1GiB --vocab 1000 many.txt > t.json
    mkdir runs
    for how in '-j 1 --memory 32MiB' '-j 3 --memory 32MiB' '-j 200 --memory 32MiB'; do # the last: tables of 80 KiB
        TMPDIR=$PWD/runs bpe-train -q $how --vocab 1000 many.txt | cmp - t.json
    done
    [ "$(ls runs | wc -l)" = 0 ]
    run env TMPDIR=/no/such/folder bpe-train -q many.txt
    [ "$status" = 1 ]
    [ "$output" = "bpe-train: /no/such/folder: cannot create a file: No such file or directory" ]
}

@test "bpe-train: counted on many machines, then merged, is learnt in one go" {
    for i in 1 2 3; do awk -v i=$i 'NR % 3 == i - 1' "$ROOT/README.md" > part.$i; done
    bpe-train -q -k --vocab 700 part.? > want.json
    for i in 1 2 3; do bpe-train --count -o $i.words part.$i; done
    bpe-train -q --merge --vocab 700 ?.words | cmp - want.json
    bpe-train --merge --count 1.words 3.words -o 13.words
    bpe-train --merge --vocab 700 2.words - < 13.words | cmp - want.json
    bpe-train --count part.? | cmp - <(bpe-train --merge --count ?.words)
    [ "$(tail -1 13.words | cut -f3)" = "$(cat part.1 part.3 | wc -l)" ]
    LC_ALL=C sort -c -k 2 <(sed '1d;$d' 13.words)
    for i in $(seq 70); do echo "word$i an armchair" | bpe-train --count -o many.$i; done # more than are read at once
    bpe-train --merge --count many.* | grep -c . | grep -qx 5
    bpe-train --merge --count many.* | grep -qx $'70\tarmchair'
    bpe-train --merge --count many.* | grep -qxP 'end\t3\t70\t[0-9a-f]{8}'
}

@test "bpe-train: files of words are those of formats/words.md, and a reader from the page agrees" {
    good="$ROOT/formats/good"
    printf 'An armchair\nan avocado caf\303\251\n' | bpe-train --count | cmp - "$good/words-dalle.words"
    printf '%s' '{"caption": "it\u0027s it\u0027s\n\n\n\t\tA \\\\ \u0001\u0001 \u00c9\u0301\ud83e\udd51"}' > a.json
    tar cf a.tar a.json
    bpe-train --count --split gpt2 a.tar | cmp - "$good/words-gpt2.words"
    bpe-train --count --split gpt2 -k "$ROOT"/tests/cli/*.bats "$ROOT"/formats/*.md > own.words
    bpe-train --count --split gpt2 -k "$ROOT"/lib/text/*.c > other.words
    for file in "$good"/words-*.words own.words; do
        bpe-train --merge --count "$file" | cmp - "$file"
        python3 "$ROOT/tests/reference/words_read.py" "$file" | cmp - "$file"
    done
    python3 "$ROOT/tests/reference/words_read.py" own.words other.words "$good/words-gpt2.words" |
        cmp - <(bpe-train --merge --count own.words other.words "$good/words-gpt2.words")
}

@test "bpe-train: files of words that are cut, damaged or of another rule are refused" {
    good="$ROOT/formats/good"
    for file in "$ROOT"/formats/bad/words-*.words; do grep -q "^$(basename "$file"): " "$ROOT/formats/bad/words.expect"; done
    grep -v '^#' "$ROOT/formats/bad/words.expect" | while IFS= read -r line; do
        run bpe-train --merge --count "$ROOT/formats/bad/${line%%: *}"
        [ "$status" = 1 ]
        [[ "$output" == "bpe-train: $ROOT/formats/bad/${line%%: *}: "*"${line#*: }"* ]] || { echo "$line | $output"; false; }
        run python3 "$ROOT/tests/reference/words_read.py" "$ROOT/formats/bad/${line%%: *}"
        [ "$status" = 1 ] && [[ "$output" == "words_read.py: refused: "* ]] || { echo "$line | $output"; false; }
    done
    size=$(wc -c < "$good/words-dalle.words")
    for cut in $(seq 0 $((size - 1))); do
        head -c "$cut" "$good/words-dalle.words" > cut.words
        run bpe-train --merge -o t.json cut.words
        [ "$status" = 1 ]
        [ ! -e t.json ]
    done
    run bpe-train --merge "$good/words-dalle.words" "$good/words-gpt2.words"
    [ "$status" = 1 ]
    [ "$output" = "bpe-train: $good/words-gpt2.words: words of split rule gpt2 nfc lower, the others are of dalle nfc lower" ]
    run bpe-train --merge --split gpt2 "$good/words-dalle.words"
    [ "$status" = 1 ]
    : | bpe-train --count | bpe-train --merge --count | grep -qx $'end\t0\t0\t[0-9a-f]*'
    run bash -c ': | bpe-train --count | bpe-train --merge'
    [ "$status" = 1 ]
    [ "$output" = "bpe-train: no captions to learn from" ]
}

@test "bpe-train: rare words can be left out" {
    printf 'abx aby cd cd\n' > c.txt
    bpe-train -q --min-count 1 --min-word 2 c.txt > t.json
    jq -e '.model.merges == ["c d"]' t.json
    bpe-train --count c.txt > c.words
    bpe-train -q --min-count 1 --min-word 2 --merge c.words | cmp - t.json
}

@test "bpe-train: memory does not grow with the input" {
    (ulimit -v 120000 && bpe-train --version) > /dev/null 2>&1 || skip "not under a sanitizer"
    # 2 million distinct words are 66 MB in one table
    awk 'BEGIN { for (i = 0; i < 2000000; i++) { n = i; w = "q"; while (n > 0) { w = w substr("abcdefghijklmnop", 1 + n % 16, 1); n = int(n / 16) }
        printf "%s%s", w, i % 20 ? " " : "\n" } }' > many.txt
    limit() { (ulimit -v 120000; OMP_NUM_THREADS=1 bpe-train -q -j 1 "$@"); }
    limit --memory 32MiB --count many.txt > 1.words
    tail -1 1.words | cut -f2 | grep -qx 1999999
    run limit --memory 256MiB --count many.txt
    [ "$status" = 1 ]
    [[ "$output" == "bpe-train: no memory for "* ]]
    limit --merge --count 1.words 1.words 1.words | tail -1 | cut -f2 | grep -qx 1999999
    limit --merge --min-word 4 --vocab 300 1.words 1.words 1.words > t.json
    jq -e '.model.merges == []' t.json
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
    for options in '--vocab 255' '--vocab 65537' '--vocab x' '--split words' '--min-count 0' '--nonsense' '-j -1' '--memory 1MiB' '--min-word 0' '--merge --keyed' \
        '--merge -k' '--merge --pairs' '--count --min-word 2'; do
        run bpe-train $options captions.txt
        [ "$status" = 2 ]
        [[ "$output" == "bpe-train: "* ]]
    done
    run bpe-train --help
    [ "$status" = 0 ]
    run bpe-train --version
    [ "$output" = "bpe-train (Armchair) 0.1" ]
}
