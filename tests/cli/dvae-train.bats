#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    shapes-make -q -n 24 --size 16 -o pairs.tar
    shapes-make -q -n 5 --size 16 --split held-out -o held-out.tar
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    export P="$BATS_FILE_TMPDIR/pairs.tar"
}

tiny() { dvae-train -q -j1 --preset tiny --lr-over 15 "$@"; }

@test "dvae-train: a run folder with its log, pictures and checkpoints" {
    tiny --val "$BATS_FILE_TMPDIR/held-out.tar" -o run "$P"
    [ "$(cat run/latest)" = ckpt-00000020 ]
    [ -e run/ckpt-00000010/model.safetensors ]
    [ -e run/pictures/00000020.png ]
    jq -e '.program == "dvae-train" and .size == 16 and .vocab == 32 and ."tau-end" == 0.0625' run/config.json
    jq -s -e 'map(.step) == [1, 10, 20]' run/log.jsonl
    jq -s -e 'all(has("relaxed_elb") and has("hard_elb") and has("nll") and has("kl") and has("kl_weight") and has("tau") and
        has("beta") and has("codes") and has("perplexity") and has("psnr") and has("lr") and has("grad_norm"))' run/log.jsonl
    jq -s -e '.[0].tau == 1 and .[0].beta == 0 and .[2].beta == 1 and (.[2].kl_weight * 48 - 1 | fabs) < 1e-6 and (.[2] | has("val_psnr")) and
        .[2].kl >= 0 and .[2].kl <= 3.47 and .[2].codes <= 32 and .[2].perplexity <= .[2].codes' run/log.jsonl
    ckpt-show run | grep -q decoder.blocks.output.conv.b
}

@test "dvae-train: save and resume give the same bytes as one run" {
    tiny -o one "$P"
    tiny --steps 7 -o two "$P"
    tiny --resume -o two "$P"
    for file in model ema state; do cmp one/ckpt-00000020/$file.safetensors two/ckpt-00000020/$file.safetensors; done
    diff <(jq -c 'del(.examples_per_s, .loss, .nll, .kl, .codes, .perplexity)' one/log.jsonl | tail -1) \
         <(jq -c 'del(.examples_per_s, .loss, .nll, .kl, .codes, .perplexity)' two/log.jsonl | tail -1)
}

@test "dvae-train: the same bytes for any number of threads" {
    for p in f32 bf16; do
        tiny --steps 3 --init 24 --hid 16 --precision $p -o one-$p "$P"
        tiny --steps 3 --init 24 --hid 16 --precision $p -j 3 -o three-$p "$P"
        cmp one-$p/ckpt-00000003/state.safetensors three-$p/ckpt-00000003/state.safetensors
    done
    ! cmp -s one-f32/ckpt-00000003/state.safetensors one-bf16/ckpt-00000003/state.safetensors
}

@test "dvae-train: micro batches draw the same noise, so the loss is the same" {
    tiny --steps 2 --log-every 1 -o one "$P"
    tiny --steps 2 --log-every 1 --micro 3 -o two "$P"
    paste <(jq .loss one/log.jsonl) <(jq .loss two/log.jsonl) | awk '{d = $1 - $2; if (d * d > 1e-9) exit 1}'
}

@test "dvae-train: a run of another shape, or without --resume, is refused" {
    tiny --steps 1 -o run "$P"
    run tiny --steps 2 -o run "$P"
    [ "$status" -ne 0 ]
    [[ "$output" == *"--resume"* ]]
    run tiny --hid 16 --resume --steps 2 -o run "$P"
    [ "$status" = 1 ]
    [[ "$output" == *"hid 16 was asked for, the checkpoint has hid 8"* ]]
    run tiny --seed 9 --resume --steps 2 -o run "$P"
    [ "$status" = 1 ]
}

