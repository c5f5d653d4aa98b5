#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load prior_make

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR world
}
setup() {
    cd "$BATS_TEST_TMPDIR"
    ln -s "$BATS_FILE_TMPDIR"/*.shard "$BATS_FILE_TMPDIR"/*.json "$BATS_FILE_TMPDIR"/*.tok .
}

@test "prior-train: learns, logs, validates, saves" {
    train -q -o run --steps 60 --log-every 20 --val val.shard --validate-every 30 --save-every 20 --keep 2 train.shard
    [ "$(ls -d run/ckpt-* | tr '\n' ' ')" = "run/ckpt-00000040 run/ckpt-00000060 " ]
    [ "$(ls run/ckpt-00000060 | tr '\n' ' ')" = "ema.safetensors model.safetensors state.safetensors " ]
    jq -se '(map(.step) == [1, 20, 30, 40, 60]) and (.[-1].loss < .[0].loss - 0.5) and (.[-1].val_loss < .[2].val_loss)
            and (.[-1] | has("loss_text") and has("loss_image") and has("tokens_per_s") and has("val_loss_image"))
            and (.[1] | has("val_loss") | not)' run/log.jsonl
    jq -se '.[0] | (.loss_image - (16 | log) | fabs) < 1e-5 and (.loss - (.loss_text + 7 * .loss_image) / 8 | fabs) < 1e-6' run/log.jsonl
    jq -e '.steps == 60 and .layers == 2 and .preset == "tiny"' run/config.json
}

@test "prior-train: metadata say what the model is and learnt from" {
    train -q -o run --steps 1 --min-pad 1 --masks dense train.shard
    head -c 4000 run/ckpt-00000001/model.safetensors | grep -ao '{"__metadata__.*' | head -c 3000 >header
    grep -q '"format":"armchair-prior 1"' header
    grep -q '\\"text_slots\\":8,\\"min_pad\\":1,\\"image_vocab\\":16,\\"grid_h\\":4,\\"grid_w\\":4' header
    grep -q '"masks":"dense"' header
    grep -q "\"image_digest\":\"$(digest_of 1)\"" header
    grep -q "\"text_digest\":\"$(tok-dump --header text.tok | jq -r .text_digest)\"" header
    grep -q 'shard-pack .*prior-train ' header
    grep -q '"step":"1"' header
}

@test "prior-train: N updates, resume, N more are N + N" {
    train -q -o whole --steps 12 --lr-over 100 --bpe tokenizer.json train.shard
    train -q -o parts --steps 5 --lr-over 100 --bpe tokenizer.json train.shard
    train -q -o parts --steps 12 --lr-over 100 --bpe tokenizer.json --resume train.shard
    for file in model ema state; do cmp whole/ckpt-00000012/$file.safetensors parts/ckpt-00000012/$file.safetensors; done
}

@test "prior-train: the same bytes for any number of threads and from a @LIST, other ones for another seed" {
    train -q -o one --steps 3 train.shard
    echo train.shard >list
    train -q -o three -j 3 --steps 3 @list
    train -q -o seed --steps 3 --seed 1 train.shard
    cmp one/ckpt-00000003/state.safetensors three/ckpt-00000003/state.safetensors
    ! cmp -s one/ckpt-00000003/model.safetensors seed/ckpt-00000003/model.safetensors
}

@test "prior-train: BPE dropout draws merges afresh, so more tokens come in" {
    train -q -o without --steps 4 --log-every 1 train.shard
    train -q -o whole --steps 4 --log-every 1 --bpe tokenizer.json --bpe-dropout 0 train.shard
    train -q -o drop --steps 4 --log-every 1 --bpe tokenizer.json --bpe-dropout 0.9 --text-slots 32 train.shard
    cmp without/ckpt-00000004/state.safetensors whole/ckpt-00000004/state.safetensors
    run train -o cut --steps 4 --bpe tokenizer.json --bpe-dropout 0.9 train.shard
    [ "$status" = 0 ]
    [[ "$output" == *"captions were longer than 7 tokens and cut at the right"* ]]
    jq -se '.[-1].cut > 10' cut/log.jsonl
    jq -se '.[-1].cut == 0' drop/log.jsonl
}

@test "prior-train: SIGTERM saves and exits 75" {
    timeout -s KILL 60 prior-train -q -j 1 --preset tiny --layers 2 --width 16 --heads 2 -o run --steps 1000000 train.shard 3>&- &
    pid=$! # timeout hands the signal on
    for i in $(seq 100); do [ -s run/log.jsonl ] && break; sleep 0.1; done
    kill -TERM $pid
    status=0
    wait $pid || status=$?
    [ "$status" = 75 ]
    step=$(sed 's/ckpt-0*//' run/latest)
    [ -e run/ckpt-"$(printf %08d "$step")"/state.safetensors ]
    train -q -o run --steps $((step + 1)) --resume train.shard
    [ -e run/ckpt-"$(printf %08d $((step + 1)))" ]
}

