#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Make ./files: what the examples of the man pages find in their folder.
set -euo pipefail
mkdir files
cd files
shapes-make -q --count 40 --size 32 --seed 1 -o pairs.tar
shapes-make -q --count 8 --size 32 --seed 2 --split held-out -o held-out.tar
shapes-make -q --count 40 --seed 1 --captions -o captions.txt
bpe-train -q --vocab 280 -o tokenizer.json captions.txt
bpe-encode -q -m tokenizer.json -o text.tok pairs.tar
dvae-train -q --preset tiny --steps 2 -o dvae pairs.tar
dvae-encode -q -m dvae -o image.tok pairs.tar
shard-pack -q --text text.tok --image image.tok -o out.shard
mkdir shards
cp out.shard shards/00000.shard
prior-train -q --preset tiny --steps 2 -o prior out.shard
