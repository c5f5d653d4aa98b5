#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load cut_pipe

setup() {
    cd "$BATS_TEST_TMPDIR"
    export M="$ROOT/formats/good/tokenizer-dalle.json"
}

ids() { # key:ids of each record
    bpe-encode -m "$M" "$@" | tok-dump | jq -r 'select(has("key")) | .key + ":" + (.text | map(tostring) | join(","))'
}

@test "bpe-encode: a caption a line, from a file, a pipe and -" {
    printf 'An armchair,\n\nan\r\n42 an' > c.txt
    printf '%s\n' 1:256,220,267,264,11 2: 3:256 4:19,17,220,256 > want
    ids c.txt | cmp - want
    ids < c.txt | cmp - want
    cat c.txt | ids - | cmp - want
    echo an | ids c.txt - | tail -1 | cmp - <(echo 5:256)
}

@test "bpe-encode: the header says what made it" {
    bpe-encode -m "$M" --slots 77 < /dev/null | tok-dump | jq -e '.kind == "text" and .text_vocab == 268 and
        .text_slots == 77 and .text_digest == "5e24356db178127f9733aba5c50dc3a73bb96d48cbedea81a21db9d2d869e222" and
        (.provenance | length) == 1 and (.provenance[0] | startswith("bpe-encode "))'
    bpe-encode -m "$M" < /dev/null > empty.tok
    tok-check empty.tok
}

@test "bpe-encode: each good file is read, each bad one refused with its reason" {
    for file in "$ROOT"/formats/good/tokenizer-*.json; do
        echo "an armchair" | bpe-encode -m "$file" | bpe-decode -m "$file" | cmp - <(echo "an armchair")
    done
    for file in "$ROOT"/formats/bad/tokenizer-*.json; do grep -q "^$(basename "$file"): " "$ROOT/formats/bad/tokenizer.expect"; done
    grep -v '^#' "$ROOT/formats/bad/tokenizer.expect" | while IFS= read -r line; do
        run bpe-encode -m "$ROOT/formats/bad/${line%%: *}" < /dev/null
        [ "$status" = 1 ]
        [[ "$output" == "bpe-encode: $ROOT/formats/bad/${line%%: *}: "*"${line#*: }"* ]] || { echo "$line | $output"; false; }
    done
    size=$(wc -c < "$M")
    for cut in 0 1 100 $((size / 2)) $((size - 3)); do
        head -c "$cut" "$M" > cut.json
        run bpe-encode -m cut.json < /dev/null
        [ "$status" = 1 ]
    done
    run bpe-encode -m /nowhere.json < /dev/null
    [ "$status" = 1 ]
    [ "$output" = "bpe-encode: /nowhere.json: cannot open: No such file or directory" ]
}

@test "bpe-encode: merges as strings and as pairs give the same ids and the same digest" {
    echo "an armchair" | bpe-encode -m "$ROOT/formats/good/tokenizer-gpt2.json" | tok-dump | jq 'del(.provenance)' > one
    echo "an armchair" | bpe-encode -m "$ROOT/formats/good/tokenizer-hf-arrays.json" | tok-dump | jq 'del(.provenance)' > two
    cmp one two
}

@test "bpe-encode: added texts of others' files are one id each, the longest and earliest, and decode to normalised text" {
    M="$ROOT/formats/good/tokenizer-added.json"
    printf '%s\n' 'an<|endoftext|>an' '<|ENDOFTEXT|>' '<|END|><|end|>' '[A b][a b]' $'e\u0301!' '<|endoftext|' > c.txt
    python3 "$ROOT/tests/reference/tokenizer_read.py" encode "$M" < c.txt > want
    ids c.txt | cut -d: -f2 | tr , ' ' | cmp - want
    [ "$(sed -n 1p want)" = "256 268 256" ]
    [ "$(sed -n 3p want)" = "269 269" ]
    [[ "$(sed -n 4p want)" == "270 "* ]]
    [ "$(sed -n 5p want)" = "271" ]
    bpe-encode -m "$M" c.txt > c.tok
    bpe-decode -m "$M" c.tok | cmp - <(printf '%s\n' 'an<|endoftext|>an' '<|endoftext|>' '<|end|><|end|>' '[A b][a b]' 'é!' '<|endoftext|')
    [ "$(tok-dump c.tok | head -1 | jq -r .text_digest)" = "$(python3 "$ROOT/tests/reference/tokenizer_read.py" digest "$M")" ]
    printf 'an<|endoftext|>a\303' > bad.txt
    run bpe-encode -m "$M" -o x.tok bad.txt
    [ "$status" = 1 ]
    [ "$output" = "bpe-encode: bad.txt: line 1: not UTF-8 at byte 16" ]
}

