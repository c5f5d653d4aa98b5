#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# --device: what each program says when a GPU, its driver, or the object that knows it is not there or does not fit.

load prior_make

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR world
    train -q -o prior --steps 1 train.shard
    shapes-make -q -n 4 --size 16 -o pairs.tar
    dvae-train -q -j1 --preset tiny --steps 1 -o dvae pairs.tar
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    F=$BATS_FILE_TMPDIR
    export ARMCHAIR_CUDA=$BUILD/emulator/libarmchair_cuda.so
}

sample() { prior-sample -q -j1 -m "$F/prior" -o out.tok "$@" "$F/text.tok"; }

# The same in no more than one line, the exit status, and no file.
refused() { # status, words, then the device
    run sample --device "${3-cuda}"
    echo "$output"
    [ "$status" -eq "$1" ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output == "prior-sample: "*"$2"* ]]
    [ "$(find . -name '*out*')" = "" ]
}

emulated() { [ -e "$ARMCHAIR_CUDA" ] || skip "the thread sanitizer does not know the emulator's fibers"; }

@test "device: a name that is no device is a wrong option" {
    for name in gpu cuda: cuda:x cuda:1x cpu:1 "cuda 0" ""; do refused 2 "--device: '$name' is not one of cpu|cuda[:N]" "$name"; done
    refused 2 'there is no device "cuda:99999999999999999999"' cuda:99999999999999999999
}

@test "device: every program says that the object was not built, and writes nothing" {
    unset ARMCHAIR_CUDA
    mkdir alone # programs without an object beside them, whatever the build folder holds
    cp "$(command -v prior-sample)" "$(command -v prior-train)" "$(command -v dvae-train)" "$(command -v dvae-encode)" \
        "$(command -v dvae-decode)" alone
    PATH=$PWD/alone:$PATH
    words="libarmchair_cuda.so is neither in $PWD/alone/ nor in $PWD/alone/../lib/armchair/: it is built by make CUDA=1"
    tok-load <<< '{"armchair":"tok","kind":"image","image_vocab":32,"grid":[4,4]}' > none.tok
    for call in "prior-sample -m $F/prior -o out $F/text.tok" "prior-train --preset tiny -o out --steps 1 $F/train.shard" \
        "dvae-train --preset tiny -o out --steps 1 $F/pairs.tar" "dvae-encode -m $F/dvae -o out $F/pairs.tar" \
        "dvae-decode -m $F/dvae --tar -o out none.tok"; do
        run $call -q -j1 --device cuda
        [ "$status" -eq 1 ]
        [ "$output" = "${call%% *}: $words" ]
        [ ! -e out ]
    done
}

@test "device: the object is found beside a linked program, in ../lib/armchair, and by its variable" {
    unset ARMCHAIR_CUDA
    mkdir -p home/bin home/lib/armchair elsewhere
    cp "$(command -v prior-sample)" home/bin
    ln -s ../home/bin/prior-sample elsewhere/prior-sample
    PATH=$PWD/elsewhere:$PATH
    echo text > home/lib/armchair/libarmchair_cuda.so
    refused 1 "$PWD/home/bin/../lib/armchair/libarmchair_cuda.so: file too short"
    echo text > home/bin/libarmchair_cuda.so
    refused 1 "$PWD/home/bin/libarmchair_cuda.so: file too short"
    echo text > libmine.so
    ARMCHAIR_CUDA=libmine.so refused 1 "./libmine.so: file too short"
    ARMCHAIR_CUDA=none.so refused 1 "ARMCHAIR_CUDA: none.so: cannot read: No such file or directory"
}

@test "device: an object that is no backend, of another version, or lacks a library" {
    echo 'int nothing;' > other.c
    cc -shared -fPIC -o other.so other.c
    ARMCHAIR_CUDA=other.so refused 1 "./other.so: not a backend of this program"
    echo 'void *armchair_backend(int abi) { (void)abi; return 0; }' > old.c
    cc -shared -fPIC -o old.so old.c
    ARMCHAIR_CUDA=old.so refused 1 "./old.so: belongs to another version of this program"
    cc -shared -fPIC -o libgone.so other.c
    cc -shared -fPIC -o needs.so old.c -Wl,--no-as-needed -L. -lgone
    rm libgone.so
    ARMCHAIR_CUDA=needs.so refused 1 "./needs.so: needs libgone.so: cannot open shared object file"
}

@test "device: no driver, an old one, no GPU, too few, too old" {
    emulated
    EMULATOR_ERROR=35 EMULATOR_DRIVER=0 refused 1 "cuda: this machine has no NVIDIA driver"
    EMULATOR_ERROR=35 EMULATOR_DRIVER=11040 \
        refused 1 "cuda: the NVIDIA driver is too old: it knows CUDA 11.4, this build is for 13.0"
    EMULATOR_DEVICES=0 refused 1 "cuda: this machine has no NVIDIA GPU that may be used"
    EMULATOR_DEVICES=2 refused 2 "there is no device cuda:2; this machine has 2" cuda:2
    EMULATOR_CAPABILITY=7 refused 1 "cuda: emulated has compute capability 7.0; 8.0 is the least"
}

@test "device: memory that does not suffice is said; nothing is learnt from it" {
    emulated
    EMULATOR_MEMORY=1000 refused 1 "memory" # to open the device
    EMULATOR_MEMORY=$((32 << 20)) refused 1 "cuda: no memory for " # for the model
    [[ $output == *" MiB are free; --dry-run prints what is needed" ]]
    for call in "dvae-train --preset tiny $F/pairs.tar" "prior-train --preset tiny $F/train.shard"; do
        EMULATOR_MEMORY=$((32 << 20)) run $call -q -j1 --device cuda --steps 1 -o run
        [ "$status" -eq 1 ]
        [ "${#lines[@]}" -eq 1 ]
        [[ $output == "${call%% *}: cuda: no memory for "* ]]
        [ "$(find run -name 'ckpt-*')" = "" ]
        rm -rf run
    done
}

@test "device: nvcc's object on a machine without a driver" {
    ARMCHAIR_CUDA=$BUILD/nvcc/bin/libarmchair_cuda.so
    [ -e "$ARMCHAIR_CUDA" ] || skip "nvcc is not found: the CUDA object was not built"
    for driver in /usr/lib/*/libcuda.so.1 /usr/lib64/libcuda.so.1; do
        [ ! -e "$driver" ] || skip "this machine has a driver"
    done
    refused 1 "cuda: this machine has no NVIDIA driver"
}
