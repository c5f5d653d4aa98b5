#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each program has a man page that names every option of its table, passes mandoc's checks, and whose examples run.
#
# The lines of EXAMPLES inside `.Bd -literal` blocks are run as one script, in order, in an empty folder that tests/man/setup.sh
# has filled with the files that examples speak of.
set -uo pipefail
cd "$(dirname "$0")/.."
n=0
result() { # bad lines, name
    n=$((n + 1))
    if [ -z "$1" ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; sed 's/^/# /' <<<"$1"; fi
}

shared=$(mktemp -d)
trap 'rm -rf "$shared"' EXIT
(cd "$shared" && bash "$ROOT/tests/man/setup.sh") >"$shared/setup.log" 2>&1
result "$([ $? = 0 ] || tail -5 "$shared/setup.log")" "the files that examples speak of are made"

for source in cmd/*.c; do
    name=$(basename "$source" .c)
    case $name in tool*) continue ;; esac
    [ -e "build/bin/$name" ] || [ -e "$BUILD/bin/$name" ] || continue
    page=man/$name.1
    if [ ! -e "$page" ]; then result "no $page" "$name has a man page"; continue; fi
    result "$(mandoc -T lint -W warning "$page" 2>&1)" "$name: mandoc finds nothing wrong"
    text=$(mandoc -T utf8 "$page" | sed 's/.\x08//g')
    missing=$({ "$name" --help || echo "--no-such-program"; } | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u | while read -r word; do
        grep -qE -- "$word([^a-z0-9-]|\$)" <<<"$text" || echo "$word"; done)
    result "$missing" "$name: the man page names every option"
    script=$(awk '/^\.Sh /{in_examples = /EXAMPLES/} in_examples && /^\.Bd .*-literal/{keep = 1; next} /^\.Ed/{keep = 0}
                  in_examples && keep' "$page" | sed 's/\\e/\\/g; s/\\-/-/g; s/\\&//g; s/^\$ //')
    if [ -z "$script" ]; then result "none" "$name: the man page has examples"; continue; fi
    folder=$(mktemp -d "$shared/$name.XXXXXX")
    cp -r "$shared/files/." "$folder/"
    output=$(cd "$folder" && bash -euo pipefail -c "$script" 2>&1 </dev/null)
    status=$?
    result "$([ $status = 0 ] || { echo "exit status $status"; tail -5 <<<"$output"; })" "$name: the examples of the man page run"
done
for page in man/*.5; do
    [ -e "$page" ] && result "$(mandoc -T lint -W warning "$page" 2>&1)" "$(basename "$page"): mandoc finds nothing wrong"
done
echo "1..$n"
