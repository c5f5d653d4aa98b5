#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# captions -> tokenizer.json
#   1-vocab.sh tokenizer.json SOURCE...        SOURCE: a text file, one caption a line, or a pair archive
# VOCAB: text vocabulary (16384); SPLIT: what a word is (dalle; gpt2 keeps the space before a word in it, so captions are shorter)
set -euo pipefail
out=$1; shift
[ "${TINY:-}" ] && : "${VOCAB:=300}"
bpe-train --split "${SPLIT:-dalle}" --vocab "${VOCAB:-16384}" -o "$out" "$@"
