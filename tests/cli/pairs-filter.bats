#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load cut_pipe

setup() {
    cd "$BATS_TEST_TMPDIR"
    mkdir p
}

pair() { # key, width, height, caption: the header of a picture is all that is looked at
    mkdir -p "$(dirname "p/$1")"
    printf 'P5 %d %d 255\n' "$2" "$3" > "p/$1.pgm"
    printf '%s\n' "$4" > "p/$1.txt"
}

kept() { # OPTION...: the keys of p that are kept, on one line
    pairs-filter -q "$@" p > kept.tar
    tar tf kept.tar | grep '\.txt$' | sed 's/\.txt$//' | tr '\n' ' '
}

last() { # the last line of `words`
    tail -1 words
}

@test "pairs-filter: without a rule all pairs come through, byte for byte, from a file, a pipe and -" {
    shapes-make -q --count 5 --size 16 -o a.tar
    pairs-filter a.tar > b.tar 2> words
    cmp a.tar b.tar
    [ "$(cat words)" = "pairs-filter: 5 pairs, 5 kept, 0 left out" ]
    pairs-filter -q < a.tar | cmp - a.tar
    cat a.tar | pairs-filter -q - | pairs-filter -q | cmp - a.tar
    mkdir q
    tar xf a.tar -C q
    pairs-filter -q q | cmp - a.tar
    (cd q && for f in *.png; do printf '%s\t%s\n' "$f" "$(cat "${f%.png}.txt")"; done > ../list.tsv)
    (cd q && pairs-filter -q @../list.tsv) | cmp - a.tar
}

@test "pairs-filter: zip and compressed archives, several sources, json and other members" {
    for kind in pairs.tar pairs.tar.gz pairs.zip; do
        pairs-filter -q "$ROOT/formats/good/$kind" | python3 "$ROOT/tests/reference/pairs_read.py" - > got.jsonl
        python3 "$ROOT/tests/reference/pairs_read.py" "$ROOT/formats/good/$kind" | cmp - got.jsonl
    done
    shapes-make -q --count 2 --size 16 -o a.tar
    pairs-filter "$ROOT/formats/good/pairs.tar" a.tar -o out.tar 2> words
    [ "$(last)" = "pairs-filter: 6 pairs, 6 kept, 0 left out" ]
    pair a 10 10 "one"
    echo '{"caption": "two", "url": "https://example.org"}' > p/a.json
    head -c 100000 /dev/urandom > p/a.clip.npy
    printf 'no line end' > p/a.txt
    pair b 10 10 "two"
    kept --words 2:
    tar tf kept.tar | tr '\n' ' ' | grep -qx 'a.pgm a.txt a.clip.npy a.json '
    mkdir got
    tar xf kept.tar -C got
    for file in a.pgm a.txt a.json a.clip.npy; do cmp p/$file got/$file; done
}

