# SPDX-License-Identifier: MIT
# archives.sh -- sourced: pair archives to shards, one an archive, on as many machines as there are.
#
# Of each archive FOLDER gets NAME.shard, NAME.rejects (what is in no shard; "@FOLDER/NAME.rejects" is a source again),
# NAME.repeats (further records of keys that are in the shard) and, last, NAME.json, its summary: an archive with a summary is
# done.  Of the two lists only one that lists something is there.  formats/manifest.md has all fields.  All that is unfinished stands in a hidden folder FOLDER/.NAME.HOST.XXXXXX, so whatever is killed, at whatever moment,
# is done again by the next run, and two runs at once do work twice but no harm: names are given by rename, to the same bytes.
#
# A work folder is locked (flock) as long as one of its processes lives; the lock of a dead one is free, which is how the next
# run knows what to remove.  Some file systems keep locks to one machine: there another machine's folders go after a day.
#
# JOBS: archives at a time (1); SLOTS: text slots (256); OMP_NUM_THREADS: of each (its share of the processors)

declare -a archive_options=() # of dvae-encode
archives_finished=0           # by this run
archives_stop=                # "soon": begin nothing more; "now": end what runs
archives_warned=              # USR1 came
declare -A archives_running=()

archives_open() { # TOKENIZER DVAE FOLDER
    TOKENIZER=$1 DVAE=$2 FOLDER=$3
    export JOBS=${JOBS:-1} OMP_NUM_THREADS
    : "${OMP_NUM_THREADS:=$((($(nproc) + JOBS - 1) / JOBS))}"
    mkdir -p "$FOLDER"
}

archives_say() { echo "${0##*/}: $*" >&2; }

# The name without folder and extensions; of a list of rejects all of it, so that it may go to the folder it came from.
archive_name() { # ARCHIVE -> REPLY
    REPLY=${1%/}
    REPLY=${REPLY##*/}
    case $1 in
    @*.rejects) REPLY=${REPLY#@} ;;
    *)
        REPLY=${REPLY#@}
        case $REPLY in *.gz | *.xz | *.zst | *.bz2 | *.lz4) REPLY=${REPLY%.*} ;; esac
        case $REPLY in *.tar | *.zip | *.tgz | *.tsv | *.jsonl) REPLY=${REPLY%.*} ;; esac
        ;;
    esac
}

# Two archives of one name would be one shard, without a word.
archives_check() { # ARCHIVE...
    local archive
    local -A names=()
    if [ $# = 0 ]; then archives_say "no archives"; exit 2; fi
    for archive; do
        archive_name "$archive"
        case $REPLY in
        '' | .* | -* | *$'\n'*)
            archives_say "$archive: gives no name to a shard"
            exit 2
            ;;
        esac
        if [ "${names[$REPLY]+there}" ]; then
            archives_say "$archive: its shard would have the same name as that of ${names[$REPLY]}"
            exit 2
        fi
        names[$REPLY]=$archive
    done
}

archive_bytes() { # ARCHIVE -> bytes of a file, null of a folder
    local path=${1#@}
    if [ -f "$path" ]; then stat -L -c %s -- "$path"; else echo null; fi
}

archive_is_done() { # ARCHIVE
    local line bytes
    archive_name "$1"
    set -- "$1" "$REPLY"
    [ -s "$FOLDER/$2.json" ] && [ -e "$FOLDER/$2.shard" ] || return 1
    read -r line <"$FOLDER/$2.json" || true
    bytes=$(archive_bytes "$1")
    case $line in *"\"archive_bytes\":$bytes,"*) return 0 ;; esac
    archives_say "$1: has $bytes bytes, but $FOLDER/$2.json is of an archive of another size: take another folder"
    exit 2
}

