#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The CUDA object as nvcc made it: what it shows, what it needs, and that it loads without a GPU.
set -uo pipefail
cd "$(dirname "$0")/.."
object=$BUILD/nvcc/bin/libarmchair_cuda.so
if [ ! -e "$object" ]; then
    echo "1..0 # SKIP nvcc is not found, or a sanitizer is on: the CUDA object was not built"
    exit
fi
n=0
result() { # bad lines, name
    n=$((n + 1))
    if [ -z "$1" ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; sed 's/^/# /' <<<"$1"; fi
}

result "$(nm -D --defined-only "$object" | awk '{print $3}' | grep -vx armchair_backend)" "it shows one function"
result "$(readelf -d "$object" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
    grep -vE '^(libcublasLt|libstdc\+\+|libgcc_s|libc|libm|libdl|librt|libpthread|ld-linux-x86-64)\.so\.[0-9]+$')" \
    "it needs cuBLASLt, and else what every machine has"
said=$(ARMCHAIR_TEST_DEVICE=cuda ARMCHAIR_CUDA=$object "$BUILD/tests/ops/act" 2>&1)
result "$(grep -qE '^ok 1|no NVIDIA driver|driver is too old|no NVIDIA GPU' <<<"$said" || echo "$said")" \
    "it loads, and finds a GPU or says why not"
echo "1..$n"
