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
