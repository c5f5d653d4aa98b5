#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# pipelines/3-shards.sh: killed at any moment, stopped, twice at once, over damaged archives.

bats_require_minimum_version 1.5.0

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    export TINY=1 OMP_NUM_THREADS=1 GOMP_SPINCOUNT=0
    for i in 0 1 2 3 4 5; do shapes-make -q --count 12 --size 16 --seed "$i" -o "$i.tar"; done
    damage 6.tar
    bpe-train -q --vocab 300 -o tokenizer.json 0.tar
    dvae-train -q --preset tiny --steps 2 -o dvae 0.tar
    SLOTS=64 "$ROOT/pipelines/3-shards.sh" tokenizer.json dvae whole ?.tar
}

setup() {
    cd "$BATS_FILE_TMPDIR"
    export TINY=1 OMP_NUM_THREADS=1 GOMP_SPINCOUNT=0 SLOTS=64
    out=$BATS_TEST_TMPDIR/shards
}

teardown() { [ -z "${session:-}" ] || kill_session "$session"; }

# Ten pairs: one cut picture, one caption that is not UTF-8, one without picture, a long caption, and one pair once more.
damage() { # ARCHIVE
    local folder
    folder=$(mktemp -d)
    shapes-make -q --count 10 --size 16 --seed 9 | tar -x -C "$folder"
    mkdir "$folder/z"
    cp "$folder"/train-000005.* "$folder/z/"
    truncate -s 50 "$folder/train-000001.png"
    printf '\377' >"$folder/train-000002.txt"
    rm "$folder/train-000003.png"
    for _ in {1..100}; do printf 'red '; done >"$folder/train-000004.txt"
    tar -C "$folder" --transform 's,^z/,,' -cf "$1" $(cd "$folder" && ls -d -- *.png *.txt | sort) z/train-000005.png z/train-000005.txt
    rm -r "$folder"
}

run_stage() { "$ROOT/pipelines/3-shards.sh" tokenizer.json dvae "$out" "$@"; }

manifest() { jq -S 'del(.seconds)' "$1/manifest.json"; }

# Equal to the undisturbed run, with nothing left over.
same_as_whole() {
    diff <(manifest whole) <(manifest "$out")
    [ "$(tok-check --sum "$out"/*.shard | tail -1)" = "$(tok-check --sum whole/*.shard | tail -1)" ]
    for name in whole/*.{shard,rejects,repeats}; do cmp "$name" "$out/${name##*/}"; done
    [ "$(ls -A "$out")" = "$(ls -A whole)" ]
}

kill_session() { # SESSION: the script, its archives in their own groups, and their programs
    local file stat fields more=1
    kill -9 "$1" 2>/dev/null || true
    while [ $more = 1 ]; do # some are born while we look
        more=0
        for file in /proc/[0-9]*/stat; do
            read -r stat 2>/dev/null <"$file" || continue
            read -ra fields <<<"${stat##*) }" # state, parent, group, session
            if [ "${fields[3]}" = "$1" ] && [ "${fields[0]}" != Z ]; then
                kill -9 "${stat%% *}" 2>/dev/null || true
                more=1
            fi
        done
    done
}

until_there() { # command: until it is true, at most ten seconds
    for _ in {1..200}; do
        if "$@"; then return 0; fi
        sleep 0.05
    done
    return 1
}

none_hidden() { [ -z "$(find "$out" -mindepth 1 -name '.*')" ]; }
some_done() { compgen -G "$out/*.json" >/dev/null; }

@test "the summary and the lists say what became of every pair" {
    jq -e '.archive == "6.tar" and .pairs == 11 and .kept == 7 and .rejected == 3 and .repeated == 1 and .cut == 1 and
        .kept + .rejected + .repeated == .pairs and ([.reasons[]] | add) == 4 and .grid == [4,4] and .text_slots == 64 and
        (.text_digest | length) == 64 and (.image_digest | length) == 64 and .seconds.all > 0' whole/6.json
    [ "$(jq -r .key whole/6.rejects)" = $'train-000001\ntrain-000002\ntrain-000003' ]
    [ "$(jq -r .key whole/6.repeats)" = train-000005 ]
    jq -e '.archives == 7 and .pairs == 83 and .kept == 79 and .rejected == 3 and .repeated == 1 and .cut == 1 and
        (.shards | length) == 7 and ([.shards[].bytes] | add) == .bytes' whole/manifest.json
    [ "$(tok-check --sum whole/*.shard | tail -1)" = "total: ok, 79 records, sum $(jq -r .sum whole/manifest.json)" ]
    run run_stage 6.tar
    [[ "$output" == *"6.tar: 7 of 11 pairs, 3 rejected, 1 repeated, 1 captions cut, "* ]]
}

@test "what was left out is a source again, also in the same folder, and so are its own rejects" {
    cp -r whole "$out"
    run_stage "@$out/6.rejects"
    jq -e '.pairs == 3 and .kept == 0 and .rejected == 3' "$out/6.rejects.json"
    cmp "$out/6.rejects" "$out/6.rejects.rejects"
    run_stage "@$out/6.rejects.rejects"
    cmp "$out/6.rejects" "$out/6.rejects.rejects.rejects"
    jq -e '.archives == 9 and .kept == 79' "$out/manifest.json"
    cat whole/6.rejects <(sed 's/6.tar/0.tar/' whole/6.rejects) >"$BATS_TEST_TMPDIR/two.rejects"
    run run_stage "@$BATS_TEST_TMPDIR/two.rejects" # captions of one, pictures of the other
    [ "$status" = 1 ]
    [[ "$output" == *"names key train-000001 of more than one source: give their lists one by one"* ]]
}

