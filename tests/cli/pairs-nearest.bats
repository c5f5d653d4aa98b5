#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

setup() {
    cd "$BATS_TEST_TMPDIR"
    shapes-make -q --count 12 --size 32 --seed 3 -o true.tar
}

@test "every true picture is nearest to itself" {
    run pairs-nearest --among true.tar --each ranks.tsv true.tar
    [ "$status" -eq 0 ]
    [[ $output == "12 pictures among 12 names: nearest is the named one 100.0 %, within the first ten 100.0 %" ]]
    [ "$(awk -F'\t' '$1 == $2 && $3 == 1' ranks.tsv | wc -l)" -eq 12 ]
}

@test "a picture under another name is found out, and stdin is the query" {
    mkdir true wrong
    tar xf true.tar -C true
    mapfile -t files < <(ls true/*.png)
    cp "${files[1]}" "wrong/$(basename "${files[0]}")"
    cp "${files[0]}" "wrong/$(basename "${files[1]}")"
    run bash -c 'tar cf - -C wrong . | pairs-nearest -a true.tar -'
    [ "$status" -eq 0 ]
    [[ $output == "2 pictures among 12 names: nearest is the named one 0.0 %"* ]]
}

@test "candidates and views share the name before the slash" {
    mkdir -p views/a views/b query/a
    tar xf true.tar
    mapfile -t files < <(ls *.png)
    cp "${files[0]}" views/a/0.png
    cp "${files[1]}" views/a/1.png
    cp "${files[2]}" views/b/0.png
    cp "${files[1]}" query/a/0007.png
    run pairs-nearest -a views query
    [ "$status" -eq 0 ]
    [[ $output == "1 pictures among 2 names: nearest is the named one 100.0 %"* ]]
}

@test "what cannot be compared is said" {
    run pairs-nearest true.tar
    [ "$status" -eq 2 ]
    [[ $output == *"--among is needed"* ]]
    mkdir empty
    run pairs-nearest -a true.tar empty
    [ "$status" -eq 1 ]
    [[ $output == *"no pictures"* ]]
    mkdir other
    tar xf true.tar -C other
    mv "$(ls other/*.png | head -1)" other/nobody.png
    rm -f other/*.txt
    run pairs-nearest -a true.tar other
    [ "$status" -eq 1 ]
    [[ $output == *"no known picture has this name"* ]]
    run pairs-nearest -a true.tar --frobnicate
    [ "$status" -eq 2 ]
}

@test "a full disk is noticed" {
    run bash -c 'pairs-nearest -a true.tar true.tar > /dev/full'
    [ "$status" -eq 1 ]
    run pairs-nearest -a true.tar --each /dev/full true.tar
    [ "$status" -eq 1 ]
}