@test "dvae-train: SIGTERM saves and exits 75, kill -9 leaves the last whole checkpoint" {
    dvae-train -q -j1 --preset tiny --steps 1000000 --save-every 0 --picture-every 0 -o run "$P" 3>&- &
    pid=$!
    for ((i = 0; i < 300; i++)); do [ -s run/log.jsonl ] && break; sleep 0.1; done
    kill -TERM $pid
    status=0; wait $pid || status=$?
    [ "$status" = 75 ]
    dvae-encode -q -j1 -m run "$P" | tok-check -q -
    dvae-train -q -j1 --preset tiny --steps 1000000 --save-every 1 --picture-every 0 --resume -o run "$P" 3>&- &
    pid=$!
    before=$(cat run/latest)
    for ((i = 0; i < 300; i++)); do [ "$(cat run/latest)" != "$before" ] && break; sleep 0.1; done
    kill -KILL $pid
    wait $pid || true
    dvae-encode -q -j1 -m run "$P" | tok-check -q -
    step=$(cat run/latest); step=$((10#${step#ckpt-} + 2))
    dvae-train -q -j1 --preset tiny --steps $step --resume -o run "$P"
    [ "$(cat run/latest)" = "$(printf 'ckpt-%08d' $step)" ]
}

@test "dvae-train: sources: several, a folder, a list, stdin, pictures read again" {
    mkdir folder && tar -xf "$P" -C folder
    for i in folder/*.png; do printf '%s\tx\n' "$i"; done > list.tsv
    tiny --steps 3 -o a "$P"
    tiny --steps 3 -o b folder
    tiny --steps 3 -o c - < "$P"
    tiny --steps 3 --memory 1 -o d "$P"
    tiny --steps 3 --memory 1 -o e folder
    tiny --steps 3 --memory 1 -o f @list.tsv
    for run in b c d e; do
        [ "$(jq -c 'del(.examples_per_s)' a/log.jsonl)" = "$(jq -c 'del(.examples_per_s)' $run/log.jsonl)" ]
    done
    run tiny --steps 3 --memory 1 -o g - < "$P"
    [ "$status" = 1 ]
    [[ "$output" == *"can only be read again"* ]]
    tiny --steps 1 -o h "$P" "$BATS_FILE_TMPDIR/held-out.tar"
    run tiny -o i /nowhere.tar
    [ "$status" = 1 ]
}

@test "dvae-train: a bad picture stops the run before it begins, -k leaves it out" {
    mkdir folder && tar -xf "$P" -C folder
    head -c 100 folder/train-000003.png > cut && mv cut folder/train-000003.png
    run tiny -o run folder
    [ "$status" = 1 ]
    [[ "$output" == *"train-000003"* ]]
    tiny --steps 1 -k --rejects bad.jsonl -o run folder 2> words
    jq -e '.key == "train-000003"' bad.jsonl
    grep -q "1 records left out" words
    run tiny --size 32 --downs 2 -o small "$P"
    [ "$status" = 1 ]
    [[ "$output" == *"smaller than 32"* ]]
}

@test "dvae-train: --dry-run" {
    dvae-train --dry-run --preset openai | awk -F'\t' '$1 == "parameters" && $2 == 97616006 {ok = 1} END {exit !ok}'
    dvae-train --dry-run --preset openai --hid 128 | grep -q "^memory total"
    [ ! -e run ]
}

@test "dvae-train: --config, presets, wrong calls" {
    printf '# mine\npreset = tiny\nsteps = 2\nvocab = 16\n' > my.conf
    dvae-train -q -j1 --config my.conf -o run "$P"
    jq -e '.steps == 2 and .vocab == 16 and .hid == 8' run/config.json
    run dvae-train -q -o x
    [ "$status" = 2 ]
    run dvae-train -q "$P"
    [ "$status" = 2 ]
    run dvae-train --hid 6 --dry-run
    [ "$status" = 1 ]
    [[ "$output" == *"hid 6 is not a multiple of 4"* ]]
    run dvae-train --size 30 --dry-run
    [ "$status" = 1 ]
    run dvae-train --no-such-option
    [ "$status" = 2 ]
}

@test "dvae-train: flat pictures without dither warn of a collapse" {
    mkdir flat
    { printf 'P6 16 16 255\n'; printf '%768s' '' | tr ' ' '\200'; } > flat/a.ppm
    dvae-train -j1 --preset tiny --steps 40 --vocab 512 --dither 0 -o run flat 2> words
    jq -s -e 'any(.warn // "" | startswith("collapse"))' run/log.jsonl
    grep -q "COLLAPSE" words
}
