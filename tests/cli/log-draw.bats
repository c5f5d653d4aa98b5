#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load cut_pipe

setup() {
    cd "$BATS_TEST_TMPDIR"
    mkdir -p run other deep
    for i in $(seq 1 30); do
        echo "{\"step\":$((10 * i)),\"loss\":$((100 - i)).5,\"lr\":0.001,\"late\":$((i - 5)),\"scale\":[$((2 ** (i % 9))),1,null,64],\"warn\":\"no\"}"
    done > run/log.jsonl
    sed 's/"loss":/"loss":1/' run/log.jsonl > other/log.jsonl
    for i in $(seq 1 5); do echo "{\"step\":$i,\"norm\":[1,0.1,0.01,1e-3,0,1e-6]}"; done > deep/log.jsonl
}

# Width, height, then a checksum of the compressed pixels: PNG files also carry how they were made.
pixels() {
    python3 -c 'import struct, sys, zlib
data, at, sum = open(sys.argv[1], "rb").read(), 8, 0
assert data[:8] == b"\x89PNG\r\n\x1a\n"
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at:at + 8])
    if kind == b"IHDR": print(*struct.unpack(">II", data[at + 8:at + 16]), end=" ")
    if kind == b"IDAT": sum = zlib.crc32(data[at + 8:at + 8 + size], sum)
    at += size + 12
print(sum)' "$1"
}

same() { [ "$(pixels "$1")" = "$(pixels "$2")" ]; }
differ() { [ "$(pixels "$1")" != "$(pixels "$2")" ]; }

# One line on stderr, and no picture.
fails() { # status, words, arguments
    local want=$1 words=$2
    shift 2
    run log-draw -o none.png "$@"
    [ "$status" -eq "$want" ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output == "log-draw: "*"$words"* ]] || { echo "$output"; return 1; }
    [ ! -e none.png ]
}

@test "log-draw: a run folder is its log; files, stdin and stdout" {
    log-draw -o a.png run
    log-draw -o b.png run/
    log-draw run/log.jsonl > c.png
    same a.png b.png && same a.png c.png
    [[ $(pixels a.png) == "800 480 "* ]]
    log-draw < run/log.jsonl > d.png
    cat run/log.jsonl | log-draw - > e.png
    same d.png e.png
    differ a.png d.png # another name in the legend
    cp run/log.jsonl stdin.jsonl
    log-draw -o f.png stdin.jsonl
    same d.png f.png
    log-draw -o a2.png run
    cmp a.png a2.png
}

@test "log-draw: auto draws a curve of a number, a map of one log's array, blocks of several" {
    log-draw -o a.png run other && log-draw --kind curve -o b.png run other
    same a.png b.png
    log-draw -f scale -o a.png run && log-draw -f scale --kind map -o b.png run && log-draw -f scale --kind blocks -o c.png run
    same a.png b.png && differ a.png c.png
    log-draw -f scale -o a.png run other && log-draw -f scale --kind blocks -o b.png run other
    same a.png b.png
    log-draw -f scale --step 300 -o d.png run && same c.png d.png # the last line
    log-draw -f scale --step 290 -o d.png run && differ c.png d.png
}

@test "log-draw: options change what they say" {
    log-draw -o plain.png run
    for options in "--log" "--log2" "--smooth 5" "--title Loss" "--from 100" "--to 200" "-f lr"; do
        log-draw $options -o a.png run
        differ plain.png a.png
    done
    log-draw --from 0 --to 300 --smooth 1 --kind curve -o a.png run
    same plain.png a.png
    sed -n 10,20p run/log.jsonl > part.jsonl && mkdir part && mv part.jsonl part/log.jsonl
    log-draw --from 100 --to 200 --title x -o a.png run && sed -n 10,20p run/log.jsonl > run.jsonl && log-draw --title x -o b.png run.jsonl
    same a.png b.png
    log-draw --width 1600 --height 960 -o a.png run
    [[ $(pixels a.png) == "1600 960 "* ]]
    log-draw --width 160 --height 160 -f scale -o a.png run
    [[ $(pixels a.png) == "160 160 "* ]]
    log-draw --title "Loss" -o a.png run
    grep -aq 'Title.Loss' a.png
    grep -aq 'log-draw 0' a.png
}

