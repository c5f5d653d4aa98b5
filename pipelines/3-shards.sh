#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# pairs -> shards/
#   3-shards.sh TOKENIZER DVAE FOLDER ARCHIVE... [-- OPTION...]     options go to dvae-encode
# One shard an archive, FOLDER/NAME.shard; beside it NAME.json, what became of its pairs, and where some were left out
# NAME.rejects: "@FOLDER/NAME.rejects" is an ARCHIVE again.  FOLDER/manifest.json closes the set.  Run again, it does what is missing; killed
# at any moment, or two at once, it does no harm.  TERM stops at once, USR1 behind the archives at hand (exit status 75).
# JOBS: archives at a time (1); SLOTS: text slots (256).  On a cluster: slurm/submit.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/archives.sh"
archives_open "$1" "$2" "$3"
shift 3
archives=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do archives+=("$1"); shift; done
[ $# -gt 0 ] && shift
archive_options=("$@")
archives_check "${archives[@]}"
archives_do "${archives[@]}"
archives_close "${archives[@]}"
