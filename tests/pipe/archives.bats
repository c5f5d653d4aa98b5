#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Archives as scrapers and other systems leave them, and cut ones, through the programs that read pictures and captions.

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    shapes-make -q -n 24 --size 16 -o pairs.tar
    dvae-train -q -j1 --preset tiny --steps 1 -o dvae pairs.tar
    shapes-make -q -n 50 --captions | bpe-train -q --vocab 280 > tokenizer.json
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    export OMP_NUM_THREADS=1
    M="$BATS_FILE_TMPDIR/dvae" T="$BATS_FILE_TMPDIR/tokenizer.json"
}

make_archive() { python3 "$ROOT/tests/pipe/archives.py" "$@"; }
pictures() { dvae-encode -q -m "$M" "$@"; }
captions() { bpe-encode -q -m "$T" "$@"; }
sanitized() { ! (ulimit -v 600000 && dvae-encode --version) > /dev/null 2>&1; }
keys() { tok-dump "$@" | jq -r 'select(has("key")) | .key' | paste -sd' '; }

# Keys that pictures and captions are read with, what the captions say, and what was left out of both and why.
expect() { # archive, keys of pictures, keys of captions, captions, reasons
    pictures -k --rejects p.jsonl "$1" > p.tok
    captions -k --rejects c.jsonl "$1" > c.tok
    diff <(echo "$2") <(keys p.tok)
    diff <(echo "$3") <(keys c.tok)
    diff <(echo "$4") <(bpe-decode -m "$T" c.tok | paste -sd'|')
    diff <(printf '%s' "$5") <(jq -rs 'unique | .[] | .key + ": " + .reason' p.jsonl c.jsonl)
}

numbers="000 001 002 003 004 005"
said="caption 0|caption 1|caption 2|caption 3|caption 4|caption 5"

@test "archives: a scraper's: numbers with gaps, json beside txt or alone, members of other programs" {
    make_archive scraped a.tar
    k="000000000 000000001 000000002 000000017 000000018 000000400"
    expect a.tar "$k" "$k" "caption 0|caption 1|caption 2|from json 17|caption 18|caption 400" ""
    mkdir folder && tar -xf a.tar -C folder
    expect folder "$k" "$k" "caption 0|caption 1|caption 2|from json 17|caption 18|caption 400" ""
}

@test "archives: compressed, also through a pipe and whatever the name says" {
    for mode in w:gz w:xz w:bz2; do
        make_archive plain a.tar $mode
        expect a.tar "$numbers" "$numbers" "$said" ""
        expect - "$numbers" "" "" "" < a.tar
        cat a.tar | captions --pairs - | bpe-decode -m "$T" | paste -sd'|' | grep -qxF "$said"
    done
}

@test "archives: zip files: stored, deflated, zip64, with a comment" {
    k=$(printf 'sub/%s ' $numbers | sed 's/ $//')
    for kind in stored deflated zip64 comment; do
        make_archive zips a.zip $kind
        expect a.zip "$k" "$k" "$said" ""
    done
}

@test "archives: names longer than a header's field, of GNU and of POSIX" {
    for form in 1 2; do # tarfile.GNU_FORMAT, PAX_FORMAT
        make_archive long_names a.tar $form
        keys <(pictures a.tar) | tr ' ' '\n' > keys
        [ "$(wc -l < keys)" = 5 ]
        [ "$(sed -n 1p keys)" = "$(printf 'a%.0s' {1..180})" ]
        [ "$(sed -n 3p keys | wc -c)" = 471 ]
        [ "$(sed -n 4p keys)" = "$(printf 'é%.0s' {1..90})" ]
        [ "$(sed -n 5p keys)" = 短/名 ]
    done
}

@test "archives: what is wrong with records, one by one; the good ones around them are used" {
    make_archive problems a.tar
    expect a.tar "good1 alone good2 again good3 again two bytes good4" "good1 good2 said again good3 again double cut good4" \
        "caption 1|caption 3|no picture|caption 4|caption 5|caption 6|caption 8|the picture is cut|caption 12" \
"alone: no caption beside it
bytes: the caption is not UTF-8
cut: PNM: 287 bytes of pixels, 768 are needed
double: double.png: a second picture of the same key
said: no picture beside it
two: two.txt: a second caption of the same key
"
    run pictures a.tar
    [ "$status" = 1 ]
    [[ "$output" == *"dvae-encode: a.tar: said: no picture beside it"* ]]
}

@test "archives: members out of order are records of their own, each said to be incomplete" {
    make_archive out_of_order a.tar
    pictures -k --rejects p.jsonl a.tar | keys | grep -qxF "000 001 002 003"
    [ "$(jq -r .reason p.jsonl | sort | uniq -c | xargs)" = "4 no picture beside it" ]
    captions -k --rejects c.jsonl a.tar | keys | grep -qxF "000 001 002 003"
    [ "$(jq -r .reason c.jsonl | sort | uniq -c | xargs)" = "4 no caption beside it" ]
}

