#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
load tok_make
load cut_pipe

setup() {
    cd "$BATS_TEST_TMPDIR"
    tokens text 0 100 >text.tok
    tokens image 0 100 >image.tok
}

lines() { tok-dump "$@" | tail -n +2; }

@test "the same records give the same bytes, wherever the inputs lie" {
    mkdir other
    cp text.tok image.tok other/
    shard-pack --text text.tok --image image.tok -o out.shard
    shard-pack --text other/text.tok --image other/image.tok | cmp - out.shard
}

@test "pairs are joined by key, whatever the order" {
    shard-pack --text text.tok --image image.tok -o out.shard
    [ "$(tok-check out.shard)" = "out.shard: ok, 100 records, pair shard" ]
    lines out.shard | jq -se 'all(.[]; (.key[1:] | tonumber) as $n | .text == [range($n % 9) * 7] and .image == [range(6) + $n])'
    [ "$(tok-dump --keys out.shard | sort -u | wc -l)" = 100 ]
    tok-dump --header out.shard | jq -e '.kind == "pair" and .layout == "shard" and .text_slots == 9 and .grid == [2,3]
        and .provenance[0] == "made by hand" and (.provenance[1] | startswith("shard-pack "))'
}

@test "the order is shuffled, depends on the seed, and not on the order of the input" {
    shard-pack --text text.tok --image image.tok -o a.shard
    tok-dump --keys a.shard >a.keys
    if cmp -s a.keys <(tok-dump --keys text.tok); then return 1; fi
    (tok-dump --header text.tok; lines text.tok | tac) | tok-load >tac.tok
    shard-pack --text tac.tok --image image.tok | lines | cmp - <(lines a.shard)
    shard-pack --seed 1 --text text.tok --image image.tok | tok-dump --keys >b.keys
    if cmp -s a.keys b.keys; then return 1; fi
    cmp <(sort a.keys) <(sort b.keys)
}

