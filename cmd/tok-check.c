/* SPDX-License-Identifier: MIT */
/* tok-check -- are token streams and shards whole and undamaged?  stdin or files: .tok or .shard; stdout: a verdict each */
#include <inttypes.h>
#include <stdio.h>

#include "cmd/tool.h"
#include "format/tok.h"

static bool sums, same, force;

static const struct tool_option options[] = {
    {0, "sum", OPT_FLAG, 0, "also print a checksum of the records that does not depend on their order", &sums, 0, 0, 0},
    {0, "same", OPT_FLAG, 0, "all files must agree in kind, sizes and digests", &same, 0, 0, 0},
    TOOL_FORCE(force),
    TOOL_END
};
static struct tool tool = {.name = "tok-check", .args = "[FILE]...", .what = "check token streams and shards",
                           .options = options, .min_args = 0, .max_args = -1, .lists = true};

struct verdict {
    uint64_t records, sum;
    int64_t streams;
    bool shard;
    enum tok_kind kind;
};

static struct tok_header first; /* with --same: what all files must go with */
static bool have_first;

static int agree(const struct tok_header *h, const char *name)
{
    int rc;

    if (!same)
        return 0;
    if (!have_first) {
        have_first = true;
        return tok_header_copy(&first, h);
    }
    if ((rc = tok_header_match(&first, h, force)) != 0)
        rc = err_set(rc, "%s: does not go with the first file: %s", name, err_text());
    return rc;
}

static int check(struct verdict *v, const char *path, const char *name)
{
    struct tok_reader *r;
    struct tok_record record;
    uint64_t sum;
    int rc;

    *v = (struct verdict){0};
    if ((rc = tok_open(&r, path)) != 0)
        return rc;
    tok_allow_mismatch(r, force);
    v->shard = tok_is_shard(r);
    v->kind = tok_header_of(r)->kind;
    while ((rc = tok_next(r, &record)) > 0) {
        if (sums && (rc = tok_record_sum(&sum, &record)) != 0)
            break;
        v->sum += sums ? sum : 0;
    }
    v->records = tok_count(r);
    v->streams = tok_streams(r);
    if (rc == 0)
        rc = agree(tok_header_of(r), name);
    tok_close(r);
    return rc;
}

static void say_verdict(const struct verdict *v, const char *name, int rc)
{
    if (tool.verbose < 0)
        return;
    if (rc != 0) {
        printf("%s: bad\n", name);
        return;
    }
    printf("%s: ok, %" PRIu64 " records, %s%s", name, v->records, tok_kind_name(v->kind), v->shard ? " shard" : "");
    if (v->streams > 1)
        printf(", %" PRId64 " streams", v->streams);
    if (sums)
        printf(", sum %016" PRIx64, v->sum);
    putchar('\n');
}

int main(int argc, char **argv)
{
    struct verdict v;
    uint64_t records = 0, sum = 0;
    int64_t files, bad = 0;
    int rc, status;

    tool_start(&tool, argc, argv);
    files = tool.arg_count ? tool.arg_count : 1;
    for (int i = 0; i < files; i++) {
        const char *path = tool.arg_count ? tool.arg[i] : "-";
        const char *name = path[0] == '-' && !path[1] ? "stdin" : path;

        if ((rc = check(&v, path, name)) == ERR_ARG) /* a terminal */
            return tool_finish(&tool, rc);
        if (rc != 0) {
            bad++;
            if (tool.verbose >= 0)
                fprintf(stderr, "%s: %s\n", tool.name, err_text());
        }
        say_verdict(&v, name, rc);
        records += v.records;
        sum += v.sum;
    }
    if (sums && files > 1 && bad == 0 && tool.verbose >= 0)
        printf("total: ok, %" PRIu64 " records, sum %016" PRIx64 "\n", records, sum);
    tok_header_fini(&first);
    status = tool_finish(&tool, 0);
    return bad ? 1 : status;
}