@test "killed ten times at random moments, then run to the end: the same as undisturbed" {
    for turn in {1..10}; do
        setsid "$ROOT/pipelines/3-shards.sh" tokenizer.json dvae "$out" ?.tar 2>/dev/null 3>&- &
        session=$!
        wait=0.$(printf %03d $((RANDOM % 250)))
        echo "turn $turn: killed after $wait s, $(ls "$out" 2>/dev/null | wc -l) files"
        sleep "$wait"
        if [ $((turn % 3)) = 0 ]; then kill -9 "$session" || true; else kill_session "$session"; fi # its archives live on, or not
        wait "$session" || true
        for shard in "$out"/*.shard; do [ ! -e "$shard" ] || tok-check -q "$shard"; done
    done
    run_stage ?.tar
    until_there none_hidden # of an archive of the last run that was killed alone
    same_as_whole
}

@test "two at once, several archives at a time" {
    JOBS=2 run_stage ?.tar 2>"$BATS_TEST_TMPDIR/words" &
    JOBS=3 run_stage 6.tar 5.tar 4.tar 3.tar 2.tar 1.tar 0.tar
    wait $!
    same_as_whole
}

@test "TERM stops at once, USR1 behind the archive at hand; both leave 75 and nothing unfinished" {
    for signal in TERM USR1; do
        rm -rf "$out"
        "$ROOT/pipelines/3-shards.sh" tokenizer.json dvae "$out" ?.tar 2>"$BATS_TEST_TMPDIR/words" 3>&- &
        until_there some_done
        kill -$signal $!
        status=0
        wait $! || status=$?
        [ "$status" = 75 ]
        grep -q "3-shards.sh: stopped on request" "$BATS_TEST_TMPDIR/words"
        [ ! -e "$out/manifest.json" ]
        [ "$(ls "$out"/*.json | wc -l)" -lt 7 ]
        none_hidden
    done
    run_stage ?.tar
    same_as_whole
}

@test "an archive that is not there is named, the others are done, no manifest; what is no archive is a reject" {
    echo "no archive" >"$BATS_TEST_TMPDIR/x.tar"
    run run_stage 0.tar "$BATS_TEST_TMPDIR/x.tar" nowhere.tar 1.tar
    [ "$status" = 1 ]
    [[ "$output" == *"3-shards.sh: nowhere.tar: failed"*"1 of 4 archives failed"* ]]
    [[ "$output" == *"/x.tar: 0 of 0 pairs, 1 rejected"* ]]
    [ "$(cd "$out" && echo *)" = "0.json 0.shard 1.json 1.shard x.json x.rejects x.shard" ]
    jq -es '.[0].key == "" and (.[0].reason | endswith("neither tar nor zip"))' "$out/x.rejects"
    none_hidden
}

@test "plan.sh counts from rates that it measures" {
    plan() { "$ROOT/pipelines/plan.sh" "$@" >"$BATS_TEST_TMPDIR/plan"; }
    value() { sed -n "s/^$1 \{2,\}//p" "$BATS_TEST_TMPDIR/plan" | cut -d' ' -f1; }
    GPU_RATE=1000 PER=3000 plan 36000000 tokenizer.json dvae 0.tar
    [ "$(value archives)" = 12000 ]
    [ "$(value files)" = 36001 ]
    [ "$(value GPU-hours)" = 10 ]
    awk -v gb="$(value 'disk, archives')" -v bytes="$(stat -c %s 0.tar)" 'BEGIN {x = gb / (bytes / 12 * 36e6 / 1e9); exit !(x > 0.99 && x < 1.01)}'
    for what in captions pictures "pairs packed and checked"; do # hours times rate are the pairs, as far as digits go
        awk -v r="$(value "$what")" -v h="$(value "core-hours, $what")" 'BEGIN {exit !(r * h * 3600 > 30e6 && r * h * 3600 < 42e6)}'
    done
    plan 1000 tokenizer.json dvae 0.tar
    [ "$(value GPU-hours)" = unknown ]
    run "$ROOT/pipelines/plan.sh" many
    [ "$status" = 2 ]
    run "$ROOT/pipelines/plan.sh" 1000 tokenizer.json
    [ "$status" = 2 ]
}

@test "nothing is mixed up: names, other archives, other shards, other tokenizers" {
    mkdir "$BATS_TEST_TMPDIR/other"
    cp 0.tar "$BATS_TEST_TMPDIR/other/1.tar.gz"
    run run_stage 1.tar "$BATS_TEST_TMPDIR/other/1.tar.gz"
    [ "$status" = 2 ]
    [[ "$output" == *"same name as that of 1.tar" ]]
    run_stage 1.tar
    run run_stage "$BATS_TEST_TMPDIR/other/1.tar.gz" # by luck of the same size
    [ "$status" = 0 ]
    cp 6.tar "$BATS_TEST_TMPDIR/other/1.tar.gz"
    run run_stage "$BATS_TEST_TMPDIR/other/1.tar.gz"
    [ "$status" = 2 ]
    [[ "$output" == *"take another folder" ]]
    cp whole/0.shard "$out/stranger.shard"
    run run_stage 1.tar
    [ "$status" = 1 ]
    [[ "$output" == *"stranger.shard: has no summary"* ]]
    rm "$out/stranger.shard"
    SLOTS=32 run run_stage 2.tar
    [ "$status" = 1 ]
    [[ "$output" == *"shards of different"* ]]
    run run_stage
    [ "$status" = 2 ]
}