# A list of rejects, or nothing.  Of two sources that use the same key, one's caption would be joined with the other's picture.
archive_list() { # ARCHIVE -> REPLY
    local twice
    REPLY=/dev/null
    case $1 in @*) if [ "$(head -c 1 -- "${1#@}")" = '{' ]; then REPLY=${1#@}; fi ;; esac
    twice=$(jq -nr '[inputs | {key, source}] | unique | group_by(.key)[] | select(length > 1)[0].key' "$REPLY" | sed -n 1p)
    if [ "$twice" ]; then
        archives_say "$1: names key $twice of more than one source: give their lists one by one"
        return 1
    fi
}

# What was left out, each key once with its first reason, the lines of a source beside each other.
archive_left_out() { # ARCHIVE LIST WORK
    jq -nc --arg archive "$1" --slurpfile list "$2" --slurpfile text "$3/text.rejects" \
        --slurpfile image "$3/image.rejects" --slurpfile pack "$3/pack.rejects" '
        ($list | map({(.key): .source}) | add) as $source |
        [$text[], $image[], ($pack[] | .source = ($source[.key]? // $archive))] | unique_by([.source, .key])[]'
}

# Of these lines those whose key is, or is not, in the shard.
archive_lines() { # WORK true|false
    jq -c --argjson is "$2" --rawfile keys <(tok-dump --keys "$1/shard") -n '
        (reduce ($keys / "\n")[] as $key ({}; .[$key] = true)) as $there | inputs | select(($there[.key] // false) == $is)' \
        "$1/left_out"
}

archive_summary() { # ARCHIVE NAME WORK BEGUN
    local sum
    sum=$(tok-check --sum "$3/shard") # reads all of it: what has a summary was whole
    jq -nc --arg archive "$1" --argjson archive_bytes "$(archive_bytes "$1")" --arg name "$2" --argjson begun "$4" \
        --argjson bytes "$(stat -c %s "$3/shard")" --arg sum "${sum##* }" --slurpfile header <(tok-dump --header "$3/shard") \
        --slurpfile text "$3/text.json" --slurpfile image "$3/image.json" --slurpfile pack "$3/pack.json" \
        --slurpfile rejects "$3/rejects" --slurpfile repeats "$3/repeats" '
        def rounded: . * 1000 | round / 1000;
        {$archive, $archive_bytes, shard: ($name + ".shard"), pairs: $text[0].records, kept: $pack[0].written,
         rejected: ($rejects | length), repeated: ($repeats | length),
         reasons: (reduce (($rejects + $repeats)[].reason | gsub("(?<![-A-Za-z])[0-9]+"; "N")) as $reason ({}; .[$reason] += 1)),
         cut: $text[0].cut, $bytes, $sum} +
        ($header[0] | {text_vocab, text_slots, text_digest, image_vocab, grid, image_digest}) +
        {seconds: {text: $text[0].seconds, image: $image[0].seconds, pack: $pack[0].seconds, all: (now - $begun)} |
         map_values(rounded)}'
}

# A folder for what is unfinished, locked until this process and all that it starts are gone.
archives_work() { # NAME -> REPLY
    local lock
    while :; do
        REPLY=$(mktemp -d "$FOLDER/.$1.$HOSTNAME.XXXXXX")
        exec {lock}<"$REPLY"
        flock "$lock" || true     # there are file systems without
        [ -e "$REPLY" ] && return # else it was taken for a leftover before it was locked
        exec {lock}<&-
    done
}

# One archive, in a process of its own.
archive_do() { # ARCHIVE
    set -euo pipefail
    local archive=$1 source name begun work list
    archive_name "$archive"
    name=$REPLY
    begun=$(date +%s.%N)
    archive_list "$archive"
    source=$REPLY
    archives_work "$name"
    work=$REPLY
    trap "rm -rf ${work@Q}" EXIT # now: the local name is gone when it runs
    trap 'exit 75' TERM
    bpe-encode -q -k --pairs --rejects "$work/text.rejects" --summary "$work/text.json" --slots "${SLOTS:-256}" -m "$TOKENIZER" \
        -o "$work/text.tok" "$archive"
    dvae-encode -q -k --rejects "$work/image.rejects" --summary "$work/image.json" -m "$DVAE" -o "$work/image.tok" \
        "${archive_options[@]}" "$archive"
    shard-pack -q -k --rejects "$work/pack.rejects" --summary "$work/pack.json" --text "$work/text.tok" \
        --image "$work/image.tok" -o "$work/shard"
    archive_left_out "$archive" "$source" "$work" >"$work/left_out"
    archive_lines "$work" false >"$work/rejects"
    archive_lines "$work" true >"$work/repeats"
    archive_summary "$archive" "$name" "$work" "$begun" >"$work/summary"
    sync "$work/rejects" "$work/repeats" "$work/summary"
    if [ ! -e "$FOLDER/$name.shard" ]; then rm -f "$FOLDER/$name.json"; fi # of a shard that is gone
    for list in rejects repeats; do
        if [ -s "$work/$list" ]; then mv "$work/$list" "$FOLDER/$name.$list"; else rm -f "$FOLDER/$name.$list"; fi
    done
    mv "$work/shard" "$FOLDER/$name.shard"
    jq -r '"\(.archive): \(.kept) of \(.pairs) pairs, \(.rejected) rejected, \(.repeated) repeated, \(.cut) captions cut, \(.seconds.all) s"' \
        "$work/summary" >&2
    mv "$work/summary" "$FOLDER/$name.json"
}

archives_sweep() { # what dead runs left
    local work lock
    for work in "$FOLDER"/.*.??????; do
        [ -d "$work" ] || continue
        case $work in
        *."$HOSTNAME".??????) ;;
        *) [ -z "$(find "$work" -mmin -1440 -print -quit 2>/dev/null)" ] || continue ;;
        esac
        exec {lock}<"$work" || continue
        if flock -n "$lock"; then rm -rf "$work"; fi
        exec {lock}<&-
    done
}

archives_end() { # TERM to what runs, with all its programs
    local pid
    for pid in "${!archives_running[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
}

# Wait for something to end, note all that ended.
archives_reap() { # -> archives_failed
    local pid
    wait -n 2>/dev/null || true
    if [ "$archives_stop" = now ]; then archives_end; fi
    for pid in "${!archives_running[@]}"; do
        if kill -0 "$pid" 2>/dev/null; then continue; fi
        if wait "$pid" 2>/dev/null; then
            archives_finished=$((archives_finished + 1))
        elif [ "$archives_stop" != now ]; then
            archives_say "${archives_running[$pid]}: failed"
            archives_failed=$((archives_failed + 1))
        fi
        unset "archives_running[$pid]"
    done
}

# All of them, JOBS at a time.  0: done; 1: some failed, the others are done; 75: stopped on request.
# TERM, INT, HUP: at once; USR1: what has begun is finished.
archives_do() { # ARCHIVE...
    local archive archives_failed=0 todo=()
    for archive; do
        if ! archive_is_done "$archive"; then todo+=("$archive"); fi
    done
    trap 'archives_warned=1 archives_stop=${archives_stop:-soon}' USR1
    trap 'archives_stop=now; archives_end' TERM INT HUP
    archives_sweep
    set -m # every archive its own process group
    for archive in "${todo[@]}"; do
        while [ ! "$archives_stop" ] && [ ${#archives_running[@]} -ge "$JOBS" ]; do archives_reap; done
        if [ "$archives_stop" ]; then break; fi
        if archive_is_done "$archive"; then continue; fi # by another run, meanwhile
        (archive_do "$archive") </dev/null &
        archives_running[$!]=$archive
    done
    while [ ${#archives_running[@]} -gt 0 ]; do archives_reap; done
    set +m
    archives_sweep
    trap - USR1 TERM INT HUP
    if [ "$archives_stop" ]; then
        archives_say "stopped on request; run again to go on"
        return 75
    fi
    if [ $archives_failed -gt 0 ]; then
        archives_say "$archives_failed of $# archives failed"
        return 1
    fi
}

# The summaries, in byte order of names.
archives_summaries() { find "$FOLDER" -maxdepth 1 -name '[!.]*.json' ! -name manifest.json -print0 | LC_ALL=C sort -z | xargs -0 -r cat; }

# Close the set: every archive given must be done, every shard of the folder must be one of the set.  FOLDER/manifest.json
# is written last.
archives_close() { # ARCHIVE...
    local archive missing=0 sum=0 one work
    for archive; do
        if archive_is_done "$archive"; then continue; fi
        archives_say "$archive: not done"
        missing=$((missing + 1))
    done
    if [ $missing -gt 0 ]; then archives_say "$missing of $# archives are not done: no manifest"; return 1; fi
    for one in $(archives_summaries | jq -r .sum); do sum=$((sum + 16#$one)); done # mod 2^64, as tok-check --sum
    archives_work manifest
    work=$REPLY
    if ! archives_summaries | jq -nr --arg sum "$(printf %016x $sum)" --rawfile there <(
        find "$FOLDER" -maxdepth 1 -name '[!.]*.shard' -printf '%f\t%s\n') '
        def same(f): map(f) | unique | if length > 1 then error("shards of different \(.)") else .[0] end;
        def total(f): map(f) | add;
        [inputs] as $all |
        ($there / "\n" | map(select(. != "") / "\t" | {(.[0]): (.[1] | tonumber)}) | add // {}) as $size |
        ($size | keys - [$all[].shard] | if . != [] then error("\(.[0]): has no summary") else empty end),
        ($all[] | select($size[.shard] != .bytes) | error("\(.shard): has not \(.bytes) bytes, as its summary says")),
        ({armchair: "manifest", version: 1, archives: ($all | length)} +
         ($all | {pairs: total(.pairs), kept: total(.kept), rejected: total(.rejected), repeated: total(.repeated), cut: total(.cut),
             reasons: (reduce (.[].reasons | to_entries[]) as $r ({}; .[$r.key] += $r.value) |
                 to_entries | sort_by(-.value, .key) | (.[:100] | from_entries) +
                 if length > 100 then {others: (.[100:] | map(.value) | add)} else {} end),
             bytes: total(.bytes), $sum, text_vocab: same(.text_vocab), text_slots: same(.text_slots),
             text_digest: same(.text_digest), image_vocab: same(.image_vocab), grid: same(.grid),
             image_digest: same(.image_digest), seconds: (total(.seconds.all) | . * 1000 | round / 1000)}) |
         tojson | .[:-1] + ",\"shards\":["),
        ($all | length as $n | range($n) as $i | .[$i] |
         ({file: .shard, pairs: .kept, bytes, sum} | tojson) + if $i < $n - 1 then "," else "]}" end)' >"$work/manifest"; then
        rm -rf "$work"
        archives_say "$FOLDER: no manifest"
        return 1
    fi
    sync "$work/manifest"
    mv "$work/manifest" "$FOLDER/manifest.json"
    rmdir "$work"
    jq -r --arg path "$FOLDER/manifest.json" '"\($path): \(.archives) archives, \(.kept) of \(.pairs) pairs, \(.rejected) rejected, " +
        "\(.repeated) repeated, \(.cut) captions cut, sum \(.sum)"' "$FOLDER/manifest.json" >&2
}
