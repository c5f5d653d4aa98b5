#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The files that the EXAMPLES of man pages speak of and do not make themselves, in files/.
set -euo pipefail
mkdir -p files/prior/ckpt-00000010
cp "$ROOT/formats/good/checkpoint.safetensors" files/prior/ckpt-00000010/model.safetensors
echo ckpt-00000010 > files/prior/latest
