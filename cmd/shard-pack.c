/* SPDX-License-Identifier: MIT */
/* shard-pack -- text and image tokens, or old shards, to shards: joined by key, shuffled, cut.
 *
 * Everything is read and sorted before the first byte is written: lib/format/shard_join.h says by what.  What does not fit in
 * memory waits on disk.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/progress.h"
#include "cmd/tool.h"
#include "format/pairs.h"
#include "format/shard_cut.h"
#include "format/shard_join.h"

#define SIZE_USUAL 32768 /* pairs a shard where the output is a pattern: about 70 MB at 256 + 1024 tokens */

static struct tool_list text, image;
static const char *output, *val_output, *rejects_file, *summary;
static const char *folder;
static int64_t size, seed, memory = 1 << 30;
static double val;
static bool keep, force;

static const struct tool_option options[] = {
    {0, "text", OPT_LIST, "FILE", "text tokens; may be given again", &text, 0, 0, 0},
    {0, "image", OPT_LIST, "FILE", "image tokens; may be given again", &image, 0, 0, 0},
    {'o', "output", OPT_STRING, "PATTERN", "write to this file, or to one a shard as in out-%06d.shard", &output, 0, 0, 0},
    {0, "size", OPT_INT, "N", "pairs a shard; 0: 32768 with a pattern, else all", &size, 0, 1e15, 0},
    TOOL_SEED(seed),
    {0, "memory", OPT_INT, "BYTES", "memory for records; what does not fit waits on disk", &memory, 1 << 20, 1e15, 0},
    {0, "temp", OPT_STRING, "FOLDER", "where that goes instead of TMPDIR or beside the output", &folder, 0, 0, 0},
    {0, "val", OPT_REAL, "SHARE", "share of the keys that goes to --val-output", &val, 0, 1, 0},
    {0, "val-output", OPT_STRING, "PATTERN", "where the validation pairs go", &val_output, 0, 0, 0},
    TOOL_KEEP(keep),
    TOOL_REJECTS(rejects_file),
    TOOL_SUMMARY(summary),
    TOOL_FORCE(force),
    TOOL_END
};
static struct tool tool = {.name = "shard-pack", .args = "[SHARD]...", .what = "join text and image tokens into shards",
                           .options = options, .min_args = 0, .max_args = -1, .lists = true};

struct pack {
    struct join *join;
    struct tok_header header; /* of the shards; provenance of all inputs */
    const char **source;      /* names of the inputs */
    int sources;
    char *folder;             /* owned: where records wait */
    struct rejects rejects;
    struct cutter train, val;
    struct progress progress;
    int64_t done;
};

static const char *name_of(const char *path)
{
    return strcmp(path, "-") == 0 ? "stdin" : path;
}

