#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What needs a GPU to be seen: operations on it, and the whole flow, small, beside the same on the CPU.
#   check.sh
# BUILD: the folder with bin/ and tests/ (the bundle that this file lies in, where not given).  ARMCHAIR_TEST_DEVICE: cuda, the
# first GPU, where not given.  ARMCHAIR_CUDA: the object, as for every program.  Bash, python3, the driver and CUDA's libraries
# suffice.  Speaks TAP and closes with one line of counts; exit status 1 where something failed or there is no GPU.
#
# Bounds   losses of training, f32: each of the first updates within 1e-3 of the CPU's; bf16 and fp16: within 2e-2
#          codes of pictures, of drawn candidates and of decoded pictures read again, f32: 98 of 100 are the CPU's
#          resumed runs, and a drawing alone and beside others: the same bytes
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${BUILD:-$here/../..}" && pwd)
device=${ARMCHAIR_TEST_DEVICE:-cuda}
export ROOT=$here/../.. # tests/reference lies there
export PATH=$build/bin:$PATH ARMCHAIR_TEST_DEVICE=$device CMOCKA_MESSAGE_OUTPUT=TAP LC_ALL=C.UTF-8
if [ "${ARMCHAIR_CUDA:-}" ]; then
    ARMCHAIR_CUDA=$(realpath "$ARMCHAIR_CUDA")
else # tests do not lie beside it
    for place in bin lib/armchair; do
        [ ! -e "$build/$place/libarmchair_cuda.so" ] || export ARMCHAIR_CUDA=$build/$place/libarmchair_cuda.so
    done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

n=0 failed=0
check() { # name, command...
    local name=$1
    shift
    n=$((n + 1))
    (set -e; "$@") >log 2>&1
    if [ $? = 0 ]; then # not (...) itself: in a condition set -e does nothing
        echo "ok $n - $name$(sed -n 's/^figure: /: /p' log | paste -sd, | sed 's/,: /, /g')"
    else
        echo "not ok $n - $name"
        tail -20 log | sed 's/^/# /'
        failed=$((failed + 1))
    fi
}

# ---- what is compared ------------------------------------------------------------------------------------------------

same_losses() { # run, run, bound: the largest relative difference of an update's loss
    python3 - "$@" <<'END'
import json, sys
a, b = ([json.loads(line) for line in open(run + "/log.jsonl")] for run in sys.argv[1:3])
assert len(a) == len(b) > 2, "runs of %d and %d updates" % (len(a), len(b))
worst = max(abs(x["loss"] - y["loss"]) / abs(x["loss"]) for x, y in zip(a, b))
print("figure: largest difference %.1e" % worst)
assert worst <= float(sys.argv[3]), "more than " + sys.argv[3]
END
}

same_codes() { # tokens, tokens, least share
    tok-dump "$1" >a.json
    tok-dump "$2" >b.json
    python3 - "$3" <<'END'
import json, sys
a, b = ([r for r in map(json.loads, open(name)) if "image" in r] for name in ("a.json", "b.json"))
assert [(r["key"], r["variant"]) for r in a] == [(r["key"], r["variant"]) for r in b] and a, "other records"
pairs = [p for x, y in zip(a, b) for p in zip(x["image"], y["image"])]
share = sum(p == q for p, q in pairs) / len(pairs)
print("figure: %.2f %% of %d codes, %d different" % (100 * share, len(pairs), len({p for p, q in pairs})))
assert share >= float(sys.argv[1]), "less than " + sys.argv[1]
END
}

same_records() { # tokens, tokens: all but the header
    cmp <(tok-dump "$1" | tail -n +2) <(tok-dump "$2" | tail -n +2)
}

# ---- the flow, small -------------------------------------------------------------------------------------------------

learn_dvae() { # device, run, options
    dvae-train -q --preset tiny --device "$1" -o "$2" --batch 4 --log-every 1 --save-every 0 --picture-every 0 \
        --lr-over 100 "${@:3}" pairs.tar
}
learn_prior() { # device, run, options
    prior-train -q --preset tiny --layers 4 --width 32 --heads 2 --kernel 3 --device "$1" -o "$2" --batch 4 --log-every 1 \
        --save-every 0 --lr-over 100 "${@:3}" pairs.shard
}
draw() { # device, tokens, options
    prior-sample -q -m prior --device "$1" -o "$2" "${@:3}" text.tok
}

# What both devices start from, made on the CPU: pictures, a vocabulary, a codebook that tells pictures apart, a prior.
world() {
    shapes-make -q -n 32 --size 16 -o pairs.tar
    shapes-make -q -n 32 --size 16 --captions --keyed -o captions.tsv
    cut -f 2 captions.tsv | bpe-train -q --vocab 300 -o tokenizer.json
    dvae-train -q --preset tiny --steps 400 --save-every 0 --picture-every 0 --device cpu -o dvae pairs.tar
    bpe-encode -q -m tokenizer.json --slots 12 --pairs pairs.tar -o all-text.tok
    dvae-encode -q -m dvae -o image.tok pairs.tar
    shard-pack -q --text all-text.tok --image image.tok -o pairs.shard
    head -4 captions.tsv | bpe-encode -q -m tokenizer.json --slots 12 --keyed -o text.tok
    learn_prior cpu prior --steps 100 --precision f32
}

