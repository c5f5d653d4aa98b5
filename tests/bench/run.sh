#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Run every benchmark program; each prints its own table.  BUILD: the build folder.  PYTHON: one with the peers' packages.
# PEERS: the folder with peers of the models (peers.py, which runs prior_step and dvae_step at the sizes that are compared).
# A program with a script of its name beside it is run by that.
set -euo pipefail
cd "$(dirname "$0")/../.."
for source in tests/bench/*.c; do
    name=$(basename "$source" .c)
    echo "== $name"
    if [ -e "tests/bench/$name.py" ]; then "${PYTHON:-python3}" "tests/bench/$name.py"
    else "${BUILD:-build}/tests/bench/$name"; fi
done
if [ "${PEERS:-}" ]; then
    echo "== peers"
    "${PYTHON:-python3}" tests/bench/peers.py
fi