@test "archives: what macOS adds is passed over" {
    make_archive macos a.tar
    expect a.tar "a/0 a/1 a/2" "a/0 a/1 a/2" "caption 0|caption 1|caption 2" ""
    make_archive macos_zip a.zip
    expect a.zip "a/0 a/1 a/2" "a/0 a/1 a/2" "caption 0|caption 1|caption 2" ""
}

@test "archives: folders, also named as pictures, are passed over; links, pipes and devices are no pictures" {
    make_archive links a.tar
    why="is a link or a device, not a file"
    expect a.tar "a/1 a/6" "a/1 a/2 a/3 a/4 a/6" "caption 1|a symbolic link|a hard link|a pipe|caption 6" \
"a/1x: a/1x.ppm: $why
a/1x: no caption beside it
a/2: a/2.ppm: $why
a/3: a/3.ppm: $why
a/4: a/4.ppm: $why
a/5: a/5.ppm: $why
a/5: no caption beside it
"
}

@test "archives: names that are not UTF-8 are shown with U+FFFD and left out; the list of them is a source" {
    for form in 0 1 2; do
        make_archive latin1 a.tar $form
        expect a.tar fine fine "caption 2" $'caf\xef\xbf\xbd: the key is not UTF-8\n'
        run pictures @p.jsonl
        [ "$status" = 1 ]
        [[ "$output" == *"the key is not UTF-8"* ]]
    done
    make_archive latin1_zip a.zip
    LC_ALL=C expect a.zip fine fine "caption 2" $'caf\xef\xbf\xbd: the key is not UTF-8\n'
}

@test "archives: a tar cut anywhere: without -k an error and no file, with -k all before the cut, and it is said" {
    make_archive plain whole.tar
    # A picture takes three blocks and a caption two; whoever reads pictures needs no caption behind it.
    for at in 1 700 2559 2560 3000 5119 5120 8000 12800 15359; do
        head -c $at whole.tar > cut.tar
        rm -f x.tok
        run pictures -o x.tok cut.tar
        [ "$status" = 1 ]
        [ ! -e x.tok ]
        [ "$at" = 1 ] || [[ "$output" == *"dvae-encode: cut.tar: "* ]]
        rm -f r.jsonl
        pictures -k --rejects r.jsonl -o x.tok cut.tar whole.tar 2> words
        tok-check x.tok
        [ "$(keys x.tok)" = "$(echo $(printf '%s\n' $numbers | head -n $(((at + 1024) / 2560))) $numbers)" ]
        grep -q "what stood before is used" words
        grep -q "dvae-encode: 1 records left out" words
        jq -es 'length == 1 and .[0].source == "cut.tar" and .[0].key == "" and (.[0].reason | startswith("cut.tar: "))' r.jsonl
        captions -k --pairs --rejects r.jsonl -o x.tok cut.tar whole.tar 2> words
        [ "$(tok-dump --count x.tok)" -ge $((at / 2560 + 6)) ] # a caption may stand in front of the cut
        grep -q "what stood before is used" words
    done
}

@test "archives: a cut source's reject names it all: repaired, its records are read" {
    make_archive plain a.tar
    cp a.tar whole.tar
    head -c 6000 whole.tar > a.tar
    pictures -k --rejects r.jsonl -o x.tok a.tar
    pictures -k --rejects again.jsonl @r.jsonl | keys | grep -qxF "000 001" # still cut
    jq -es 'length == 1 and .[0].key == ""' again.jsonl
    mv whole.tar a.tar
    [ "$(pictures @r.jsonl | keys)" = "$numbers" ]
    [ "$(captions @r.jsonl | keys)" = "$numbers" ]
    run bash -c "echo '{\"source\":\"gone.tar\",\"key\":\"\"}' > g.jsonl; dvae-encode -q -k -m '$M' @g.jsonl > x.tok"
    [ "$status" = 1 ] # no file is no damage
}

@test "archives: compressed ones cut or damaged in the middle: all but the last blocks of the unpacker" {
    make_archive many - 400 > whole.tar # 1 MB
    size=$(stat -c %s whole.tar)
    for filter in gzip xz bzip2; do
        $filter -c whole.tar > whole.z
        packed=$(stat -c %s whole.z)
        head -c $((packed / 2)) whole.z > cut.z
        run pictures -o x.tok cut.z
        [ "$status" = 1 ]
        pictures -k --rejects r.jsonl -o x.tok cut.z 2> words
        tok-check x.tok
        count=$(tok-dump --count x.tok)
        [ "$count" -lt 400 ]
        [ $filter = bzip2 ] || [ "$count" -gt 100 ] # bzip2 gives out 900 kB at once
        [ "$(tok-dump x.tok | jq -r 'select(has("key")).key' | tail -1)" = "$(printf %09d $((count - 1)))" ] || [ "$count" = 0 ]
        jq -es 'length == 1 and .[0].key == ""' r.jsonl
        grep -q "what stood before is used" words
    done
    xz -c whole.tar | python3 -c 'import sys; b = bytearray(sys.stdin.buffer.read()); b[len(b) // 2] ^= 255; sys.stdout.buffer.write(b)' > bad.xz
    run pictures -o x.tok bad.xz
    [ "$status" = 1 ]
    head -c 4000 whole.tar | tail -c 3000 > noise.tar
    pictures -k --rejects r.jsonl -o x.tok noise.tar whole.tar
    [ "$(tok-dump --count x.tok)" = 400 ]
    jq -es '.[0].reason == "noise.tar: neither tar nor zip"' r.jsonl
}