learns_alike() { # dvae or prior, steps, bound, precision and further options
    rm -rf ours theirs
    "learn_$1" cpu ours --steps "$2" --precision f32
    "learn_$1" "$device" theirs --steps "$2" --precision "${@:4}"
    same_losses ours theirs "$3"
}

resumes() { # dvae or prior, options
    rm -rf "$1-whole" "$1-parts"
    "learn_$1" "$device" "$1-whole" --steps 4 "${@:2}"
    "learn_$1" "$device" "$1-parts" --steps 2 "${@:2}"
    "learn_$1" "$device" "$1-parts" --steps 4 --resume "${@:2}"
    for file in model ema state; do
        cmp "$1-whole/ckpt-00000004/$file.safetensors" "$1-parts/ckpt-00000004/$file.safetensors"
    done
}

encodes_alike() {
    dvae-encode -q -m dvae --device "$device" -o image-$device.tok pairs.tar
    same_codes image.tok image-$device.tok 0.98
}

decodes_alike() {
    for d in cpu "$device"; do
        dvae-decode -q -m dvae --device $d --tar -o decoded-$d.tar image.tok
        dvae-encode -q -m dvae -o again-$d.tok decoded-$d.tar
    done
    same_codes again-cpu.tok again-$device.tok 0.98
}

draws_alike() { # the same random numbers
    draw cpu drawn-cpu.tok -n 2 --seed 3
    draw "$device" drawn.tok -n 2 --seed 3
    same_codes drawn-cpu.tok drawn.tok 0.98
}

draws_steadily() { # precision
    draw "$device" together.tok -n 3 --batch 8 --precision "$1"
    draw "$device" again.tok -n 3 --batch 8 --precision "$1"
    cmp together.tok again.tok
    draw "$device" alone.tok -n 3 --batch 1 --precision "$1"
    same_records together.tok alone.tok
}

# One device from pictures to judged drawings.
flows() {
    mkdir -p flow
    learn_dvae "$device" flow/dvae --steps 6
    dvae-encode -q -m flow/dvae --device "$device" -o flow/image.tok pairs.tar
    shard-pack -q --text all-text.tok --image flow/image.tok -o flow/pairs.shard
    (cd flow && learn_prior "$device" prior --steps 4)
    prior-sample -q -m flow/prior --device "$device" -o flow/drawn.tok text.tok
    tok-check -q flow/drawn.tok
    dvae-decode -q -m flow/dvae --device "$device" --tar -o flow/drawn.tar flow/drawn.tok
    head -4 captions.tsv >flow/captions.tsv
    shapes-judge --captions flow/captions.tsv flow/drawn.tar
}

# ---- all of it -------------------------------------------------------------------------------------------------------

(set -e; world) >log 2>&1
if [ $? != 0 ]; then
    sed 's/^/check.sh: /' log >&2
    exit 1
fi
if ! words=$(dvae-encode -q -m dvae --device "$device" -o first.tok pairs.tar 2>&1); then
    echo "check.sh: nothing was checked: $words" >&2
    exit 1
fi
for test in "$build"/tests/ops/* $(grep -l ARMCHAIR_TEST_DEVICE "$build"/tests/unit/* 2>/dev/null); do
    [ -x "$test" ] && check "${test#"$build/tests/"} on $device" "$test"
done
check "pictures to codes as on the CPU" encodes_alike
check "codes to pictures as on the CPU" decodes_alike
check "training the dVAE, f32, as on the CPU" learns_alike dvae 6 1e-3 f32
check "training the dVAE, bf16, about as on the CPU" learns_alike dvae 6 2e-2 bf16
check "training the dVAE: 2 updates, resume, 2 more are 4" resumes dvae
check "training the prior, f32, as on the CPU" learns_alike prior 6 1e-3 f32
check "training the prior, bf16, about as on the CPU" learns_alike prior 6 2e-2 bf16
for numbers in "bf16 --no-master --moments 16 --recompute attention" "fp16 --moments 16 --recompute block"; do
    check "training the prior, $numbers, about as on the CPU" learns_alike prior 6 2e-2 $numbers
    check "training the prior, $numbers: resumes" resumes prior --precision $numbers
done
check "training the prior: 2 updates, resume, 2 more are 4" resumes prior
check "drawing, f32, as on the CPU" draws_alike
for precision in f32 bf16 int8; do
    check "drawing, $precision: again, alone and beside others the same bytes" draws_steadily $precision
done
check "from pictures to judged drawings" flows
echo "1..$n"
echo "$((n - failed)) passed, $failed failed"
[ $failed = 0 ]