@test "prior-train: --dry-run of the paper's models needs no shards" {
    prior-train --dry-run --preset dalle-12b >plan
    [ "$(awk -F '\t' '$1 == "parameters" {print $2}' plan)" = 12292840960 ]
    [ "$(awk -F '\t' '$1 ~ /^parameters ./ {s += $2} END {printf "%.0f", s}' plan)" = 12292840960 ]
    for line in parameters masters gradients moments activations workspace total; do grep -qP "^memory $line\t\d+\tbytes\t" plan; done
    of() { awk -F '\t' -v name="$1" '$1 == name {print $2}' plan; }
    # 12.08e9 matrix elements of 16 bits, moments too, and all else as f32, averages too
    narrow=$((64 * 12 * 3968 * 3968)) wide=$((12292840960 - 64 * 12 * 3968 * 3968))
    [ "$(of checkpoint)" = $((6 * narrow + 12 * wide + 4 * (narrow + wide))) ]
    [ "$(of "memory total")" -lt $((97 << 30)) ] && [ "$(of "pairs at a time that fit")" -ge 10 ] # one GPU of 137 GiB
    prior-train --dry-run --preset dalle-12b --precision f32 --moments 32 >plan
    [ "$(of checkpoint)" = $((12292840960 * 16)) ]
    [ "$(of "pairs at a time that fit")" = 0 ]
    prior-train --dry-run --preset dalle-12b --device cuda --precision bf16 --moments 32 >plan
    [ "$(of "memory masters")" -gt $((4 * narrow)) ] && [ "$(of "memory gradients")" -gt $((4 * narrow)) ]
    [ "$(prior-train --dry-run --preset dalle-5.6b | head -1 | cut -f 2 | cut -c 1-2)" = 56 ]
    [ "$(prior-train --dry-run --preset dalle-2.8b | head -1 | cut -f 2 | cut -c 1-2)" = 29 ]
    [ "$(prior-train --dry-run --preset tiny train.shard | head -1)" = $'parameters\t'"$(prior-train --dry-run --preset tiny \
        --text-slots 8 --text-vocab "$(tok-dump --header text.tok | jq .text_vocab)" --image-vocab 16 --grid-h 4 --grid-w 4 | head -1 | cut -f 2)"$'\tvalues' ]
    run bash -c 'prior-train --dry-run --preset dalle-12b > /dev/full'
    [ "$status" = 1 ]
}

@test "prior-train: a run takes the memory that --dry-run says, within 3 %" {
    run python3 "$BATS_TEST_DIRNAME/memory.py" train.shard
    echo "$output"
    [ "$status" = 0 ]
}

@test "prior-train: fp16 learns as f32 does; scales, norms and zeros of each block stand in the log" {
    train -q -o wide --steps 60 --log-every 20 --precision f32 train.shard
    train -q -o half --steps 60 --log-every 20 --precision fp16 --moments 16 --recompute block train.shard
    jq -se '.[-1].loss' wide/log.jsonl >wide.loss
    jq -se --slurpfile wide wide.loss '(.[-1].loss / $wide[0] - 1 | fabs) < 0.02 and (.[-1].scales | length) == 4
        and (.[-1].norms | length) == 4 and (.[-1].zeros | all(. < 0.05)) and (.[-1].scales | all((. - 13.06 | fabs) < 1e-6))' half/log.jsonl
    jq -se '.[-1] | has("norms") | not' wide/log.jsonl
    head -c 9000 half/ckpt-00000060/model.safetensors | grep -aq '"layers.0.attn.q.weight":{"dtype":"F16"'
    head -c 9000 half/ckpt-00000060/state.safetensors | grep -aq '"m.layers.0.attn.q.weight":{"dtype":"U16"'
    ckpt-show half >/dev/null
    prior-sample -q -m half --seed 1 text.tok | tok-check -q
}

@test "prior-train: recomputed activations change no byte, in any precision" {
    for numbers in "f32" "bf16" "bf16 --no-master" "fp16 --moments 16"; do
        for part in none attention block; do
            rm -rf "$part"
            train -q -o "$part" --steps 3 --precision $numbers --recompute $part train.shard
        done
        for part in attention block; do
            cmp {none,$part}/ckpt-00000003/state.safetensors # moments: of every gradient
            for file in model ema; do cmp <(tail -c 8192 none/ckpt-00000003/$file.safetensors) <(tail -c 8192 $part/ckpt-00000003/$file.safetensors); done
        done
    done
}

@test "prior-train: every precision resumes bit for bit, and goes over to another when asked to" {
    for numbers in "f32 --moments 16" "bf16" "bf16 --no-master --moments 16" "fp16" "fp16 --moments 16 --grad-scale global"; do
        rm -rf whole parts
        train -q -o whole --steps 6 --lr-over 100 --precision $numbers train.shard
        train -q -o parts --steps 2 --lr-over 100 --precision $numbers train.shard
        train -q -o parts --steps 6 --lr-over 100 --precision $numbers --resume train.shard
        for file in model ema state; do cmp {whole,parts}/ckpt-00000006/$file.safetensors; done
    done
    run train -q -o parts --steps 8 --precision f32 --resume train.shard
    [ "$status" = 1 ]
    [[ "$output" == "prior-train: parts/ckpt-00000006/state.safetensors: the checkpoint was made with weights f16, now it is f32; --convert goes on" ]]
    train -q -o parts --steps 8 --precision f32 --resume --convert train.shard
    train -q -o parts --steps 10 --precision bf16 --resume --convert train.shard
    head -c 3000 parts/ckpt-00000010/state.safetensors | grep -aq '"weights":"bf16 with masters"'
}

