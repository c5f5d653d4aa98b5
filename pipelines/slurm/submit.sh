#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# pairs -> shards/ on a Slurm cluster: a job array over ranges of archives, then a job that closes the set
#   submit.sh TOKENIZER DVAE FOLDER LIST [-- OPTION...]     LIST: a file, an archive a line; OPTIONs go to dvae-encode
# Everything lies on file systems that all nodes see; LIST stays as it is until the end.  PER: archives a task (16; more where
# the array would be larger than MaxArraySize allows); JOBS, SLOTS: as in 3-shards.sh.  What a task asks the cluster for comes
# from sbatch's own variables (SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_TIMELIMIT, SBATCH_GRES...).  Logs: FOLDER/log/.
# Run again, it does what is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../archives.sh"
archives_open "$1" "$2" "$3"
list=$4
shift 4
[ $# -gt 0 ] && shift
mapfile -t archives <"$list"
archives_check "${archives[@]}"
most=$(scontrol show config | awk '$1 == "MaxArraySize" {print $3}')
per=${PER:-16}
least=$(((${#archives[@]} + most - 1) / most))
if [ "$per" -lt "$least" ]; then per=$least; fi
tasks=$(((${#archives[@]} + per - 1) / per))
mkdir -p "$FOLDER/log"
work=("$here/task.sh" "$here/.." "$TOKENIZER" "$DVAE" "$FOLDER" "$list" "$per" "$@")
array=$(sbatch --parsable --array="0-$((tasks - 1))" --output="$FOLDER/log/%A_%a.txt" "${work[@]}")
close=$(sbatch --parsable --dependency="afterany:${array%%;*}" --output="$FOLDER/log/%j_close.txt" "${work[@]}")
echo "${#archives[@]} archives: job ${array%%;*}, $tasks tasks of $per; job ${close%%;*} closes the set"
