#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Run every benchmark program; each prints its own table.  BUILD: the build folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
for source in tests/bench/*.c; do
    name=$(basename "$source" .c)
    echo "== $name"
    "${BUILD:-build}/tests/bench/$name"
done
