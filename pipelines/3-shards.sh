#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# pairs -> shards/
#   3-shards.sh TOKENIZER DVAE FOLDER ARCHIVE...
# One shard an archive, FOLDER/NAME.shard.  Run again, it does what is missing; two at once do no harm: a file that has its
# name is whole.  JOBS: archives at a time (1); SLOTS: text slots (256).  Bad records are left out and listed in FOLDER/NAME.*.rejects.
set -euo pipefail
export TOKENIZER=$1 DVAE=$2 FOLDER=$3
shift 3
mkdir -p "$FOLDER"
one() {
    set -euo pipefail
    local archive=$1 name work
    name=$(basename "$archive"); name=${name%.gz}; name=${name%.*}
    [ -e "$FOLDER/$name.shard" ] && exit 0
    work=$(mktemp -d "$FOLDER/.$name.XXXXXX")
    trap "rm -rf '$work'" EXIT # now: the local name is gone when it runs
    bpe-encode -q -k --rejects "$FOLDER/$name.text.rejects" --slots "${SLOTS:-256}" -m "$TOKENIZER" -o "$work/text.tok" "$archive"
    dvae-encode -q -k --rejects "$FOLDER/$name.image.rejects" -m "$DVAE" -o "$work/image.tok" "$archive"
    shard-pack -q -k --rejects "$FOLDER/$name.pack.rejects" --text "$work/text.tok" --image "$work/image.tok" \
        -o "$FOLDER/$name.shard"
}
export -f one
printf '%s\0' "$@" | xargs -0 -r -n 1 -P "${JOBS:-1}" bash -c 'one "$0"'
tok-check -q "$FOLDER"/*.shard
