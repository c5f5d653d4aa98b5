#!/usr/bin/env bats
# SPDX-License-Identifier: MIT

load cut_pipe

setup() {
    cd "$BATS_TEST_TMPDIR"
    good=$ROOT/formats/good bad=$ROOT/formats/bad
    mkdir -p run/ckpt-00000010 run/ckpt-00000020
    for file in model state; do cp "$good/checkpoint.safetensors" run/ckpt-00000010/$file.safetensors; done
    cp -r run/ckpt-00000010/. run/ckpt-00000020
    cp "$good/types.safetensors" run/ckpt-00000020/ema.safetensors
    echo ckpt-00000020 > run/latest
}

@test "ckpt-show: a file says what it is" {
    run ckpt-show "$good/checkpoint.safetensors"
    [ "$status" = 0 ]
    [[ "$output" == *"config.layers"*" 1"* ]]
    [[ "$output" == *"format              armchair-prior 1"* ]]
    [[ "$output" == *"step                10"* ]]
    [[ "$output" == *"provenance          shapes-make 0.1 --count=2"$'\n'"                      prior-train 0.1 --steps=10"* ]]
    [[ "$output" == *"image.token.weight"*"F32"*"[2, 2]"* ]]
    [[ "$output" == *"final"*"2"*"4"*"16"* ]]
    [[ "$output" == *"total"*"8"*"32"* ]]
    [[ "$output" == *"whole, all values finite" ]]
}

@test "ckpt-show: --json agrees with the reader written after the page" {
    for file in checkpoint types no-tensors; do
        ckpt-show --json "$good/$file.safetensors" | jq -S '{tensors, values, bytes, digest}' > ours
        python3 "$ROOT/tests/reference/checkpoint_read.py" "$good/$file.safetensors" | jq -S '{tensors, values, bytes, digest}' > theirs
        cmp ours theirs
    done
    ckpt-show --json "$good/checkpoint.safetensors" | jq -e '.good and .metadata.config.kernel == 11 and .metadata.step == "10"
        and .parts.final == {"tensors": 2, "values": 4, "bytes": 16}'
}

@test "ckpt-show: a run folder is its newest checkpoint, averaged weights first" {
    run ckpt-show run
    [ "$status" = 0 ]
    [[ "${lines[0]}" == "run/ckpt-00000020/ema.safetensors" ]]
    [[ "$output" == *"run/ckpt-00000020/model.safetensors"*"8 values; whole, all values finite"* ]]
    [[ "$output" == *"run/ckpt-00000020/state.safetensors"* ]]
    run ckpt-show --raw run
    [[ "${lines[0]}" == "run/ckpt-00000020/model.safetensors" ]]
    [[ "$output" == *"run/ckpt-00000020/ema.safetensors"* ]]
    run ckpt-show run/ckpt-00000010
    [ "$status" = 0 ]
    [[ "${lines[0]}" == "run/ckpt-00000010/model.safetensors" ]]
    ckpt-show --json run | jq -e '.good and (.others | length) == 2 and (.others | map(.good) | all)'
}

@test "ckpt-show: --tensors prints statistics of these" {
    run ckpt-show --tensors 'final.*' "$good/checkpoint.safetensors"
    [ "$status" = 0 ]
    [[ "$output" == *"final.norm.bias"*"F32"*"-1"*"-0.75"*"-0.5"*"0.79057"*"[2]"* ]]
    [[ "$output" != *"image.token.weight"* ]]
    ckpt-show --json --tensors 'f32' "$good/types.safetensors" | jq -e '.tensors == [{"name": "f32", "type": "F32", "shape": [2],
        "min": -0.0, "mean": 0.75, "max": 1.5, "rms": (.tensors[0].rms)}] and (.tensors[0].rms - 1.0606601717798212 | fabs < 1e-8)'
    ckpt-show --json --tensors empty "$good/types.safetensors" | jq -e '.tensors[0].min == null'
    run ckpt-show --tensors nothing "$good/types.safetensors"
    [ "$status" = 1 ]
    [[ "$output" == *"no tensor is called nothing"* ]]
}

