#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The house keeps its shape: a room of lib/ includes only the rooms that lib/ROOMS allows, and some headers only one door.
set -uo pipefail
cd "$(dirname "$0")/.."
n=0
result() { # bad lines, name
    n=$((n + 1))
    if [ -z "$1" ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; sed 's/^/# /' <<<"$1"; fi
}

while IFS=: read -r room allowed; do
    case $room in ''|\#*) continue ;; esac
    allow=$(printf '%s' "$room $allowed" | tr -s ' ' '|')
    bad=$(grep -rnoE '#include "[a-z]+/' "lib/$room" 2>/dev/null | grep -vE "\"(${allow%|})/")
    result "$bad" "lib/$room includes only: $room$allowed"
done <lib/ROOMS

bad=$(for d in lib/*/; do grep -q "^$(basename "$d"):" lib/ROOMS || echo "$d"; done)
result "$bad" "every room stands in lib/ROOMS"
result "$(grep -rlE '#include [<"](cuda|nccl)' lib cmd | grep -v '/cuda/')" "CUDA headers stay in their own folders"
result "$(grep -rl '#include <mpi.h>' lib cmd | grep -v '^lib/dist/mpi.c$')" "mpi.h is included by lib/dist/mpi.c only"
result "$(grep -rl 'dnnl' lib cmd --include='*.c' --include='*.h' | grep -v '^lib/compute/cpu/')" "oneDNN stays in lib/compute/cpu"
result "$(grep -rnE '\b(printf|exit|abort)\(' lib --include='*.c' | grep -vE 'lib/base/progress.c|snprintf|fprintf\(stderr')" \
    "the library neither prints nor exits"
result "$(find lib cmd tests pipelines -type f \( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' -o -name '*.bats' \) \
    -exec sh -c 'head -3 "$1" | grep -q SPDX-License-Identifier || echo "$1"' _ {} \;)" "every source file has its SPDX line"
result "$(wc -l lib/*/*.[ch] lib/*/*/*.[ch] 2>/dev/null | awk '$2 != "total" && $1 > 600')" "no library file has more than 600 lines"
result "$(wc -l cmd/*.c | awk '$2 != "total" && $1 > 300')" "no program has more than 300 lines"
echo "1..$n"
