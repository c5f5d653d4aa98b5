# SPDX-License-Identifier: MIT
# Small streams for the tests of token programs; `load tok_make` in a bats file.

# tokens KIND FROM TO > stream: records key FROM..TO-1 (images in reverse order)
tokens() {
    case $1 in
    text) echo '{"armchair":"tok","kind":"text","text_vocab":300,"text_slots":9,"provenance":["made by hand"]}' ;;
    image) echo '{"armchair":"tok","kind":"image","image_vocab":512,"grid":[2,3]}' ;;
    esac >"$BATS_TEST_TMPDIR/lines"
    case $1 in
    text) seq "$2" $(($3 - 1)) | jq -c '{key: "k\(.)", text: [range(. % 9) * 7]}' ;;
    image) seq $(($3 - 1)) -1 "$2" | jq -c '{key: "k\(.)", image: [range(6) + (. % 500)]}' ;;
    esac >>"$BATS_TEST_TMPDIR/lines"
    tok-load "$BATS_TEST_TMPDIR/lines"
}

# What a program prints on stderr must begin with its name and be one line.
one_line() { # program
    [[ "$output" == "$1: "* ]]
    [ "$(wc -l <<<"$output")" = 1 ]
}

# many KIND FROM TO > stream: the same keys on a grid of 32 x 32, quickly made: 2.1 KB an image
many() {
    python3 - "$BATS_TEST_DIRNAME/../reference" "$@" <<'END'
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from tok_make import Stream, record
text, keys = sys.argv[2] == "text", range(int(sys.argv[3]), int(sys.argv[4]))
stream = Stream(1) if text else Stream(2, grid=(32, 32))
stream.fill([record("k%d" % i, [i % 300] * (i % 9) if text else (), () if text else [i % 512] * 1024) for i in keys])
sys.stdout.buffer.write(stream.end())
END
}

# least_memory COMMAND: the least address space (KiB, to 256) in which bash can run it
least_memory() {
    local low=4096 high=4194304 middle
    while ((high - low > 256)); do
        middle=$(((low + high) / 2))
        if (ulimit -v $middle && eval "$1") >/dev/null 2>&1; then high=$middle; else low=$middle; fi
    done
    echo $high
}

no_sanitizer() {
    if grep -qaE '__[at]san_init' "$(command -v tok-check)"; then skip "sanitizers reserve address space"; fi
}