@test "ckpt-show: damage is named, and the exit status is 1" {
    run ckpt-show "$bad/checkpoint-infinite.safetensors"
    [ "$status" = 1 ]
    [[ "$output" == *"w "*"1 not finite"* ]]
    [[ "$output" == *"NOT GOOD"* ]]
    [[ "$output" == *"ckpt-show: $bad/checkpoint-infinite.safetensors: tensor w: 1 of 2 values are not finite"* ]]
    for file in "$bad"/checkpoint-*.safetensors; do
        run ckpt-show "$file"
        [ "$status" = 1 ]
        [[ "$output" == *"ckpt-show: $file: "* ]]
    done
    # all paths are looked at
    run ckpt-show "$bad/checkpoint-cut.safetensors" "$bad/checkpoint-gap.safetensors" "$good/checkpoint.safetensors"
    [ "$status" = 1 ]
    [[ "$output" == *"checkpoint-cut.safetensors: tensor"* && "$output" == *"checkpoint-gap.safetensors: tensor"* ]]
    [[ "$output" == *"sha256 of all tensors"* ]]
    ckpt-show --json "$bad/checkpoint-cut.safetensors" 2>/dev/null | jq -e '.good == false' 
}

@test "ckpt-show: a checkpoint that latest names is shown also when it is damaged" {
    truncate -s 100 run/ckpt-00000020/state.safetensors
    run ckpt-show run
    [ "$status" = 1 ]
    [[ "$output" == *"ckpt-show: run/ckpt-00000020/state.safetensors: header of 696 bytes ends behind"* ]]
    rm run/ckpt-00000020/model.safetensors
    run ckpt-show run
    [ "$status" = 1 ]
    [[ "$output" == *"run/ckpt-00000020: no model.safetensors in it"* ]]
    rm run/latest
    run ckpt-show run
    [ "$status" = 0 ]
    [[ "${lines[0]}" == "run/ckpt-00000010/model.safetensors" ]]
}

@test "ckpt-show: nothing there, empty files, other files" {
    mkdir empty
    run ckpt-show empty
    [ "$status" = 1 ]
    [[ "$output" == *"ckpt-show: empty: no whole checkpoint in this folder"* ]]
    : > none.safetensors
    run ckpt-show none.safetensors
    [ "$status" = 1 ]
    [[ "$output" == *"none.safetensors: 0 bytes are no safetensors file"* ]]
    run ckpt-show gone
    [ "$status" = 1 ]
    [[ "$output" == *"gone: cannot open: No such file"* ]]
    run ckpt-show "$good/pairs.tar"
    [ "$status" = 1 ]
    [[ "$output" == *"not a safetensors file"* ]]
}

@test "ckpt-show: control characters of a file do not reach the terminal" {
    python3 - <<'END'
import json, struct
text = json.dumps({"__metadata__": {"k\u001b[1m": "v\u001b[2J"}, "t\u001b": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}).encode()
open("evil.safetensors", "wb").write(struct.pack("<Q", len(text)) + text)
END
    ckpt-show evil.safetensors > out
    ! grep -q $'\x1b' out
    grep -q 'k?\[1m' out
}

@test "ckpt-show: pipes, a full disk, wrong calls" {
    run cut_pipe ckpt-show "$good/types.safetensors"
    [ "$status" = 141 ]
    run bash -c "ckpt-show '$good/types.safetensors' > /dev/full"
    [ "$status" = 1 ]
    [[ "$output" == "ckpt-show: stdout: No space left on device" ]]
    run ckpt-show
    [ "$status" = 2 ]
    run ckpt-show --no-such-option x
    [ "$status" = 2 ]
    run ckpt-show --tensors
    [ "$status" = 2 ]
}
