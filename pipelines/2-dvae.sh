#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# pictures -> dvae/
#   2-dvae.sh RUN SOURCE... [-- OPTION...]     SOURCE: pair archives; options go to dvae-train
# PRESET: small.  Run it again after a stop (exit status 75): it goes on.
set -euo pipefail
run=$1; shift
sources=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do sources+=("$1"); shift; done
[ $# -gt 0 ] && shift
tiny=()
[ "${TINY:-}" ] && tiny=(--steps 20)
[ "${TINY:-}" ] && : "${PRESET:=tiny}"
dvae-train --resume --preset "${PRESET:-small}" -o "$run" "$@" "${tiny[@]}" "${sources[@]}"