@test "several inputs, one of them stdin; repacking shards; the same bytes again" {
    tokens text 0 40 >t1.tok
    tokens text 40 100 >t2.tok
    shard-pack --text t1.tok --text t2.tok --image - <image.tok | lines >got
    shard-pack --text text.tok --image image.tok -o all.shard
    cmp got <(lines all.shard)
    shard-pack --text text.tok --image image.tok | cmp - all.shard
    shard-pack --size 30 -o 'part-%03d.shard' all.shard
    [ "$(ls part-*)" = "part-000.shard
part-001.shard
part-002.shard
part-003.shard" ]
    [ "$(tok-dump --count part-003.shard)" = 10 ]
    shard-pack part-*.shard | lines | cmp - <(lines all.shard)
}

@test "a crop for each variant, a caption for each variant: every image meets every text" {
    (tok-dump --header image.tok
        for v in 0 1 2; do echo '{"key":"k","variant":'$v',"image":[1,1,1,1,1,'$v']}'; done) | tok-load >crops.tok
    (tok-dump --header text.tok; echo '{"key":"k","text":[5]}') | tok-load >one.tok
    (tok-dump --header text.tok; echo '{"key":"k","text":[5]}'; echo '{"key":"k","variant":1,"text":[6]}') | tok-load >two.tok
    [ "$(shard-pack --text one.tok --image crops.tok | lines | jq -c '[.variant, .text[0], .image[5]]' | paste -sd' ')" \
        = "[0,5,0] [1,5,1] [2,5,2]" ]
    [ "$(shard-pack --text two.tok --image crops.tok | lines | jq -c '[.variant, .text[0], .image[5]]' | paste -sd' ')" \
        = "[0,5,0] [1,6,0] [2,5,1] [3,6,1] [4,5,2] [5,6,2]" ]
}

@test "variants that cannot be numbered are refused" {
    (tok-dump --header image.tok; echo '{"key":"k","variant":3000000000,"image":[1,1,1,1,1,1]}') | tok-load >crop.tok
    (tok-dump --header text.tok; echo '{"key":"k","variant":1,"text":[5]}') | tok-load >one.tok
    run shard-pack --text one.tok --image crop.tok -o out.shard
    [ "$status" = 1 ]
    [[ "$output" == *"crop.tok: key k: variants too large"* ]]
    (tok-dump --header text.tok; echo '{"key":"k","variant":4294967295,"text":[5]}') | tok-load >last.tok
    run shard-pack -k --text last.tok --image crop.tok -o out.shard
    [ "$status" = 0 ]
    [ "$output" = "shard-pack: 1 records left out" ]
}

@test "a key without partner is named, or with -k left out, listed and counted" {
    tokens text 90 110 >some.tok
    run shard-pack --text some.tok --image image.tok -o out.shard
    [ "$status" = 1 ]
    [[ "$output" =~ (some|image).tok:\ key\ k[0-9]+:\ (text\ without\ image|image\ without\ text) ]]
    [ ! -e out.shard ]
    run shard-pack -k --rejects left.jsonl --summary s.json --text some.tok --image image.tok -o out.shard
    [ "$status" = 0 ]
    [ "$output" = "shard-pack: 100 records left out" ]
    [ "$(tok-dump --count out.shard)" = 10 ]
    [ "$(wc -l <left.jsonl)" = 100 ]
    jq -e '.program == "shard-pack" and .records == 120 and .written == 10 and .left_out == 100 and .shards == 1' s.json
    [ "$(jq -r 'select(.reason == "text without image") | .source' left.jsonl | sort | uniq -c | tr -s ' ')" = " 10 some.tok" ]
}

@test "a key and variant that comes twice" {
    run shard-pack --text text.tok --text text.tok --image image.tok -o out.shard
    [ "$status" = 1 ]
    [[ "$output" == *"a second time"* ]]
    run shard-pack -k --text text.tok --text text.tok --image image.tok --image image.tok -o out.shard
    [ "$output" = "shard-pack: 200 records left out" ]
    shard-pack --text text.tok --image image.tok | lines | cmp - <(lines out.shard)
    run shard-pack -k out.shard out.shard -o twice.shard
    [ "$output" = "shard-pack: 100 records left out" ]
    cmp <(lines twice.shard) <(lines out.shard)
}

@test "--val splits by key, whatever the seed; a larger share holds a smaller one" {
    for s in 1 2; do
        shard-pack --seed $s --text text.tok --image image.tok -o t$s.shard --val 0.2 --val-output v$s.shard
        tok-dump --keys v$s.shard | sort >v$s.keys
    done
    cmp v1.keys v2.keys
    n=$(wc -l <v1.keys)
    [ "$n" -gt 5 ] && [ "$n" -lt 40 ]
    [ "$(cat <(tok-dump --keys t1.shard) v1.keys | sort -u | wc -l)" = 100 ]
    shard-pack --text text.tok --image image.tok -o t3.shard --val 0.5 --val-output v3.shard
    [ -z "$(comm -23 v1.keys <(tok-dump --keys v3.shard | sort))" ]
    run shard-pack --text text.tok --image image.tok -o t.shard --val 0.2
    [ "$status" = 2 ]
}

@test "digests travel; inputs with others are refused with both" {
    a=$(printf 'a%.0s' {1..64}) b=$(printf 'b%.0s' {1..64}) c=$(printf 'c%.0s' {1..64})
    tok-dump text.tok | sed "s/\"text_digest\":null/\"text_digest\":\"$a\"/" | tok-load >ta.tok
    tokens text 100 110 | tok-dump | sed "s/\"text_digest\":null/\"text_digest\":\"$b\"/" | tok-load >tb.tok
    tok-dump image.tok | sed "s/\"image_digest\":null/\"image_digest\":\"$c\"/" | tok-load >ic.tok
    shard-pack --text ta.tok --image ic.tok | tok-dump --header | jq -e ".text_digest == \"$a\" and .image_digest == \"$c\""
    run shard-pack --text ta.tok --text tb.tok --image ic.tok -o out.shard
    [ "$status" = 1 ]
    [[ "$output" == *"tb.tok: does not go with"*"$b"*"$a"* ]]
    run shard-pack -k --force --text ta.tok --text tb.tok --image ic.tok -o out.shard
    [ "$status" = 0 ]
}

@test "one file for more than --size pairs is refused; a number in the name cuts" {
    echo old >out.shard
    run shard-pack --size 60 --text text.tok --image image.tok -o out.shard
    [ "$status" = 2 ]
    [[ "$output" == *"need more than one shard"* ]]
    [ "$(cat out.shard)" = old ]
    run shard-pack --text text.tok --image image.tok -o '%s.shard'
    [ "$status" = 2 ]
    run shard-pack --text text.tok --image image.tok -o '%d-%d.shard'
    [ "$status" = 2 ]
    shard-pack --size 60 --text text.tok --image image.tok -o '100%%-%2d.shard'
    [ -e '100%- 1.shard' ]
}

@test "shards of an earlier, longer run are pointed out" {
    shard-pack --size 10 --text text.tok --image image.tok -o 'o-%d.shard'
    run shard-pack --size 50 --text text.tok --image image.tok -o 'o-%d.shard'
    [ "$status" = 0 ]
    [ "$output" = "shard-pack: o-2.shard: stands there from an earlier run, this one wrote 2 shards" ]
}

@test "past --memory records wait on disk, and the bytes are the same" {
    many text 0 4000 >t.tok
    many image 0 2000 >i1.tok
    many image 2000 4000 >i2.tok
    shard-pack --size 900 --text t.tok --image i1.tok --image i2.tok -o 'all-%d.shard' --val 0.1 --val-output all-v.shard
    mkdir w
    run shard-pack -v --memory 1Mi --temp w --size 900 --text t.tok --image i1.tok --image i2.tok -o 'few-%d.shard' \
        --val 0.1 --val-output few-v.shard
    [ "$status" = 0 ]
    [[ "$output" =~ shard-pack:\ [0-9]+\ sorted\ runs\ waited\ in\ w$ ]]
    [ -z "$(ls w)" ]
    for i in 0 1 2 3 v; do cmp all-$i.shard few-$i.shard; done
    sum=$(tok-check --sum all-*.shard | tail -1)
    [ "$(tok-check --sum few-*.shard | tail -1)" = "$sum" ]
    [ "$(shard-pack --memory 2Mi few-*.shard | tok-check --sum | grep -o 'sum.*')" = "${sum##*, }" ]
    run shard-pack -v --memory 1Mi few-*.shard -o w/again.shard # TMPDIR, else beside the output
    [[ "$output" == *"waited in ${TMPDIR:-w}" ]]
    (unset TMPDIR; run shard-pack -v --memory 1Mi few-*.shard -o w/again.shard; [[ "$output" == *"waited in w" ]])
    run shard-pack --memory 1000 few-0.shard
    [ "$status" = 2 ]
}

@test "memory is bounded, whatever the length of the input" {
    no_sanitizer
    many image 0 8000 >i.tok
    many text 0 8000 >t.tok
    many image 0 500 >i1.tok
    many text 0 500 >t1.tok
    least=$(least_memory 'shard-pack --memory 1Mi --text t1.tok --image i1.tok -o small.shard')
    (ulimit -v $((least + 1024)); shard-pack --memory 1Mi --text t.tok --image i.tok -o large.shard)
    [ "$(tok-dump --count large.shard)" = 8000 ]
    run bash -c "ulimit -v $((least + 1024)); shard-pack --memory 16Mi --text t.tok --image i.tok -o large.shard"
    [ "$status" = 1 ]
    [[ "$output" == *"no memory for"* ]]
    one_line shard-pack
}

@test "a full disk, a folder that is not there, and a kill leave nothing behind" {
    many text 0 4000 >t.tok
    many image 0 4000 >i.tok
    mkdir w
    run shard-pack --memory 1Mi --temp nowhere --text t.tok --image i.tok -o out.shard
    [ "$status" = 1 ]
    one_line shard-pack
    [[ "$output" == *"nowhere: cannot create a temporary file"* ]]
    for memory in 1Mi 64Mi; do # full while records wait, full while the shard is written
        run bash -c "trap '' XFSZ; ulimit -f 2000; exec shard-pack --memory $memory --temp w --text t.tok --image i.tok -o out.shard"
        [ "$status" = 1 ]
        one_line shard-pack
        case $memory in
        1Mi) [[ "$output" == *"w: cannot write what does not fit in memory: File too large" ]] ;;
        *) [[ "$output" == *"out.shard: cannot write: File too large" ]] ;;
        esac
        [ -z "$(ls w)" ] && [ -z "$(ls | grep out)" ]
    done
    mkfifo pipe
    shard-pack --memory 1Mi --temp w --text t.tok --image - -o out.shard <pipe & # its records wait: the pipe stays open
    pid=$!
    exec 8>pipe
    head -c 6000000 i.tok >&8
    for _ in $(seq 100); do ls -l /proc/$pid/fd | grep -q 'w/armchair.tmp.*(deleted)' && break; sleep 0.05; done
    ls -l /proc/$pid/fd | grep -q 'w/armchair.tmp.*(deleted)'
    kill -9 $pid
    wait $pid || true
    exec 8>&-
    [ -z "$(ls w)" ] && [ -z "$(ls | grep out)" ]
}