@test "prior-train: scales that are powers of two leave no trace in f32" {
    for first in 0 8; do train -q -o at$first --steps 5 --precision f32 --grad-scale fixed --scale-first $first --val val.shard train.shard; done
    for file in model ema; do cmp <(tail -c 8192 at0/ckpt-00000005/$file.safetensors) <(tail -c 8192 at8/ckpt-00000005/$file.safetensors); done
    train -q -o at0 --steps 6 --precision f32 --grad-scale fixed --scale-first 10 --resume train.shard
    tail -1 at0/log.jsonl | jq -e ".scales == [10, 10, 10, 10]" # the one asked for now
}

@test "prior-train: a state whose gradient scales make no sense is refused" {
    train -q -o run --steps 2 --precision fp16 train.shard
    state=run/ckpt-00000002/state.safetensors
    at=$((8 + $(od -An -tu8 -N8 $state))) # behind the header: the updates of the last divisions, then the scales
    printf '\2' | dd of=$state bs=1 seek=$at conv=notrunc status=none && printf '\0\0\0\0\0\0\0' | dd of=$state bs=1 seek=$((at + 1)) conv=notrunc status=none
    run train -q -o run --steps 4 --precision fp16 --resume train.shard
    [ "$status" = 1 ]
    [[ "$output" == *"$state: gradient scale 0 is "*", divided in update 2" ]]
    printf '\377\377\377\377\377\377\377\377' | dd of=$state bs=1 seek=$at conv=notrunc status=none
    printf '\0\0\0\0\0\0\360\177' | dd of=$state bs=1 seek=$((at + 32)) conv=notrunc status=none
    run train -q -o run --steps 4 --precision fp16 --resume train.shard
    [ "$status" = 1 ]
    [[ "$output" == *"gradient scale 0 is inf"* ]]
}

@test "prior-train: numbers that do not go together" {
    for words in "--precision f32 --no-master" "--precision f32 --gradients 16" "--grad-scale block --scale-first 30" "--precision f16"; do
        run train -q -o run --steps 1 $words train.shard
        [ "$status" = 2 ]
        [ ! -e run ]
    done
}

@test "prior-train: a folder with checkpoints is not overwritten, another shape does not go on" {
    train -q -o run --steps 2 train.shard
    run train -q -o run --steps 4 train.shard
    [ "$status" != 0 ]
    [[ "$output" == *"--resume"* ]]
    run train -q -o run --steps 4 --resume --masks dense train.shard
    [ "$status" = 1 ]
    [[ "$output" == *"masks dense was asked for, the checkpoint has dalle"* ]]
    run train -q -o run --steps 4 --resume --kernel 3 train.shard
    [ "$status" = 1 ]
}

@test "prior-train: digests must agree" {
    pictures 0 64 2 >other.tok
    shard-pack -q --text text.tok --image other.tok -o other.shard
    run train -q -o run --steps 1 train.shard other.shard
    [ "$status" = 1 ]
    [[ "$output" == *"$(digest_of 1)"* ]] && [[ "$output" == *"$(digest_of 2)"* ]]
    run train -q -o run --steps 1 --val other.shard train.shard
    [ "$status" = 1 ]
    train -q -o run --steps 1 --force train.shard other.shard
    train -q -o again --steps 1 train.shard
    run train -q -o again --steps 2 --resume other.shard
    [ "$status" = 1 ]
    [[ "$output" == *"$(digest_of 2)"* ]]
    captions 0 64 | cut -f 2 | bpe-train -q --vocab 270 >other.json
    run train -q -o bpe --steps 1 --bpe other.json train.shard
    [ "$status" = 1 ]
    [[ "$output" == *"$(tok-dump --header text.tok | jq -r .text_digest)"* ]]
}

@test "prior-train: input that is not shards, or empty" {
    run train -o run --steps 1 text.tok
    [ "$status" = 1 ]
    : >empty
    run train -o run --steps 1 empty
    [ "$status" = 1 ]
    run train -o run --steps 1 missing
    [ "$status" = 1 ]
    [[ "$output" == "prior-train: missing: "* ]]
    [ ! -e run/latest ]
}

@test "prior-train: called wrongly" {
    for wrong in "train.shard" "-o run" "-o run --steps 0 train.shard" "-o run --width x train.shard" "--nothing" \
        "-o run --preset huge train.shard" "-o run --halve-at x train.shard"; do
        run prior-train $wrong
        [ "$status" = 2 ]
        [[ "$output" == "prior-train: "* ]]
    done
    run train -o run --steps 1 --heads 3 train.shard
    [ "$status" = 1 ]
    [[ "$output" == *"multiple of 8"* ]]
    prior-train --help | grep -q -- --bpe-dropout
    prior-train --version | grep -q Armchair
}
