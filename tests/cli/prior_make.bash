# SPDX-License-Identifier: MIT
# A tokenizer and shards of a tiny world for the tests of the prior; `load prior_make` in a bats file.
#
# Captions name one of four colours and four shapes; each picture is 4x4 codes of 16, which depend on both.

digest_of() { printf "%02d" "$1" | sed 's/.*/&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&/'; } # 64 digits

# pictures FROM TO DIGEST > image.tok
pictures() {
    echo '{"armchair":"tok","kind":"image","image_vocab":16,"grid":[4,4],"image_digest":"'"$(digest_of "$3")"'"}' >"$BATS_TEST_TMPDIR/lines"
    seq "$1" $(($2 - 1)) | jq -c '. as $n | {key: "k\($n)", image: [range(16) | (. * ($n % 4 + 1) + $n / 4 % 4 | floor) % 16]}' \
        >>"$BATS_TEST_TMPDIR/lines"
    tok-load "$BATS_TEST_TMPDIR/lines"
}

# captions FROM TO > keyed lines
captions() {
    seq "$1" $(($2 - 1)) | jq -r '. as $n | "k\($n)\ta \(["red","green","blue","white"][$n % 4]) \(["circle","square","star","ring"][$n / 4 % 4 | floor])"'
}

# Makes tokenizer.json, text.tok, image.tok, train.shard (64 pairs), val.shard (16 pairs) in the current folder.
world() {
    captions 0 64 | cut -f 2 >captions.txt
    bpe-train -q --vocab 280 captions.txt >tokenizer.json
    captions 0 64 | bpe-encode -q -m tokenizer.json --keyed --slots 8 -o text.tok
    pictures 0 64 1 >image.tok
    shard-pack -q --text text.tok --image image.tok -o train.shard
    captions 64 80 | bpe-encode -q -m tokenizer.json --keyed --slots 8 -o val-text.tok
    pictures 64 80 1 >val-image.tok
    shard-pack -q --text val-text.tok --image val-image.tok -o val.shard
}

# One thread: tests run beside each other, and loops this small would mostly wait.
train() { prior-train -j 1 --preset tiny --layers 2 --width 16 --heads 2 "$@"; }
