#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# shards -> prior/
#   4-prior.sh RUN SHARD... [-- OPTION...]     options go to prior-train
# PRESET: small.  Run it again after a stop (exit status 75): it goes on.
set -euo pipefail
run=$1; shift
shards=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do shards+=("$1"); shift; done
[ $# -gt 0 ] && shift
tiny=()
[ "${TINY:-}" ] && tiny=(--steps 20)
[ "${TINY:-}" ] && : "${PRESET:=tiny}"
prior-train --resume --preset "${PRESET:-small}" -o "$run" "$@" "${tiny[@]}" "${shards[@]}"
