#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Run every test there is and close with one line of counts.  BUILD: the build folder.  With arguments: only these files.
#
# Each test speaks TAP (Test Anything Protocol), so prove counts them: programs under tests/unit and tests/ops (cmocka),
# scripts under tests/cli and tests/pipe (bats), and the shell scripts beside this one.  Operations, and the units that ask for
# a device by unit/device_open.h, run once more on the emulated GPU, each as a link to tests/emulated.sh.
set -uo pipefail
cd "$(dirname "$0")/.."
build=$PWD/${BUILD:-build}
export BUILD=$build PATH="$build/bin:$PATH" CMOCKA_MESSAGE_OUTPUT=TAP LC_ALL=C.UTF-8 ROOT=$PWD
# libarchive and others keep what they allocated once for the whole process; our own leaks still show.
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0" ASAN_OPTIONS="${ASAN_OPTIONS:-allocator_may_return_null=1}"
# Tests run side by side: threads that wait must not spin on the processors that others work on.
export OMP_WAIT_POLICY=passive
export TSAN_OPTIONS="${TSAN_OPTIONS:-ignore_noninstrumented_modules=1}"

if [ $# -gt 0 ]; then
    tests=("$@")
else
    shopt -s nullglob
    tests=(tests/layers.sh tests/man.sh tests/nvcc.sh)
    for source in tests/unit/*.c tests/ops/*.c; do tests+=("$build/${source%.c}"); done
    if [ -e "$build/emulator/libarmchair_cuda.so" ]; then
        mkdir -p "$build/emulator"/{ops,unit}
        for source in tests/ops/*.c $(grep -l device_open.h tests/unit/*.c); do
            test=$build/emulator/${source#tests/}
            ln -sf "$PWD/tests/emulated.sh" "${test%.c}"
            tests+=("${test%.c}")
        done
    fi
    tests+=(tests/fuzz.sh tests/cli/*.bats tests/pipe/*.bats)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
prove -j "$(nproc)" -e '' "${tests[@]}" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
total=$(sed -n 's/^Files=[0-9]*, Tests=\([0-9]*\),.*/\1/p' "$log")
# "Failed 2/30 subtests" of each program; one that dies otherwise counts as one failure.
failed=$(sed -n 's/^.*Failed \([0-9]*\)\/[0-9]* subtests.*/\1/p' "$log" | awk '{sum += $1} END {print sum + 0}')
[ "$failed" = 0 ] && [ "$status" != 0 ] && failed=1
total=${total:-0}
echo "$((total > failed ? total - failed : 0)) passed, $failed failed"
[ "$failed" = 0 ] && [ "$total" -gt 0 ]
