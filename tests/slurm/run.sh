#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A real Slurm on this machine, munge, slurmctld and two slurmd under their own ports and folders, runs pipelines/slurm/ over 30
# archives.  In the middle a task is warned as before its time limit, a worker is killed, and a node with all that runs on it;
# at the end the manifest and every byte of the shards must be those of 3-shards.sh run alone.  Speaks TAP.
# As root (munged gives up root by itself); BUILD: the build folder; KEEP=1: leave the folder, which is named then.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
export PATH="$root/${BUILD:-build}/bin:$PATH" OMP_NUM_THREADS=1 LC_ALL=C.UTF-8
[ "$(id -u)" = 0 ] || { echo "Bail out! make check-slurm starts daemons: run it as root" >&2; exit 1; }
for need in munged slurmctld slurmd sbatch shapes-make; do
    command -v $need >/dev/null || { echo "Bail out! $need: not installed" >&2; exit 1; }
done

dir=$(mktemp -d /tmp/armchair-slurm.XXXXXX)
chmod 755 "$dir"
daemons=()
export SLURM_CONF=$dir/slurm.conf

ours() { # every process of the jobs: they have our SLURM_CONF
    local environ
    for environ in /proc/[0-9]*/environ; do
        if tr '\0' '\n' 2>/dev/null <"$environ" | grep -qxF "$1"; then
            environ=${environ#/proc/}
            [ "${environ%/environ}" = $$ ] || echo "${environ%/environ}"
        fi
    done
}

close_down() {
    local status=$?
    trap - EXIT
    set +e
    [ $status = 0 ] || tail -n 20 "$dir"/log/*.log "$dir"/shards/log/* 2>/dev/null | sed 's/^/# /'
    scancel --me 2>/dev/null
    kill "${daemons[@]}" 2>/dev/null
    sleep 1
    kill -9 "${daemons[@]}" $(ours "SLURM_CONF=$SLURM_CONF") 2>/dev/null
    wait 2>/dev/null
    if [ "${KEEP:-}" ]; then echo "# kept: $dir"; else rm -rf "$dir"; fi
    exit $status
}
trap close_down EXIT
trap 'exit 1' INT TERM

number=0
ok() { # condition and name as text: both are looked at now, the name last
    local verdict="not ok"
    number=$((number + 1))
    if eval "$1"; then verdict=ok; fi
    echo "$verdict $number - $(eval "echo \"$2\"")"
    [ "$verdict" = ok ] || exit 1
}

until_there() { # seconds, condition as text
    local end=$((SECONDS + $1))
    until eval "$2"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

# ---- the cluster -------------------------------------------------------------------------------------------------------

node() { # NAME
    slurmd -D -N "$1" >"$dir/log/slurmd-$1.log" 2>&1 &
    daemons+=($!)
    node_pid[$1]=$!
    disown $! # no word from bash when it is killed
}
declare -A node_pid=()

mkdir "$dir/munge" "$dir/log" "$dir/state" "$dir/spool"
head -c 128 /dev/urandom >"$dir/munge/key"
chown -R munge: "$dir/munge"
chmod 711 "$dir/munge"
chmod 400 "$dir/munge/key"
setpriv --reuid munge --regid munge --clear-groups munged --foreground --socket="$dir/munge/socket" --key-file="$dir/munge/key" \
    --pid-file="$dir/munge/pid" --log-file="$dir/munge/log" --seed-file="$dir/munge/seed" 2>"$dir/log/munged.log" &
daemons+=($!)
port=$((20000 + RANDOM % 10000))
memory=$(awk '/^MemTotal/ {print int($2 / 2048)}' /proc/meminfo)
cat >"$SLURM_CONF" <<END
ClusterName=armchair
SlurmctldHost=localhost
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdTimeout=10
KillWait=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MaxArraySize=10
NodeName=n[1-2] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + 2))] CPUs=1 RealMemory=$memory
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
ok 'until_there 20 "[ -S $dir/munge/socket ]"' "munged runs"
slurmctld -D -i >"$dir/log/slurmctld-words.log" 2>&1 &
daemons+=($!)
node n1
node n2
ok 'until_there 40 "[ \"\$(sinfo -h -t idle -o %D 2>/dev/null)\" = 2 ]"' "slurmctld runs, two nodes are idle"

# ---- what is to be done, and one machine doing it ----------------------------------------------------------------------

cd "$dir"
for i in {00..29}; do shapes-make -q --count $((700 + 10#$i)) --size 64 --seed "$i" -o "$i.tar"; done
dd if=/dev/zero of=13.tar bs=1 seek=600 count=200 conv=notrunc status=none # a picture that is none
ls -- ??.tar >list
bpe-train -q --vocab 300 -o tokenizer.json 00.tar
dvae-train -q --preset tiny --size 64 --hid 32 --steps 3 -o dvae 00.tar
"$root/pipelines/3-shards.sh" tokenizer.json dvae serial ??.tar 2>serial.txt
ok '[ "$(wc -l <serial/13.rejects)" = 1 ]' "one machine alone: $(tail -1 serial.txt)"

# ---- the array, disturbed ----------------------------------------------------------------------------------------------

done_count() { compgen -G 'shards/[0-9]*.json' | wc -l || true; }

running_on() { squeue -h -t R -w "$1" -o %A; }

script_of() { # JOB: the process of its batch script
    local pid
    for pid in $(ours "SLURM_JOB_ID=$1"); do
        if grep -qa slurm_script "/proc/$pid/cmdline" 2>/dev/null && ! grep -qa slurm_script "/proc/$(parent "$pid")/cmdline"; then
            echo "$pid"
        fi
    done
}

parent() { awk '$1 == "PPid:" {print $2}' "/proc/$1/status"; }

words=$(PER=2 "$root/pipelines/slurm/submit.sh" tokenizer.json dvae shards list)
ok '[[ $words == "30 archives: job "*", 10 tasks of 3; job "*" closes the set" ]]' "$words"
array=$(sed 's/.*: job \([0-9]*\),.*/\1/' <<<"$words")

warned=
warn() { # a task that has done one archive and has more to do; Slurm's --signal=B:USR1@120 reaches the same process
    local job task
    while read -r job task; do
        if [ "$(grep -c ' pairs, ' "shards/log/${array}_$task.txt")" = 1 ] && kill -USR1 $(script_of "$job"); then
            warned=$task
            return 0
        fi
    done < <(squeue -h -t R -j "$array" -o '%A %K')
    return 1
}
ok 'until_there 60 warn' "a task is warned as before its time limit: \$warned"
ok 'until_there 30 "grep -q \"stopped on request\" shards/log/${array}_$warned.txt"' "it stops behind the archive at hand"

# A worker: the processes of one task's batch script, by SIGKILL.
until_there 60 '[ "$(running_on n1)" ]'
victim=$(running_on n1 | head -1)
kill -9 $(ours "SLURM_JOB_ID=$victim") 2>/dev/null || true # some die with others
ok '[ "$(done_count)" -lt 30 ]' "job $victim is killed with $(done_count) archives done"

# A node: its slurmd, what stands above its batch scripts, and all that they run.
until_there 60 '[ "$(running_on n2)" ] && [ "$(script_of "$(running_on n2 | head -1)")" ]'
lost=$(running_on n2 | head -1)
keeper=$(parent "$(script_of "$lost")")
kill -9 "${node_pid[n2]}"
kill -9 "$keeper" $(ours "SLURM_JOB_ID=$lost") 2>/dev/null || true
ok '[ "$(done_count)" -lt 30 ]' "node n2 is killed with job $lost and $(done_count) archives done"
ok 'until_there 90 "[ \"\$(sinfo -h -n n2 -t down -o %D)\" = 1 ]"' "slurmctld sees that n2 is down"
ok 'until_there 60 "scontrol show job $lost | grep -qE \"Restarts=[1-9]\""' "job $lost is in the queue again"
node n2
ok 'until_there 300 "[ -z \"\$(squeue -h -o %i)\" ]"' "the queue is empty, \$(done_count) archives are done"

# ---- the same ----------------------------------------------------------------------------------------------------------

ok '[ -e shards/manifest.json ]' "the manifest closes the set"
ok 'diff <(jq "del(.seconds)" serial/manifest.json) <(jq "del(.seconds)" shards/manifest.json)' "it is that of one machine alone"
same=1
for name in serial/*.shard serial/*.rejects; do cmp "$name" "shards/${name##*/}" || same=0; done
ok '[ $same = 1 ]' "the shards and lists have the same bytes"
ok '[ "$(tok-check --sum shards/*.shard | tail -1)" = "$(tok-check --sum serial/*.shard | tail -1)" ]' \
    "$(tok-check --sum shards/*.shard | tail -1)"
ok 'grep -q " pairs, " <(sed "1,/stopped on request/d" "shards/log/${array}_$warned.txt")' "the task that was warned went on"
find shards -mindepth 1 -name '.*' -exec touch -d '2 days ago' {} + # other hosts' leftovers go after a day
"$root/pipelines/3-shards.sh" tokenizer.json dvae shards ??.tar 2>again.txt
ok '[ -z "$(find shards -mindepth 1 -name ".*")" ]' "nothing unfinished is left"
echo "1..$number"
