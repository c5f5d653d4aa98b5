#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What every program has from cmd/tool.c.

setup() { cd "$BATS_TEST_TMPDIR"; }

programs() { (cd "$ROOT/cmd" && ls *.c | sed 's/\.c$//' | grep -v '^tool'); }

@test "every program has --help and --version on stdout, and exits 0" {
    for program in $(programs); do
        command -v "$program" >/dev/null || continue
        run bash -c "$program --help 2>/dev/null"
        [ "$status" -eq 0 ]
        [[ $output == "Usage: $program "* ]]
        run bash -c "$program --version 2>/dev/null"
        [ "$status" -eq 0 ]
        [[ $output == "$program (Armchair) "* ]]
    done
}

@test "every program refuses an option it does not have, in one line with its name" {
    for program in $(programs); do
        command -v "$program" >/dev/null || continue
        run "$program" --no-such-option
        [ "$status" -eq 2 ]
        [[ ${lines[0]} == "$program: "* ]]
        [ "${#lines[@]}" -eq 1 ]
    done
}

@test "a config file sets options, the command line wins, mistakes are named by line" {
    printf '# the world\ncount = 3\nsize = 16\n' >c
    run bash -c 'shapes-make --config c --captions | wc -l'
    [ "$output" -eq 3 ]
    run bash -c 'shapes-make --config c --count 5 --captions | wc -l'
    [ "$output" -eq 5 ]
    printf 'count = 3\nno such line\n' >c
    run shapes-make --config c --captions
    [ "$status" -eq 2 ]
    [[ $output == *"c:2: not"* ]]
    printf 'count = 3\ncolour = red\n' >c
    run shapes-make --config c --captions
    [ "$status" -eq 2 ]
    [[ $output == *"c:2: no option --colour"* ]]
}

@test "numbers are checked against their range" {
    for bad in -1 x 1.5 99999999999999999999 ''; do
        run shapes-make --count "$bad" --captions
        [ "$status" -eq 2 ]
    done
    run shapes-make --size 1 --captions
    [ "$status" -eq 2 ]
    [[ $output == *"is not in 16"* ]]
}

@test "an existing output is replaced whole or not at all" {
    echo old >out
    run bash -c 'shapes-make --count 3 --captions -o out && wc -l <out'
    [ "$output" -eq 3 ]
    echo old >out
    run shapes-judge -o out no-such-file.tar
    [ "$status" -eq 1 ]
    [ "$(cat out)" = old ]
    [ "$(ls)" = out ]
}