@test "archives: zip files cut in the middle" {
    make_archive zips whole.zip stored
    head -c 4000 whole.zip > cut.zip
    run pictures -o x.tok cut.zip
    [ "$status" = 1 ]
    pictures -k --rejects r.jsonl -o x.tok cut.zip
    tok-check x.tok
    [ "$(keys x.tok)" = "sub/000 sub/001 sub/002 sub/003" ]
    jq -es 'length == 1 and .[0].key == ""' r.jsonl
}

@test "archives: bombs are refused for what they promise, in constant memory" {
    make_archive bombs a.tar.gz
    (sanitized || ulimit -v 900000; pictures -k --rejects r.jsonl -o x.tok a.tar.gz; captions -k -o y.tok a.tar.gz)
    [ "$(keys x.tok)" = good ]
    diff <(jq -r '.key + ": " + .reason' r.jsonl) - <<'END'
png-wide: PNG: Invalid IHDR data
png-large: PNG: 60000x60000 is more than 178956970 pixels
png-text: PNG: 100000x10000 is more than 178956970 pixels
jpeg: JPEG: 65500x65500 is more than 178956970 pixels
webp: WebP: 16383x16383 is more than 178956970 pixels
webp-canvas: WebP: 16383x16383 is more than 178956970 pixels
pnm: PNM: 2000000x2000000 is more than 178956970 pixels
pnm-text: PNM: 99999x99999 is more than 178956970 pixels
member: member.png: larger than 256 MiB
caption: no picture beside it
END
}

@test "archives: --max-pixels and --max-bytes" {
    make_archive plain a.tar # pictures of 256 pixels, 781 bytes
    for limit in "--max-pixels 256" "--max-bytes 781"; do
        pictures $limit a.tar | keys | grep -qxF "$numbers"
    done
    pictures -k --rejects r.jsonl --max-pixels 255 -o x.tok a.tar
    [ "$(tok-dump --count x.tok)" = 0 ]
    [ "$(jq -r .reason r.jsonl | sort -u)" = "PNM: 16x16 is more than 255 pixels" ]
    pictures -k --rejects r.jsonl --max-bytes 780 -o x.tok a.tar
    [ "$(tok-dump --count x.tok)" = 0 ]
    [ "$(jq -r .reason r.jsonl | head -1)" = "000.ppm: larger than 780 bytes" ]
    mkdir folder && tar -xf a.tar -C folder
    printf 'folder/001.ppm\tx\n' > list.tsv
    for source in folder @list.tsv; do
        run pictures --max-bytes 780 $source
        [ "$status" = 1 ]
        [[ "$output" == *".ppm: larger than 780 bytes"* ]]
    done
    for limit in "--max-pixels 255" "--max-bytes 780"; do
        run dvae-train -q -j1 --preset tiny --steps 1 $limit -o run a.tar
        [ "$status" = 1 ]
        [[ "$output" == *"000"*"than"* ]]
    done
    run pictures --max-pixels 0 a.tar
    [ "$status" = 2 ]
}

@test "archives: memory does not grow with the input" {
    if sanitized; then skip "not under a sanitizer"; fi
    # Eight times the pairs under a bound that leaves less room over than they take.
    peak() { /usr/bin/env python3 -c 'import resource, subprocess, sys
with open("/dev/null", "w") as null: subprocess.run(sys.argv[1:], stdin=sys.stdin, stdout=null, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"; }
    make_archive many short.tar 1500
    for program in "dvae-encode -q -j1 -m $M -" "bpe-encode -q -m $T --pairs -"; do
        before=$(peak $program < short.tar)
        after=$(make_archive many - 12000 | peak $program) # 37 MB
        [ $((after - before)) -lt 6000 ]
    done
    make_archive many - 12000 | (ulimit -v 600000; pictures -o x.tok -)
    [ "$(tok-dump --count x.tok)" = 12000 ]
    make_archive many - 12000 | (ulimit -v 100000; captions --pairs -o x.tok -)
    [ "$(tok-dump --count x.tok)" = 12000 ]
}
