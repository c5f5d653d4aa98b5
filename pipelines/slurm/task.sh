#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#SBATCH --job-name=shards
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
# What submit.sh submits, twice: as an array, whose tasks take PER lines of LIST each, and as the job behind it, which does what
# tasks have left undone (a task that was killed, say) and writes the manifest.
#   task.sh PIPELINES TOKENIZER DVAE FOLDER LIST PER [OPTION...]
# USR1, 120 s before the time limit: the archives at hand are finished, and the job goes back into the queue.
set -euo pipefail
. "$1/archives.sh"
archives_open "$2" "$3" "$4"
list=$5 per=$6
shift 6
archive_options=("$@")
mapfile -t archives <"$list"
if [ "${SLURM_ARRAY_TASK_ID:-}" ]; then archives=("${archives[@]:SLURM_ARRAY_TASK_ID * per:per}"); fi
set +e # not "||": what runs below it would go on after a failure
archives_do "${archives[@]}"
status=$?
set -e
if [ "$archives_warned" ]; then
    if [ "$archives_finished" = 0 ]; then # again would be for ever
        archives_say "not one archive was done within the time limit"
        exit 1
    fi
    scontrol requeue "$SLURM_JOB_ID"
fi
if [ $status = 0 ] && [ ! "${SLURM_ARRAY_TASK_ID:-}" ]; then archives_close "${archives[@]}"; fi
exit $status
