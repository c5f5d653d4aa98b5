/* SPDX-License-Identifier: MIT */
/* tok-dump -- a token stream or shard as JSON lines.  stdin or a file: .tok or .shard */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cmd/tool.h"
#include "format/tok_json.h"

static const char *output;
static bool only_header, only_count, only_stats, only_keys, grid, force;

static const struct tool_option options[] = {
    TOOL_OUTPUT(output),
    {0, "header", OPT_FLAG, 0, "print the header line only", &only_header, 0, 0, 0},
    {0, "count", OPT_FLAG, 0, "print the number of records only", &only_count, 0, 0, 0},
    {0, "stats", OPT_FLAG, 0, "print token statistics only, as one JSON object", &only_stats, 0, 0, 0},
    {0, "keys", OPT_FLAG, 0, "print the key of each record only, one a line", &only_keys, 0, 0, 0},
    {'g', "grid", OPT_FLAG, 0, "write images as rows of their grid", &grid, 0, 0, 0},
    TOOL_FORCE(force),
    TOOL_END
};
static struct tool tool = {.name = "tok-dump", .args = "[FILE]", .what = "print token streams and shards as JSON lines",
                           .options = options, .min_args = 0, .max_args = 1};

/* How often each token occurs. */
struct usage {
    uint64_t seen[TOK_VOCAB_MAX];
    uint64_t tokens;
    uint32_t least, most; /* tokens in a record */
};

static struct usage text, image;

static void count_tokens(struct usage *u, const uint16_t *v, uint32_t n, bool first)
{
    for (uint32_t i = 0; i < n; i++)
        u->seen[v[i]]++;
    u->tokens += n;
    u->least = first || n < u->least ? n : u->least;
    u->most = n > u->most ? n : u->most;
}

static int show_usage(struct out *out, const char *name, const struct usage *u, uint64_t records, uint32_t vocab)
{
    uint64_t distinct = 0;
    double bits = 0;
    char line[400];

    for (uint32_t i = 0; i < vocab; i++)
        if (u->seen[i]) {
            double p = (double)u->seen[i] / (double)u->tokens;

            bits -= p * log2(p);
            distinct++;
        }
    snprintf(line, sizeof line, ",\"%s\":{\"tokens\":%" PRIu64 ",\"distinct\":%" PRIu64 ",\"vocab\":%u,\"entropy_bits\":"
             "%.4f,\"min\":%u,\"mean\":%.4f,\"max\":%u}", name, u->tokens, distinct, vocab, bits + 0.0, u->least,
             records ? (double)u->tokens / (double)records : 0.0, u->most);
    return out_write(out, line, strlen(line));
}

static int show_stats(struct out *out, const struct tok_reader *r)
{
    const struct tok_header *h = tok_header_of(r);
    uint64_t n = tok_count(r);
    char line[100];
    int rc;

    snprintf(line, sizeof line, "{\"records\":%" PRIu64 ",\"streams\":%" PRId64, n, tok_streams(r));
    if ((rc = out_write(out, line, strlen(line))) != 0 ||
        (h->kind & TOK_TEXT && (rc = show_usage(out, "text", &text, n, h->text_vocab)) != 0) ||
        (h->kind & TOK_IMAGE && (rc = show_usage(out, "image", &image, n, h->image_vocab)) != 0))
        return rc;
    return out_write(out, "}\n", 2);
}

static int flush(struct out *out, struct tok_text *t, size_t above)
{
    int rc;

    if (t->used <= above)
        return 0;
    rc = out_write(out, t->bytes, t->used);
    t->used = 0;
    return rc;
}

static int show_record(struct out *out, struct tok_text *t, const struct tok_reader *r, const struct tok_record *record)
{
    const struct tok_header *h = tok_header_of(r);
    int rc;

    if (only_stats) {
        count_tokens(&text, record->text, record->text_count, tok_count(r) == 1);
        count_tokens(&image, record->image, record->image_count, tok_count(r) == 1);
        return 0;
    }
    if (only_count)
        return 0;
    if (only_keys)
        return (rc = out_write(out, record->key, record->key_size)) != 0 ? rc : out_write(out, "\n", 1);
    if ((rc = tok_text_record(t, h, record, grid)) != 0)
        return rc;
    return flush(out, t, 60000);
}

static int dump(struct out *out, struct tok_reader *r)
{
    bool lines = !only_stats && !only_count && !only_keys;
    struct tok_text t = {0};
    struct tok_record record;
    size_t known = strlen(tok_header_of(r)->provenance);
    char number[32];
    int rc = 0;

    tok_allow_mismatch(r, force);
    if (lines)
        rc = tok_text_header(&t, tok_header_of(r), tok_is_shard(r));
    while (rc == 0 && !only_header && (rc = tok_next(r, &record)) > 0) {
        const char *provenance = tok_header_of(r)->provenance;

        /* A part of a cat that other programs made: its header is a line of its own. */
        rc = 0;
        if (lines && strlen(provenance) != known)
            rc = tok_text_header(&t, tok_header_of(r), tok_is_shard(r));
        known = strlen(provenance);
        if (rc == 0)
            rc = show_record(out, &t, r, &record);
    }
    if (rc == 0 && only_stats)
        rc = show_stats(out, r);
    snprintf(number, sizeof number, "%" PRIu64 "\n", tok_count(r));
    if (rc == 0 && only_count)
        rc = out_write(out, number, strlen(number));
    if (rc == 0)
        rc = flush(out, &t, 0);
    tok_text_fini(&t);
    return rc;
}

int main(int argc, char **argv)
{
    struct tok_reader *r = NULL;
    struct out out = {0};
    int rc;

    tool_start(&tool, argc, argv);
    if (only_header + only_count + only_stats + only_keys > 1)
        tool_usage(&tool, "only one of --header, --count, --stats and --keys");
    if ((rc = tok_open(&r, tool.arg_count ? tool.arg[0] : NULL)) != 0 || (rc = out_open(&out, output, false)) != 0 ||
        (rc = dump(&out, r)) != 0)
        goto out;
    rc = out_commit(&out);
out:
    out_abort(&out);
    tok_close(r);
    return tool_finish(&tool, rc);
}
