#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load cut_pipe

setup() {
    cd "$BATS_TEST_TMPDIR"
    shapes-make --split held-out -n 30 --size 32 > true.tar
    shapes-make --split held-out -n 30 --captions --keyed > captions.tsv
}

@test "shapes-judge: true drawings are right, from a file, a pipe and -" {
    for how in 'shapes-judge true.tar' 'shapes-judge < true.tar' 'cat true.tar | shapes-judge -'; do
        run bash -c "$how"
        [ "$status" = 0 ]
        [[ "$output" == "30 pictures, 0 without a drawing: 100.0 % right in all attributes (size 100.0, colour 100.0, "* ]]
    done
}

@test "shapes-judge: a folder, and larger pictures" {
    mkdir f
    shapes-make --split all -n 8 --size 200 | tar xf - -C f
    run shapes-judge --at-least 100 f
    [ "$status" = 0 ]
}

@test "shapes-judge: wrong captions are wrong" {
    sed 's/\ta small/\ta X/; s/\ta large/\ta small/; s/\ta X/\ta large/' captions.tsv > wrong.tsv
    run shapes-judge --captions wrong.tsv true.tar
    [ "$status" = 0 ]
    [[ "$output" == *" 0.0 % right in all attributes (size 0.0, colour 100.0, "* ]]
    run shapes-judge --captions wrong.tsv --at-least 93.3 true.tar
    [ "$status" = 1 ]
    [[ "$output" == *"is less than 93.3 %"* ]]
}

@test "shapes-judge: --json and --each are what they say" {
    shapes-judge --json true.tar | jq -e '.pictures == 30 and .all == 100 and .background == 100 and .unreadable == 0'
    shapes-judge --json --each true.tar > each.jsonl
    [ "$(jq -c 'select(.right)' each.jsonl | wc -l)" = 30 ]
    jq -r 'select(.key) | [.key, .asked] | @tsv' each.jsonl | cmp - captions.tsv
    shapes-judge --each true.tar | grep -v '^#' | cut -f 1,3 | cmp - captions.tsv
    [ "$(shapes-judge --each true.tar | cut -f 2 | grep -c 1)" -ge 30 ]
}

@test "shapes-judge: variants KEY/0000 are judged by the caption of KEY" {
    mkdir -p f/k1/0001 f/k2
    tar xf true.tar
    cp held-out-000001.png f/k1/0000.png
    cp held-out-000001.png f/k1/0001.png
    cp held-out-000002.png f/k2/0000.png
    printf '%s\t%s\n' k1 "$(cat held-out-000001.txt)" k2 "$(cat held-out-000002.txt)" k "$(cat held-out-000003.txt)" > c.tsv
    (cd f && tar cf ../v.tar k1/0000.png k1/0001.png k2/0000.png)
    run shapes-judge --captions c.tsv v.tar
    [ "$status" = 0 ]
    [[ "$output" == "3 pictures, 0 without a drawing: 100.0 %"* ]]
    printf '%s\t%s\n' k1/0001 "$(cat held-out-000002.txt)" >> c.tsv # the longest key wins
    run shapes-judge --captions c.tsv v.tar
    [[ "$output" == "3 pictures, 0 without a drawing: 66.7 %"* ]]
}

@test "shapes-judge: a picture without a drawing counts as wrong" {
    { printf 'P6 32 32 255\n'; head -c 3072 /dev/zero | tr '\0' '\036'; } > k.ppm
    echo "a small red circle in the middle on black" > k.txt
    tar cf x.tar k.ppm k.txt
    run shapes-judge x.tar
    [ "$status" = 0 ]
    [[ "$output" == "1 pictures, 1 without a drawing: 0.0 % right in all attributes (size 0.0, "* ]]
}

@test "shapes-judge: bad records stop it, or are left out with -k" {
    tar xf true.tar
    head -c 100 held-out-000002.png > cut && mv cut held-out-000002.png
    echo "a photo of a cat" > held-out-000004.txt
    tar cf x.tar held-out-00000*
    run shapes-judge x.tar
    [ "$status" = 1 ]
    [[ "$output" == "shapes-judge: x.tar: held-out-000002: PNG: "* ]]
    shapes-judge -k --rejects r.jsonl x.tar > sums 2> words
    [[ "$(cat sums)" == "7 pictures, "* ]]
    [ "$(cat words)" = "shapes-judge: 2 records left out" ]
    [ "$(jq -r .key r.jsonl | tr '\n' ' ')" = "held-out-000002 held-out-000004 " ]
    run shapes-judge --captions captions.tsv -k x.tar
    [[ "$output" == *"8 pictures"* ]]
    sed -i 1d captions.tsv
    run shapes-judge --captions captions.tsv true.tar
    [ "$status" = 1 ]
    [[ "$output" == *"held-out-000001: no caption for this key"* ]]
}

@test "shapes-judge: nothing to judge, and what is no pair source" {
    run bash -c ': | shapes-judge'
    [ "$status" = 1 ]
    run bash -c 'echo "some words, no archive" | shapes-judge'
    [ "$status" = 1 ]
    [[ "$output" == "shapes-judge: "* ]]
    run shapes-judge nowhere.tar
    [ "$status" = 1 ]
    echo "no tab here" > c.tsv
    run shapes-judge --captions c.tsv true.tar
    [ "$status" = 1 ]
    [[ "$output" == *"c.tsv: line 1: "* ]]
    cat captions.tsv captions.tsv > c.tsv
    run shapes-judge --captions c.tsv true.tar
    [[ "$output" == *"two captions for held-out-000001"* ]]
}

@test "shapes-judge: output files, full disk, cut pipe" {
    echo old > o
    shapes-judge --each -o o true.tar
    [ "$(wc -l < o)" = 31 ]
    run bash -c 'shapes-judge true.tar > /dev/full'
    [ "$status" = 1 ]
    [[ "$output" == "shapes-judge: "* ]]
    run shapes-judge -o /dev/full true.tar
    [ "$status" = 1 ]
    run cut_pipe shapes-judge --each true.tar
    [ "$status" = 141 ]
}

@test "shapes-judge: called wrongly" {
    for wrong in "--nothing" "a b" "--at-least 101" "--at-least x"; do
        run shapes-judge $wrong
        [ "$status" = 2 ]
        [[ "$output" == "shapes-judge: "* ]]
    done
}