@test "a disk that is really full" {
    unshare -rm true 2>/dev/null || skip "no name spaces here"
    many text 0 4000 >t.tok
    many image 0 4000 >i.tok
    mkdir w
    run unshare -rm bash -c 'mount -t tmpfs -o size=4m none w
        shard-pack --memory 1Mi --temp w --text t.tok --image i.tok -o out.shard; echo "status $?"; ls -A w'
    [ "$output" = "shard-pack: w: cannot write what does not fit in memory: No space left on device
status 1" ]
    [ ! -e out.shard ]
}

@test "two at once with the same output: whole shards of one of them" {
    many text 0 3000 >t.tok
    many image 0 3000 >i.tok
    shard-pack --size 500 --text t.tok --image i.tok -o 'one-%d.shard'
    for _ in 1 2; do shard-pack --memory 1Mi --temp . --size 500 --text t.tok --image i.tok -o 'two-%d.shard' & done
    wait
    for i in 0 1 2 3 4 5; do cmp one-$i.shard two-$i.shard; done
    [ "$(ls two-* | wc -l)" = 6 ]
}

@test "no pairs make an empty shard" {
    tokens text 0 0 >none.tok
    tokens image 0 0 >nothing.tok
    shard-pack --text none.tok --image nothing.tok -o empty.shard
    [ "$(tok-check empty.shard)" = "empty.shard: ok, 0 records, pair shard" ]
    shard-pack empty.shard | tok-check
}

@test "wrong kinds, cut and empty input, full disk, wrong calls" {
    run shard-pack --text image.tok --image text.tok -o out.shard
    [ "$status" = 1 ]
    [[ "$output" == *"image.tok: image tokens, text tokens are needed here"* ]]
    run shard-pack text.tok -o out.shard
    [ "$status" = 1 ]
    [[ "$output" == *"text.tok: text tokens, pair tokens are needed here"* ]]
    run shard-pack --text text.tok --image <(head -c 500 image.tok) -o out.shard
    [ "$status" = 1 ]
    run shard-pack --text /dev/null --image image.tok -o out.shard
    [ "$status" = 1 ]
    [ ! -e out.shard ]
    run bash -c 'shard-pack --text text.tok --image image.tok >/dev/full'
    [ "$status" = 1 ]
    one_line shard-pack
    for words in "" "--text text.tok" "--text text.tok --image image.tok more.shard" "--text - --image -" "--no-such"; do
        run shard-pack $words
        [ "$status" = 2 ]
    done
    run cut_pipe shard-pack --text text.tok --image image.tok
    [ "$status" = 141 ] && [ -z "$output" ]
}
