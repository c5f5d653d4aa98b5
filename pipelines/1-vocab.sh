#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# captions -> tokenizer.json
#   1-vocab.sh tokenizer.json SOURCE...        SOURCE: a text file, one caption a line, or a pair archive
# VOCAB: text vocabulary (16384)
set -euo pipefail
out=$1; shift
[ "${TINY:-}" ] && : "${VOCAB:=300}"
bpe-train --vocab "${VOCAB:-16384}" -o "$out" "$@"
