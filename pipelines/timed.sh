# SPDX-License-Identifier: MIT
# timed.sh -- sourced: how long the stages of an experiment take, also in the file $stages

stage() { # name, command...
    local name=$1 from
    shift
    from=$(date +%s.%N)
    "$@"
    awk -v n="$name" -v a="$from" -v b="$(date +%s.%N)" 'BEGIN {printf "%-40s %7.1f s\n", n, b - a}' | tee -a "$stages"
}