@test "bpe-encode: keys" {
    printf 'k1\tan\tan\n\303\251\tan\n' | ids --keyed | cmp - <(printf 'k1:256,197,256\n\303\251:256\n')
    printf 'ok\tan\nan\n' > c.tsv
    run bpe-encode -m "$M" --keyed -o x.tok c.tsv
    [ "$status" = 1 ]
    [ "$output" = "bpe-encode: c.tsv: line 2: no tab between key and caption" ]
    [ ! -e x.tok ]
    { printf '\tno key\n'; printf 'a\001b\tcontrol\n'; printf '\377\tnot UTF-8\n'; head -c 5000 /dev/zero | tr '\0' k; printf '\tlong\nok\tan\n'; } > c.tsv
    bpe-encode -m "$M" --keyed -k --rejects r.jsonl c.tsv 2> words | tok-dump | jq -e 'select(has("key")) | .key == "ok"'
    [ "$(cat words)" = "bpe-encode: 4 records left out" ]
    [ "$(wc -l < r.jsonl)" = 4 ]
}

@test "bpe-encode: captions of one key that follow each other are its variants, and none is lost in a shard" {
    printf 'a\tan\na\tanan\nb\tan\na\tn\nb\tn\nb\ta\n' > c.tsv
    bpe-encode -m "$M" --keyed c.tsv | tok-dump | jq -r 'select(has("key")) | .key + (.variant | tostring)' | paste -sd' ' > got
    [ "$(cat got)" = "a0 a1 b0 a0 b0 b1" ]
    printf 'a\tan\na\t%s\na\tn\n' "$(head -c 5000 /dev/zero | tr '\0' ' ')" > c.tsv # one is left out: no gap
    bpe-encode -q -m "$M" --keyed -k --long drop c.tsv | tok-dump | jq -s -e 'map(.variant) == [null, 0, 1]'
    printf 'a\tan\na\tanan\nb\tan\n' | bpe-encode -m "$M" --keyed > text.tok
    { echo '{"armchair":"tok","kind":"image","image_vocab":512,"grid":[1,1]}'
        for key in b a; do for v in 0 1 2; do echo '{"key":"'$key'","variant":'$v',"image":['$v']}'; done; done; } | tok-load > image.tok
    shard-pack --text text.tok --image image.tok | tok-dump | jq -rs 'map(select(has("key"))) | map(.key + (.variant | tostring)) | sort | join(" ")' > got
    [ "$(cat got)" = "a0 a1 a2 a3 a4 a5 b0 b1 b2" ]
}

@test "bpe-encode: pair archives" {
    mkdir p
    echo an > p/0001.txt
    echo '{"caption": "an\nan"}' > p/0002.json
    echo x > p/0003.png
    tar cf p.tar -C p 0001.txt 0002.json
    ids p.tar | cmp - <(printf '%s\n' 0001:256 0002:256,198,256)
    ids --pairs < p.tar | head -1 | cmp - <(echo 0001:256)
    ids -k p 2> words | wc -l | grep -qx 2
    [ "$(cat words)" = "bpe-encode: 1 records left out" ]
    run bash -c 'bpe-encode -m "$M" p > /dev/null'
    [ "$status" = 1 ]
    [[ "$output" == "bpe-encode: p: 0003: "* ]]
}

@test "bpe-encode: long captions are cut, left out, or an error" {
    printf '123\n12345\n' > c.txt
    ids --slots 4 c.txt 2> words | cmp - <(printf '%s\n' 1:16,17,18 2:16,17,18)
    [ "$(cat words)" = "bpe-encode: 1 captions of more than 3 tokens were cut" ]
    ids --slots 4 --long drop --rejects r.jsonl c.txt 2> words | cmp - <(echo 1:16,17,18)
    [ "$(cat words)" = "bpe-encode: 1 captions of more than 3 tokens were left out" ]
    jq -e '.key == "2" and .reason == "5 tokens, 3 fit"' r.jsonl
    run bpe-encode -m "$M" --slots 4 --long error -o x.tok c.txt
    [ "$status" = 1 ]
    [ "$output" = "bpe-encode: c.txt: line 2: 5 tokens, 3 fit" ]
    ids --slots 4 --long error -k c.txt 2> words | wc -l | grep -qx 1
    [ "$(cat words)" = "bpe-encode: 1 records left out" ]
    ids --slots 1 c.txt 2> /dev/null | cmp - <(printf '1:\n2:\n')
}

@test "bpe-encode: --summary counts, once all is done" {
    printf '123\n12345\n\377\n' > c.txt
    counts() {
        bpe-encode -q -k -m "$M" --slots 4 --summary s.json -o x.tok "$@" c.txt
        jq -r '[.program, .records, .written, .left_out, .cut, (.seconds | . >= 0 and . < 60)] | @tsv' s.json
    }
    [ "$(counts)" = $'bpe-encode\t3\t2\t1\t1\ttrue' ]
    [ "$(counts --long drop)" = $'bpe-encode\t3\t1\t2\t0\ttrue' ]
    rm s.json
    run bpe-encode -m "$M" --summary s.json -o x.tok c.txt
    [ "$status" = 1 ]
    [ ! -e s.json ]
    run bpe-encode -k -m "$M" --summary /dev/full -o x.tok c.txt
    [ "$status" = 1 ]
    [[ "$output" == *"/dev/full: "* ]]
}

