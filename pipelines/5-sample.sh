#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# a caption -> png
#   5-sample.sh TOKENIZER DVAE PRIOR CAPTION SHEET.png [OPTION...]     options go to prior-sample
# N: candidates (16), COLUMNS of the sheet (4)
set -euo pipefail
tokenizer=$1 dvae=$2 prior=$3 caption=$4 sheet=$5; shift 5
printf '%s\n' "$caption" |
    bpe-encode -m "$tokenizer" |
    prior-sample -m "$prior" -n "${N:-16}" "$@" |
    dvae-decode -m "$dvae" --grid "${COLUMNS:-4}" -o "$sheet"