@test "log-draw: null, and what has no logarithm, leaves a gap" {
    sed 's/"step":150,"loss":[0-9.]*/"step":150,"loss":null/' run/log.jsonl > gap.jsonl
    cp run/log.jsonl whole.jsonl
    log-draw -o a.png gap.jsonl && log-draw -o b.png whole.jsonl
    differ a.png b.png
    log-draw --log -f late -o a.png run # -4 and 0 among them
    grep -v '"late":[0-]' run/log.jsonl > positive.jsonl
    mkdir p && cp positive.jsonl p/run.jsonl
    log-draw --log -f late -o b.png p/run.jsonl
    same a.png b.png
    log-draw --log -f norm --kind blocks -o a.png deep
    log-draw --log -f norm -o b.png deep
}

@test "log-draw: a log that is being written: the part of a line at its end is left out" {
    log-draw -o a.png run
    printf '{"step":310,"lo' >> run/log.jsonl
    run log-draw -o b.png run
    [ "$status" -eq 0 ] && [ -z "$output" ]
    same a.png b.png
    run log-draw -v -o b.png run
    [ "$output" = "log-draw: run/log.jsonl: line 31 is not whole and is left out" ]
    printf '{"step":310,"lo\n' > cut.jsonl
    fails 1 "cut.jsonl: line 1: not JSON: " cut.jsonl
    printf '{"st' > cut.jsonl
    fails 1 "cut.jsonl: no whole line in it" cut.jsonl
}

@test "log-draw: a broken line is named by file and line" {
    sed -i '7s/.*/{"step":70,"loss":/' other/log.jsonl
    fails 1 "other/log.jsonl: line 7: not JSON" run other
    sed -i '7s/.*/[7]/' other/log.jsonl
    fails 1 "other/log.jsonl: line 7: not a JSON object" run other
    sed -i '7s/.*/{"loss":7}/' other/log.jsonl
    fails 1 "other/log.jsonl: line 7: has no step" run other
    sed -i '7s/.*/{"step":1,"loss":7}/' other/log.jsonl
    fails 1 "other/log.jsonl: line 7: step 1 comes behind step 60" run other
    sed -i '7s/.*/{"step":70,"loss":[1]}/' other/log.jsonl
    fails 1 "other/log.jsonl: line 7: loss is an array; --kind map or blocks draws it" run other
    sed -i '7s/.*/{"step":70,"scale":[1,2]}/' other/log.jsonl
    fails 1 "other/log.jsonl: line 7: scale has 2 numbers, before it had 4" -f scale other
    sed -i '7s/.*/{"step":70,"scale":[1,2,"3",4]}/' other/log.jsonl
    fails 1 "other/log.jsonl: line 7: scale[2] is neither a number nor null" -f scale other
    sed -i '7s/.*/{"step":70,"scale":[]}/' other/log.jsonl
    fails 1 "other/log.jsonl: line 7: scale is an array of 0" -f scale other
    sed -i '7s/.*/{"step":70,"scale":7}/' other/log.jsonl
    fails 1 "other/log.jsonl: line 7: scale is no array; --kind curve draws it" -f scale other
    fails 1 "run/log.jsonl: line 1: warn is neither a number, nor an array of them, nor null" -f warn run
}

