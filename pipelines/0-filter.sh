#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# pairs -> the pairs that are worth training on
#   0-filter.sh FOLDER ARCHIVE... [-- OPTION...]     options go to pairs-filter
# One archive each, FOLDER/NAME.tar, beside it what was left out (NAME.rejects) and a summary (NAME.json).  Run again, it does what
# is missing.  JOBS: archives at a time (1).  ASPECT (2) is the paper's; WORDS (2:) stands for its unknown "too short"; PATTERNS
# (boilerplate.ere).  The paper's language rule needs a program that writes keys: -- --keys english.keys
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export FOLDER=$1
shift
archives=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do archives+=("$1"); shift; done
[ $# -gt 0 ] && shift
mkdir -p "$FOLDER"
one() { # archive, option...
    set -euo pipefail
    local archive=$1 name
    shift
    name=$(basename "$archive"); name=${name%.gz}; name=${name%.*}
    [ -e "$FOLDER/$name.tar" ] && [ -e "$FOLDER/$name.json" ] && exit 0
    pairs-filter -k --rejects "$FOLDER/$name.rejects" --summary "$FOLDER/$name.json" -o "$FOLDER/$name.tar" "$@" "$archive"
}
export -f one
printf '%s\0' "${archives[@]}" | xargs -0 -r -I '{}' -P "${JOBS:-1}" bash -c 'one "$@"' one '{}' \
    --aspect "${ASPECT:-2}" --words "${WORDS:-2:}" --patterns "${PATTERNS:-$here/boilerplate.ere}" "$@"
