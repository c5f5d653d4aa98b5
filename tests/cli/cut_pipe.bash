# SPDX-License-Identifier: MIT
# cut_pipe COMMAND...: run it with a standard output whose reader is gone.  A program in front of `head` may be done before
# head closes the pipe, so such a test would fail at times.
cut_pipe() {
    local status=0
    exec 9> >(:)
    wait $!
    "$@" >&9 || status=$?
    exec 9>&-
    return $status
}