@test "pairs-filter: --aspect, for either way and for a range, after the orientation" {
    pair wide 201 100 x; pair two 200 100 x; pair square 7 7 x; pair half 100 200 x; pair tall 100 201 x
    [ "$(kept --aspect 2)" = "half square two " ]
    [ "$(kept --aspect 0.5:2)" = "half square two " ]
    [ "$(kept --aspect 1:)" = "square two wide " ]
    [ "$(kept --aspect :0.5)" = "half tall " ]
    pairs-filter --aspect 2 --rejects r.jsonl p 2> words > /dev/null
    [ "$(last)" = "pairs-filter: 5 pairs, 3 kept, 2 left out: 2 aspect" ]
    jq -es 'map(.reason) == ["aspect: 100x201", "aspect: 201x100"] and all(.source == "p")' r.jsonl
    rm p/*
    for o in 1 6; do # stored alike, shown turned
        cp "$ROOT/tests/data/image/orient$o.jpg" p/o$o.jpg
        echo x > p/o$o.txt
    done
    [ "$(kept --aspect 1:)" = "o1 o6 " ]
    cp "$ROOT/tests/data/image/orient1.jpg" p/o6.jpg
    [ "$(kept --aspect :1)" = "" ]
}

@test "pairs-filter: --side is the shorter side" {
    pair a 255 4000 x; pair b 256 300 x; pair c 1000 1025 x; pair d 1025 1025 x
    [ "$(kept --side 256)" = "b c d " ]
    [ "$(kept --side 256:1024)" = "b c " ]
    [ "$(kept --side :255)" = "a " ]
    pairs-filter --side 256:1024 p 2>&1 > /dev/null | grep -qx "pairs-filter: 4 pairs, 2 kept, 2 left out: 2 side"
}

@test "pairs-filter: --chars, --words, --letters, in any script" {
    pair a 9 9 ""; pair b 9 9 "bird"; pair c 9 9 "a red bird"; pair d 9 9 "ÉTÉ À ELBE"; pair e 9 9 "12345 x"; pair f 9 9 "椅子 の 絵"
    pair g 9 9 $'e\u0301'; pair h 9 9 "हिन्दी"
    [ "$(kept --chars 2)" = "b c d e f h " ]
    [ "$(kept --chars 1:4)" = "b g " ]
    [ "$(kept --chars :1)" = "a g " ]
    [ "$(kept --words 3)" = "c d f " ]
    [ "$(kept --words 1:2)" = "b e g h " ]
    [ "$(kept --letters 0.5)" = "b c d f g h " ]
    [ "$(kept --letters :0.5)" = "a e " ]
    pairs-filter --chars 5: --words 3: --letters 0.9: p 2> words > /dev/null
    [ "$(last)" = "pairs-filter: 8 pairs, 3 kept, 5 left out: 3 chars, 2 words" ]
}

@test "pairs-filter: --patterns, several files, returns at line ends, capitals, comments" {
    printf '# dates\r\n\r\n^Photographed on .*$\r\n' > one.ere
    printf '^IMG_[0-9]+$\n\\.(jpe?g|png)$' > two.ere
    pair a 9 9 "PHOTOGRAPHED ON 3 May"; pair b 9 9 "a house photographed on 3 May"; pair c 9 9 "img_0034"; pair d 9 9 "x.JPEG"; pair e 9 9 "ok"
    [ "$(kept --patterns one.ere)" = "b c d e " ]
    pairs-filter --patterns one.ere --patterns two.ere --rejects r.jsonl p 2> words > /dev/null
    [ "$(last)" = "pairs-filter: 5 pairs, 2 kept, 3 left out: 3 pattern" ]
    [ "$(jq -r .reason r.jsonl | tr '\n' '|')" = "pattern: one.ere:3|pattern: two.ere:1|pattern: two.ere:2|" ]
    [ "$(kept --patterns /dev/null)" = "a b c d e " ]
}

@test "pairs-filter: a pattern that is none is named with its file and line" {
    pair a 9 9 x
    printf '# one\r\nok\r\n(open\r\n' > bad.ere
    run pairs-filter --patterns bad.ere -o out.tar p
    [ "$status" = 1 ]
    [[ "$output" == "pairs-filter: bad.ere: line 3: "* ]]
    [ ! -e out.tar ]
    printf 'ok\n(a)\\1\n' > bad.ere
    run pairs-filter --patterns bad.ere -o out.tar p
    [ "$status" = 1 ]
    [ "$output" = "pairs-filter: bad.ere: line 2: a back-reference" ]
    run pairs-filter --patterns nowhere.ere -o out.tar p
    [ "$status" = 1 ]
    [ "$output" = "pairs-filter: nowhere.ere: cannot open: No such file or directory" ]
}

@test "pairs-filter: the patterns that are shipped" {
    pair a 9 9 "Photographed on 12 March 2014"; pair b 9 9 "a bird in March"; pair c 9 9 "DSC_0034.JPG"
    [ "$(kept --patterns "$ROOT/pipelines/boilerplate.ere")" = "b " ]
}

@test "pairs-filter: --caption-copies counts captions as the tokenizer sees them, of pairs that pass all else" {
    pair a 300 100 "été"; pair b 9 9 "ÉTÉ"; pair c 9 9 $'e\u0301te\u0301'; pair d 9 9 "ete"; pair e 9 9 "été"
    [ "$(kept --caption-copies 1)" = "a d " ]
    [ "$(kept --caption-copies 2)" = "a b d " ]
    [ "$(kept --caption-copies 1 --aspect 2)" = "b d " ]
    [ "$(kept --caption-copies 0)" = "a b c d e " ]
    pairs-filter --caption-copies 1 --aspect 2 --rejects r.jsonl p 2> words > /dev/null
    [ "$(last)" = "pairs-filter: 5 pairs, 2 kept, 3 left out: 1 aspect, 2 copies" ]
    jq -es '.[1] == {"source": "p", "key": "c", "reason": "copies: more than 1"}' r.jsonl
    cp -r p q
    pairs-filter --caption-copies 1 p q 2>&1 > /dev/null | grep -qx "pairs-filter: 10 pairs, 2 kept, 8 left out: 8 copies" # through all sources
}

@test "pairs-filter: --keys and --drop-keys take what another program chose" {
    for k in a b c 50% 椅子; do pair $k 9 9 "$k"; done
    printf 'a\r\nb\tsome score\r\n\r\n椅子\r\nnobody' > keys
    [ "$(kept --keys keys)" = "a b 椅子 " ]
    [ "$(kept --drop-keys keys)" = "50% c " ]
    printf 'c\n50%%\n' > more
    [ "$(kept --keys keys --keys more)" = "50% a b c 椅子 " ]
    [ "$(kept --keys keys --drop-keys keys)" = "" ]
    [ "$(kept --keys /dev/null)" = "" ]
    [ "$(printf 'b\n' | kept --keys -)" = "b " ]
    pairs-filter --keys keys --rejects r.jsonl p 2>&1 > /dev/null | grep -qx "pairs-filter: 5 pairs, 3 kept, 2 left out: 2 key"
    jq -es 'all(.reason == "key: not in --keys")' r.jsonl
    printf 'a\n\377\n' > keys
    run pairs-filter --keys keys -o out.tar p
    [ "$status" = 1 ]
    [ "$output" = "pairs-filter: keys: line 2: not UTF-8" ]
    { head -c 70000 /dev/zero | tr '\0' k; echo; } > keys
    run pairs-filter --keys keys -o out.tar p
    [ "$status" = 1 ]
    [ "$output" = "pairs-filter: keys: line 1: longer than 65536 bytes" ]
    rm p/a.txt # a pair that is not asked for may be damaged
    printf 'b\n' > keys
    [ "$(kept --keys keys)" = "b " ]
}

@test "pairs-filter: a million keys and many pairs in bounded memory" {
    seq -f 'shard-000/%012.0f' 1000000 > keys
    pair shard-000/000000500000 9 9 x; pair shard-000/000001000001 9 9 x
    [ "$(kept --keys keys)" = "shard-000/000000500000 " ]
    python3 - <<'P'
import io, tarfile
with tarfile.open("many.tar", "w", format=tarfile.USTAR_FORMAT) as t:
    for i in range(6000):
        for ext, data in (("ppm", b"P6 640 480 255\n" + bytes(30000)), ("txt", b"caption %d" % i), ("json", b"{}" + b" " * 1000)):
            m = tarfile.TarInfo("%06d.%s" % (i, ext))
            m.size = len(data)
            t.addfile(m, io.BytesIO(data))
P
    if (ulimit -v 150000 && pairs-filter --version) > /dev/null 2>&1; then # not under a sanitizer
        (ulimit -v 150000; kept --keys keys; cat many.tar | pairs-filter --caption-copies 1 --aspect 2 --drop-keys keys) 2> words | wc -c
        [ "$(last)" = "pairs-filter: 6000 pairs, 6000 kept, 0 left out" ]
    fi
}

@test "pairs-filter: what was left out can be fed back, and is counted" {
    pair a 300 100 x; pair b 9 9 x; pair c 9 9 ""
    pairs-filter -q p > p.tar
    pairs-filter --aspect 2 --chars 1: --rejects r.jsonl --summary n.json -o out.tar p.tar 2> words
    [ "$(last)" = "pairs-filter: 3 pairs, 1 kept, 2 left out: 1 chars, 1 aspect" ]
    jq -e '.program == "pairs-filter" and .pairs == 3 and .kept == 1 and .aspect == 1 and .chars == 1 and .words == 0' n.json
    pairs-filter -q --aspect 2 @r.jsonl | tar tf - | tr '\n' ' ' | grep -qx 'c.pgm c.txt '
    pairs-filter -q @r.jsonl | tar tf - | tr '\n' ' ' | grep -qx 'a.pgm a.txt c.pgm c.txt '
    run pairs-filter -q --aspect 2 -o out.tar p.tar
    [ "$output" = "" ]
}

@test "pairs-filter: bad pairs stop it, or are left out with -k" {
    pair a 9 9 x; pair b 9 9 y
    rm p/b.txt
    run pairs-filter -o out.tar p
    [ "$status" = 1 ]
    [ "$output" = "pairs-filter: p: b: no caption beside it" ]
    [ "$(ls)" = p ]
    pairs-filter -k --rejects r.jsonl --summary n.json -o out.tar p 2> words
    [ "$(last)" = "pairs-filter: 2 pairs, 1 kept, 1 left out: 1 bad" ]
    jq -e '. == {"source": "p", "key": "b", "reason": "bad: no caption beside it"}' r.jsonl
    jq -e '.bad == 1' n.json
    run pairs-filter -q -k -o out.tar p
    [ "$output" = "pairs-filter: 1 records left out" ]
    echo y > p/b.txt
    echo "GIF89a" > p/b.pgm
    run pairs-filter --side 5 -o x.tar p
    [ "$status" = 1 ]
    [ "$output" = "pairs-filter: p: b: a GIF picture; PNG, JPEG, WebP and PNM are read" ]
    pairs-filter -q -o x.tar p # no rule looks at it
    pairs-filter -k --aspect 2 -o x.tar p 2> words
    [ "$(last)" = "pairs-filter: 2 pairs, 1 kept, 1 left out: 1 bad" ]
    pairs-filter -k --rejects r.jsonl "$ROOT/formats/bad/pairs-problems.tar" 2> words > x.tar
    [ "$(tar tf x.tar | wc -l)" = 0 ]
    [ "$(wc -l < r.jsonl)" -gt 5 ]
}

@test "pairs-filter: two pairs of one key would become one where they meet" {
    pair a 9 9 x
    pairs-filter -q p > p.tar
    run pairs-filter -o out.tar p.tar p
    [ "$status" = 1 ]
    [ "$output" = "pairs-filter: p: a: has the key of the pair written in front of it" ]
    pairs-filter -k -o out.tar p.tar p 2> words
    [ "$(last)" = "pairs-filter: 2 pairs, 1 kept, 1 left out: 1 bad" ]
    cmp p.tar out.tar
}

@test "pairs-filter: pictures of a list get the name of what they are" {
    cp "$ROOT/tests/data/image/rgb8.png" one.picture
    cp "$ROOT/tests/data/image/baseline.jpg" two
    printf 'one.picture\tone\ntwo\ttwo\n' > list.tsv
    pairs-filter -q @list.tsv | tar tf - | tr '\n' ' ' | grep -qx 'one.png one.txt two.jpg two.txt '
    printf 'list.tsv\tone\n' > other.tsv
    run pairs-filter -o out.tar @other.tsv
    [ "$status" = 1 ]
    [ "$output" = "pairs-filter: @other.tsv: list: neither named as a picture nor one" ]
}

@test "pairs-filter: empty input, input of the wrong kind, cut input" {
    pairs-filter "$ROOT/formats/good/pairs-empty.tar" > out.tar 2> words
    [ "$(last)" = "pairs-filter: 0 pairs, 0 kept, 0 left out" ]
    [ "$(tar tf out.tar | wc -l)" = 0 ]
    run pairs-filter -o x.tar /dev/null
    [ "$status" = 1 ]
    [[ "$output" == "pairs-filter: /dev/null: is empty;"* ]]
    run bash -c 'pairs-filter < /dev/null > x.out'
    [ "$status" = 1 ]
    echo "a caption, not an archive" > text
    run pairs-filter -o x.tar text
    [ "$status" = 1 ]
    [ "$output" = "pairs-filter: text: neither tar nor zip" ]
    run pairs-filter -o x.tar "$ROOT/formats/good/tok-text.tok"
    [ "$status" = 1 ]
    [[ "$output" == *"neither tar nor zip" ]]
    run pairs-filter -o x.tar nowhere.tar
    [ "$status" = 1 ]
    [ "$output" = "pairs-filter: nowhere.tar: cannot open: No such file or directory" ]
    for cut in pairs-cut.tar pairs-cut-between.tar pairs-cut.tar.gz pairs-cut.zip; do
        run pairs-filter -o x.tar "$ROOT/formats/bad/$cut"
        [ "$status" = 1 ]
        [[ "$output" == "pairs-filter: $ROOT/formats/bad/$cut: "* ]]
    done
    [ ! -e x.tar ]
}

@test "pairs-filter: output files, full disk, cut pipe" {
    pair a 9 9 x
    echo old > out.tar
    run pairs-filter -o out.tar nowhere.tar
    [ "$(cat out.tar)" = old ]
    pairs-filter -q -o out.tar p
    pairs-filter -q -o out.tar out.tar # a file may be its own source
    pairs-filter -q p | cmp - out.tar
    run bash -c 'pairs-filter p > /dev/full'
    [ "$status" = 1 ]
    [[ "$output" == "pairs-filter: stdout: "*"No space left on device" ]]
    for option in -o --rejects --summary; do
        rm -f x.out
        run bash -c "pairs-filter --words 9: $option /dev/full p > x.out"
        [ "$status" = 1 ]
        [[ "$output" == "pairs-filter: /dev/full: "*"No space left on device" ]]
    done
    shapes-make -q --count 300 --size 32 -o many.tar
    run cut_pipe pairs-filter many.tar
    [ "$status" = 141 ]
}

@test "pairs-filter: called wrongly" {
    pair a 9 9 x
    for options in "--aspect 0.5" "--aspect x" "--aspect 2:1" "--side -1" "--chars 3:2" "--words ''" "--words a:b" "--letters 1:2:3" \
        "--caption-copies -1" "--caption-copies 1000000" "--nonsense"; do
        run bash -c "pairs-filter -o x.tar $options p"
        [ "$status" = 2 ]
        [[ "$output" == "pairs-filter: "* ]]
        [ "${#lines[@]}" = 1 ]
    done
    run pairs-filter --words 9:3 p
    [ "$output" = "pairs-filter: --words: '9:3': the first number is above the second (see pairs-filter --help)" ]
    run pairs-filter --help
    [ "$status" = 0 ]
}