@test "bpe-encode: captions that are not UTF-8 stop it, or are left out with -k" {
    printf 'an\nan \303\nan\n' > c.txt
    run bpe-encode -m "$M" -o x.tok c.txt
    [ "$status" = 1 ]
    [ "$output" = "bpe-encode: c.txt: line 2: not UTF-8 at byte 3" ]
    ids -k --rejects r.jsonl c.txt 2> words | cmp - <(printf '%s\n' 1:256 3:256)
    [ "$(cat words)" = "bpe-encode: 1 records left out" ]
    jq -e '.source == "c.txt" and .key == "2" and .reason == "not UTF-8 at byte 3"' r.jsonl
}

@test "bpe-encode: dropout is drawn afresh for each occurrence, the same for the same seed and key" {
    for i in $(seq 200); do echo "armchair armchair avocado"; done > c.txt
    ids --dropout 0.3 --seed 1 c.txt > one
    ids --dropout 0.3 --seed 1 c.txt | cmp - one
    ! ids --dropout 0.3 --seed 2 c.txt | cmp -s - one
    [ "$(cut -d: -f2 one | sort -u | wc -l)" -gt 50 ]
    tail -50 c.txt | nl -w 1 -v 151 | ids --keyed --dropout 0.3 --seed 1 | cmp - <(tail -50 one) # alone or among others
    bpe-encode -m "$M" --dropout 0.3 c.txt | bpe-decode -m "$M" | cmp - c.txt
    ids --dropout 0 --seed 3 c.txt | cmp - <(ids c.txt)
}

@test "bpe-encode: the same ids as the description in plain Python" {
    read_py() { python3 "$ROOT/tests/reference/tokenizer_read.py" "$@"; }
    read_py lines 2000 > c.txt
    for split in dalle gpt2; do
        bpe-train -q --vocab 900 --split $split c.txt > t.json
        bpe-encode -m t.json --slots 4000 c.txt > t.tok
        tok-dump t.tok | jq -r 'select(has("key")) | .text | map(tostring) | join(" ")' > ids
        read_py encode t.json < c.txt | cmp - ids
        [ "$(read_py digest t.json)" = "$(tok-dump t.tok | head -1 | jq -r .text_digest)" ]
        jq --slurpfile a "$ROOT/formats/good/tokenizer-added.json" '(.model.vocab | length) as $n |
            .added_tokens = ($a[0].added_tokens | to_entries | map(.value + {id: ($n + .key)}))' t.json > added.json
        bpe-encode -m added.json --slots 4000 c.txt | tok-dump | jq -r 'select(has("key")) | .text | map(tostring) | join(" ")' > ids
        read_py encode added.json < c.txt | cmp - ids
        grep -q "$(jq '.added_tokens[0].id' added.json)" ids
    done
}

@test "bpe-encode: lines of a megabyte, in constant memory" {
    head -c 1000000 /dev/zero | tr '\0' a > a.txt
    [ "$(timeout 20 bpe-encode -m "$M" --slots 65536 --long drop a.txt 2>&1 | tok-dump | grep -c key)" = 0 ]
    yes "an armchair in the shape of an avocado" | head -100000 > many.txt
    if (ulimit -v 200000 && bpe-encode --version) > /dev/null 2>&1; then # not under a sanitizer
        (ulimit -v 200000; bpe-encode -m "$M" many.txt) | tok-check -
    fi
}

@test "bpe-encode: output files, full disk, cut pipe, terminal" {
    echo old > o.tok
    echo an | bpe-encode -m "$M" -o o.tok
    tok-check o.tok
    run bash -c 'echo an | bpe-encode -m "$M" > /dev/full'
    [ "$status" = 1 ]
    [[ "$output" == "bpe-encode: stdout: "*"No space left on device" ]]
    run bash -c 'echo an | bpe-encode -m "$M" -o /dev/full'
    [ "$status" = 1 ]
    run cut_pipe bpe-encode -m "$M" <(yes "an armchair" | head -300000)
    [ "$status" = 141 ]
    run bpe-encode -m "$M" -o x.tok nowhere.txt
    [ "$status" = 1 ]
    [ ! -e x.tok ]
    [ "$output" = "bpe-encode: nowhere.txt: cannot open: No such file or directory" ]
}

@test "bpe-encode: called wrongly" {
    for options in '' "-m $M --slots 0" "-m $M --long short" "-m $M --dropout 1" "-m $M --dropout nan" "-m $M --nonsense"; do
        run bash -c "echo an | bpe-encode $options"
        [ "$status" = 2 ]
        [[ "$output" == "bpe-encode: "* ]]
    done
    run bpe-encode --help
    [ "$status" = 0 ]
}
