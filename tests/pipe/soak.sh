#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The preprocessing at length, not part of `make check`: PAIRS pairs (100,000), one in a hundred damaged in one of nine ways, go
# through pipelines/3-shards.sh undisturbed, then again killed KILLS times (10) at random moments.  Both must end with the
# same manifest, and every damaged pair, no other, must be among the rejects.
#   PATH=build/bin:$PATH tests/pipe/soak.sh FOLDER
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
cd "$1"
pairs=${PAIRS:-100000} kills=${KILLS:-10} archives=${ARCHIVES:-20} slots=11 seed=${SEED:-1}

if [ ! -e made ]; then
    shapes-make -q --size 32 --count 600 --seed 9 -o few.tar
    dvae-train -q --preset tiny --size 32 --steps 20 --save-every 0 --picture-every 0 -o dvae few.tar
    bpe-train -q --vocab 512 --pairs -o tokenizer.json few.tar
    rm -f a-*.tar
    for ((i = 0; i < archives; i++)); do
        shapes-make -q --size 32 --count $((pairs / archives)) --seed $((100 + i)) |
            python3 "$root/tests/pipe/soak_damage.py" "$i" >>damaged "a-$i.tar"
    done
    touch made
fi
echo "pairs: $(for a in a-*.tar; do tar tf "$a"; done | grep -c '\.txt$') captions, $(wc -l <damaged) damaged"

run() { SLOTS=$slots "$root/pipelines/3-shards.sh" tokenizer.json dvae "$1" a-*.tar; }
sums() { jq -c 'del(.seconds)' "$1/manifest.json"; }

rm -rf whole killed
begun=$(date +%s)
run whole >/dev/null
took=$(($(date +%s) - begun))
echo "undisturbed: $took s, $(jq -r '"sum \(.sum), \(.kept) kept, \(.rejected) rejected"' whole/manifest.json)"

RANDOM=$seed
for ((k = 1; k <= kills; k++)); do
    setsid bash -c "$(declare -f run); slots=$slots root='$root'; run killed" >/dev/null 2>&1 &
    random=$RANDOM # here: a subshell would draw the same number again and again
    sleep "$(awk -v r=$random -v t="$took" -v n="$kills" 'BEGIN {printf "%.2f", 0.1 + r / 32768 * t * 1.5 / n}')"
    if pkill -9 -s $! 2>/dev/null; then echo "killed $k: $(find killed -name '*.shard' 2>/dev/null | wc -l) shards there"; fi
    wait $! 2>/dev/null || true
done
run killed >/dev/null
echo "killed $kills times: $(jq -r '"sum \(.sum), \(.kept) kept, \(.rejected) rejected"' killed/manifest.json)"
cmp <(sums whole) <(sums killed)
cmp <(cat whole/*.rejects | jq -r .key | sort) <(sort damaged)
tok-check --sum --same whole/*.shard | tail -1
echo "the same"