@test "log-draw: nothing to draw is said with what there is" {
    fails 1 "run/log.jsonl: no field losss; the last line has step, loss, lr, late, scale[4]" -f losss run
    : > empty.jsonl
    fails 1 "empty.jsonl: no whole line in it" empty.jsonl
    fails 1 "empty.jsonl: no whole line in it" run/log.jsonl empty.jsonl
    printf '\n\n' > blank.jsonl
    fails 1 "blank.jsonl: no whole line in it" blank.jsonl
    fails 1 "stdin: no whole line in it" < /dev/null
    fails 1 "run/log.jsonl: no line between --from and --to; the last step is 300" --from 301 run
    fails 1 "run/log.jsonl: no scale of step 33; the nearest is 30" -f scale --step 33 run
    printf '{"step":1,"a":null,"b":-1,"c":[null,0]}\n' > null.jsonl
    fails 1 "null.jsonl: a has no value" -f a null.jsonl
    fails 1 "null.jsonl: a has no value" --kind curve -f a null.jsonl
    fails 1 "null.jsonl: a has no value" --kind map -f a null.jsonl
    fails 1 "null.jsonl: b has no value above 0" --log -f b null.jsonl
    fails 1 "null.jsonl: c has no value above 0" --log2 -f c null.jsonl
    fails 1 "b: no log has a value to draw" -q --log -f b null.jsonl null.jsonl
    printf '{"step":1,"b":2}\n{"step":2,"b":3}\n' > some.jsonl
    run log-draw --log -f b -o left.png null.jsonl some.jsonl # of several logs such a one is left out, which is said
    [ "$status" = 0 ] && [[ "$output" == "log-draw: null.jsonl: left out: b has no value above 0" ]]
    log-draw -f b -o some.png some.jsonl
    mkdir nothing
    fails 1 "nothing/log.jsonl: cannot open: No such file" nothing
    fails 1 "gone: cannot open: No such file" gone
    mkdir -p odd/log.jsonl
    fails 1 "odd/log.jsonl: cannot read: Is a directory" odd
    if [ "$(id -u)" != 0 ]; then
        chmod 000 other/log.jsonl
        fails 1 "other/log.jsonl: cannot open: Permission denied" other
    fi
}

@test "log-draw: control characters of a log do not reach the terminal" {
    printf '{"step":1,"a\\u001b[2J":1}\n' > evil.jsonl
    run log-draw -o none.png evil.jsonl
    [ "$status" -eq 1 ]
    [[ $output == *"the last line has step, a?[2J" ]]
}

@test "log-draw: a long line, and a long log in bounded memory" {
    python3 -c 'print("{\"step\":1,\"loss\":%s1}" % (" " * (17 << 20)))' > wide.jsonl
    fails 1 "wide.jsonl: line 1: longer than 16777216 bytes" wide.jsonl
    python3 -c 'for i in range(100000): print("{\"step\":%d,\"loss\":%d,\"scale\":[%d,2,3]}" % (i, i % 50, i))' > long.jsonl
    (ulimit -v 150000 && log-draw --version) > /dev/null 2>&1 || skip "not under a sanitizer"
    (ulimit -v 150000; log-draw --smooth 100 -o a.png long.jsonl && log-draw -f scale -o b.png long.jsonl)
    [[ $(pixels a.png) == "800 480 "* ]] && [[ $(pixels b.png) == "800 480 "* ]]
}

@test "log-draw: pipes, a full disk, a terminal, wrong calls" {
    run cut_pipe log-draw run
    [ "$status" -eq 141 ]
    run bash -c 'log-draw run > /dev/full'
    [ "$status" -eq 1 ]
    [ "$output" = "log-draw: stdout: cannot write: No space left on device" ]
    run log-draw -o /dev/full run
    [ "$status" -eq 1 ]
    [ "$output" = "log-draw: /dev/full: cannot write: No space left on device" ]
    run log-draw -o nowhere/a.png run
    [ "$status" -eq 1 ]
    echo old > old.png
    run log-draw -o old.png gone
    [ "$status" -eq 1 ] && [ "$(cat old.png)" = old ]
    if command -v script >/dev/null; then
        run script -qec 'log-draw run' /dev/null
        [ "$status" -eq 2 ]
        [[ $output == *"stdout: is a terminal"* ]]
    fi
    fails 2 "--log and --log2 exclude each other" --log --log2 run
    fails 2 "--from is behind --to" --from 5 --to 4 run
    fails 2 "a map is of one log" --kind map -f scale run other
    fails 2 "--smooth is for curves" --smooth 5 -f scale run
    fails 2 "--step is for blocks" --step 10 run
    fails 2 "too many arguments" $(for i in $(seq 22); do echo run; done)
    fails 2 "" --width 159 run
    fails 2 "" --kind pie run
    log-draw -o a.png $(for i in $(seq 21); do echo run; done)
}
