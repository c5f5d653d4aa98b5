#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load cut_pipe

setup() { cd "$BATS_TEST_TMPDIR"; }

@test "shapes-make: a tar of pictures and captions, the same for the same seed" {
    shapes-make -n 5 --size 32 > a.tar
    shapes-make -n 5 --size 32 > b.tar
    shapes-make -n 5 --size 32 --seed 2 > c.tar
    cmp a.tar b.tar
    ! cmp -s a.tar c.tar
    [ "$(tar tf a.tar | wc -l)" = 10 ]
    [ "$(tar tf a.tar | head -2 | tr '\n' ' ')" = "train-000001.png train-000001.txt " ]
    tar xf a.tar
    [ "$(head -c 8 train-000003.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
    [ "$(head -c 24 train-000003.png | tail -c 8 | od -An -tx1 | tr -d ' ')" = 0000002000000020 ]
    grep -qE '^a (small|large) [a-z]+ [a-z]+ (in|at) the [a-z ]+ on [a-z]+$' train-000003.txt
}

@test "shapes-make: --captions gives the captions of the tar" {
    shapes-make -n 50 --size 16 --split all --wordings 3 | tar xf -
    cat all-*.txt > from-tar
    shapes-make -n 50 --split all --wordings 3 --captions > alone
    shapes-make -n 50 --split all --wordings 3 --captions --keyed > keyed
    cmp from-tar alone
    cut -f 2 keyed | cmp - alone
    [ "$(head -1 keyed | cut -f 1)" = all-000001 ]
    [ "$(grep -c '^on ' alone)" -gt 5 ]
}

@test "shapes-make: the splits cover the world and do not meet" {
    shapes-make --captions | sort > train
    shapes-make --captions --split held-out --seed 5 | sort > held
    shapes-make --captions --split all | sort > all
    [ "$(wc -l < train)" = 3403 ] && [ "$(wc -l < held)" = 377 ] && [ "$(wc -l < all)" = 3780 ]
    [ -z "$(comm -12 train held)" ]
    [ "$(sort -u all | wc -l)" = 3780 ]
    sort train held | cmp - all
    for word in small large red green blue yellow pink cyan white black circle square triangle cross bar middle \
        'top left' 'top right' 'bottom left' 'bottom right' 'on red' 'on white'; do
        [ "$(grep -c "$word" train)" -gt 150 ] && [ "$(grep -c "$word" held)" -gt 10 ]
    done
}

@test "shapes-make: a longer run begins with the shorter" {
    shapes-make -n 2000 --captions > long
    shapes-make -n 3 --captions > short
    head -3 long | cmp - short
    shapes-make -n 2 --size 16 | tar xf -
    mv train-000002.png keep.png
    shapes-make -n 4 --size 16 | tar xf -
    cmp keep.png train-000002.png
}

@test "shapes-make: -o replaces a file as a whole" {
    echo old > x.tar
    shapes-make -n 1 --size 16 -o x.tar
    [ "$(tar tf x.tar | wc -l)" = 2 ]
    [ "$(ls)" = x.tar ]
}

@test "shapes-make: a full disk is said" {
    run shapes-make -n 1 -o /dev/full
    [ "$status" = 1 ]
    [[ "$output" == "shapes-make: "*"No space left"* ]]
    run bash -c 'shapes-make -n 1 > /dev/full'
    [ "$status" = 1 ]
    run bash -c 'shapes-make --captions > /dev/full'
    [ "$status" = 1 ]
    [[ "$output" == "shapes-make: "* ]]
}

@test "shapes-make: a cut pipe ends it quietly" {
    run cut_pipe shapes-make -n 1000000000
    [ "$status" = 141 ]
    run bash -c 'shapes-make -n 1000000000 --captions | head -1 | wc -l; echo "${PIPESTATUS[0]}"'
    [ "$output" = $'1\n141' ]
}

@test "shapes-make: called wrongly" {
    for wrong in "--size 15" "--size x" "--split some" "--count -1" "--nothing" "extra" "--keyed" "--wordings 4" "--grain 2"; do
        run shapes-make $wrong
        [ "$status" = 2 ]
        [[ "$output" == "shapes-make: "* ]]
    done
    run shapes-make --help
    [ "$status" = 0 ]
    run shapes-make --version
    [ "$status" = 0 ]
}