/* A look at the clock costs as much as a caption. */
static void show(struct pack *p)
{
    if (++p->done % 64 == 0)
        progress_show(&p->progress, p->done, NULL);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* The part of the output's header that inputs of this kind give. */
static int add_header(struct pack *p, struct tok_header *first, const struct tok_header *h, enum tok_kind kind,
                      const char *name)
{
    int rc;

    if (h->kind != kind)
        return err_set(ERR_MISMATCH, "%s: %s tokens, %s tokens are needed here", name, tok_kind_name(h->kind),
                       tok_kind_name(kind));
    if (first->kind && (rc = tok_header_match(first, h, force)) != 0)
        return err_set(rc, "%s: does not go with the other %s tokens: %s", name, tok_kind_name(kind), err_text());
    if (first->kind)
        return 0;
    *first = *h;
    first->provenance = NULL;
    if (kind & TOK_TEXT) {
        p->header.text_vocab = h->text_vocab;
        p->header.text_slots = h->text_slots;
        p->header.text_digest = h->text_digest;
    }
    if (kind & TOK_IMAGE) {
        p->header.image_vocab = h->image_vocab;
        p->header.grid_h = h->grid_h;
        p->header.grid_w = h->grid_w;
        p->header.image_digest = h->image_digest;
    }
    return 0;
}

static int read_input(struct pack *p, struct tok_header *first, enum tok_kind kind, const char *path)
{
    struct tok_reader *r;
    struct tok_record record;
    int rc;

    if ((rc = tok_open(&r, path)) != 0)
        return rc;
    tok_allow_mismatch(r, force);
    rc = add_header(p, first, tok_header_of(r), kind, name_of(path));
    while (rc == 0 && (rc = tok_next(r, &record)) > 0) {
        rc = join_add(p->join, tok_header_of(r), p->sources, &record);
        show(p);
    }
    if (rc == 0)
        rc = tok_provenance_merge(&p->header, tok_header_of(r)->provenance);
    p->source[p->sources++] = name_of(path);
    tok_close(r);
    return rc;
}

static int read_inputs(struct pack *p)
{
    struct tok_header firsts[TOK_PAIR + 1] = {0};
    int rc = 0;

    for (int i = 0; rc == 0 && i < text.count; i++)
        rc = read_input(p, &firsts[TOK_TEXT], TOK_TEXT, text.item[i]);
    for (int i = 0; rc == 0 && i < image.count; i++)
        rc = read_input(p, &firsts[TOK_IMAGE], TOK_IMAGE, image.item[i]);
    for (int i = 0; rc == 0 && i < tool.arg_count; i++)
        rc = read_input(p, &firsts[TOK_PAIR], TOK_PAIR, tool.arg[i]);
    return rc;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static int reject(struct pack *p, const struct joined *joined)
{
    const char *source = p->source[joined->source];

    if (!keep)
        return err_set(ERR_FORMAT, "%s: key %.500s: %s", source, joined->record.key, joined->problem);
    return rejects_add(&p->rejects, source, joined->record.key, joined->problem);
}

static int write_pairs(struct pack *p)
{
    struct joined joined;
    int rc;

    while ((rc = join_next(p->join, &joined)) > 0) {
        const struct tok_record *r = &joined.record;

        if (joined.problem)
            rc = reject(p, &joined);
        else
            rc = cutter_put(val_output && join_is_val(r->key, r->key_size, val) ? &p->val : &p->train, r);
        if (rc != 0)
            return rc;
        show(p);
    }
    if (rc != 0 || (rc = cutter_end(&p->train)) != 0)
        return rc;
    return val_output ? cutter_end(&p->val) : 0;
}

/* Shards of an earlier run with higher numbers would be taken for ours by a glob. */
static void warn_of_older(const struct cutter *c)
{
    char *path;

    if (!c->pattern || cutter_check(c->pattern) != 1 || cutter_name(&path, c->pattern, c->shards) != 0)
        return;
    if (access(path, F_OK) == 0)
        tool_say(&tool, "%s: stands there from an earlier run, this one wrote %" PRId64 " shards", path, c->shards);
    free(path);
}

static uint64_t shard_size(const char *pattern)
{
    return size ? (uint64_t)size : cutter_check(pattern) == 1 ? SIZE_USUAL : 0;
}

/* Scratch space that was named, or where there must be room for as much again: beside the output. */
static int waiting_folder(char **path)
{
    const char *named = folder ? folder : getenv("TMPDIR"), *slash = output ? strrchr(output, '/') : NULL;

    if (named && *named)
        *path = strdup(named);
    else
        *path = slash ? strndup(output, slash > output ? (size_t)(slash - output) : 1) : strdup(".");
    return *path ? 0 : err_set(ERR_NOMEM, "no memory for a name");
}

static int pack(struct pack *p)
{
    const char *line = tool_provenance(&tool);
    int64_t records;
    int rc;

    if ((rc = rejects_open(&p->rejects, rejects_file)) != 0)
        return rc;
    if ((rc = waiting_folder(&p->folder)) != 0 || (rc = join_create(&p->join, (uint64_t)seed, (size_t)memory, p->folder)) != 0)
        return rc;
    progress_start(&p->progress, tool.name, "records", 0, tool.verbose < 0);
    p->header.kind = TOK_PAIR;
    if ((rc = read_inputs(p)) != 0)
        return rc;
    if ((rc = join_sort(p->join)) != 0)
        return rc;
    if (tool.verbose > 0 && join_spilled(p->join))
        tool_say(&tool, "%" PRIu64 " sorted runs waited in %s", join_spilled(p->join), p->folder);
    cutter_init(&p->train, output, shard_size(output), &p->header, line);
    cutter_init(&p->val, val_output, shard_size(val_output), &p->header, line);
    records = p->done;
    p->done = 0;
    if ((rc = write_pairs(p)) != 0 || (rc = rejects_close(&p->rejects)) != 0)
        return rc;
    tool.skipped = p->rejects.count;
    progress_clear(&p->progress);
    warn_of_older(&p->train);
    if (val_output)
        warn_of_older(&p->val);
    return tool_summary(&tool, summary, (struct tool_count[]){
        {"records", records}, {"written", (int64_t)(p->train.count + p->val.count)}, {"left_out", p->rejects.count},
        {"shards", p->train.shards + p->val.shards}, {0}});
}

static int count_stdin(const char *const *names, int n)
{
    int count = 0;

    for (int i = 0; i < n; i++)
        count += strcmp(names[i], "-") == 0;
    return count;
}

static void check_usage(void)
{

    if (tool.arg_count ? text.count || image.count : !text.count || !image.count)
        tool_usage(&tool, "give --text and --image, or shards");
    if (cutter_check(output) < 0 || cutter_check(val_output) < 0)
        tool_usage(&tool, "%s", err_text());
    if ((val > 0) != (val_output != NULL))
        tool_usage(&tool, "--val and --val-output go together");
    if (count_stdin(text.item, text.count) + count_stdin(image.item, image.count) +
        count_stdin((const char *const *)tool.arg, tool.arg_count) > 1)
        tool_usage(&tool, "stdin can be read once only");
}

int main(int argc, char **argv)
{
    static struct pack p;
    int rc;

    tool_start(&tool, argc, argv);
    check_usage();
    if ((p.source = calloc((size_t)(text.count + image.count + tool.arg_count), sizeof *p.source)))
        rc = pack(&p);
    else
        rc = err_set(ERR_NOMEM, "no memory");
    progress_clear(&p.progress);
    cutter_drop(&p.train);
    cutter_drop(&p.val);
    out_abort(&p.rejects.out);
    join_free(p.join);
    free(p.folder);
    tok_header_fini(&p.header);
    free(p.source);
    return tool_finish(&tool, rc);
}
