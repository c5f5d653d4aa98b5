/* SPDX-License-Identifier: MIT */
/* tok-load -- JSON lines as tok-dump writes them back to a token stream or shard.  stdin or a file: JSON lines
 *
 * It adds no line of provenance, so that tok-dump x | tok-load gives the bytes of x.
 */
#include <inttypes.h>
#include <string.h>

#include "base/io.h"
#include "base/lines.h"
#include "cmd/tool.h"
#include "format/tok_json.h"

#define LINE_MAX_BYTES (64 << 20) /* a grid of 1024 x 1024 needs 7 MB */

static const char *output;
static bool shard, force;

static const struct tool_option options[] = {
    TOOL_OUTPUT(output),
    {0, "shard", OPT_FLAG, 0, "write a shard, whatever the header line says", &shard, 0, 0, 0},
    TOOL_FORCE(force),
    TOOL_END
};
static struct tool tool = {.name = "tok-load", .args = "[FILE]", .what = "make a token stream of JSON lines",
                           .options = options, .min_args = 0, .max_args = 1};

struct load {
    struct out out;
    struct tok_writer *w;    /* NULL until the header line */
    struct tok_header first; /* that all later ones must go with */
};

/* A header line: the first, or another part as in cat. */
static int start_stream(struct load *l, const struct tok_line *line)
{
    struct tok_writer *w = l->w;
    int rc = 0;

    if (!w)
        rc = tok_header_copy(&l->first, &line->header);
    else if ((rc = tok_header_match(&l->first, &line->header, force)) == 0) {
        l->w = NULL;
        rc = tok_end(w);
    }
    if (rc == 0)
        rc = tok_create(&l->w, &l->out, &line->header, NULL, shard || line->shard);
    return rc;
}

static int take_line(struct load *l, struct tok_line *line, const char *bytes, size_t size)
{
    int rc;

    if (strspn(bytes, " \t\r\n") >= size)
        return 0;
    if ((rc = tok_line_parse(line, bytes, size)) != 0)
        return rc;
    if (line->is_header)
        return start_stream(l, line);
    if (!l->w)
        return err_set(ERR_FORMAT, "a record before the header line");
    rc = tok_put(l->w, &line->record);
    return rc == ERR_ARG ? err_set(ERR_FORMAT, "%s", err_text()) : rc; /* our caller's lines are data, not a wrong call */
}

static int load(struct load *l, const char *path)
{
    struct tok_line line = {0};
    struct lines lines;
    int rc = lines_open(&lines, path, LINE_MAX_BYTES);

    while (rc == 0 && (rc = lines_next(&lines)) > 0)
        if ((rc = take_line(l, &line, lines.text, lines.size)) != 0)
            err_at(rc, "%s: line %" PRId64, lines.in.name, lines.number);
    if (rc == 0 && !l->w)
        rc = err_set(ERR_TRUNCATED, "%s: ends without a header line", lines.in.name);
    lines_close(&lines);
    tok_line_fini(&line);
    return rc;
}

int main(int argc, char **argv)
{
    struct load l = {0};
    int rc;

    tool_start(&tool, argc, argv);
    if ((rc = out_open(&l.out, output, true)) != 0 || (rc = load(&l, tool.arg_count ? tool.arg[0] : NULL)) != 0)
        goto out;
    rc = tok_end(l.w);
    l.w = NULL;
    if (rc == 0)
        rc = out_commit(&l.out);
out:
    tok_drop(l.w);
    out_abort(&l.out);
    tok_header_fini(&l.first);
    return tool_finish(&tool, rc);
}
