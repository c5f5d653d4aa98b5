/* SPDX-License-Identifier: MIT */
/* bpe-encode -- captions to text tokens.  stdin or files: captions, a line each, or pair sources; stdout: a token stream */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cmd/tool.h"
#include "format/pairs.h"
#include "format/tok.h"
#include "text/bpe.h"
#include "text/captions.h"

static const char *output, *model, *too_long = "truncate", *rejects_path, *summary;
static int64_t slots = 256, seed;
static double dropout;
static bool keyed, escaped, pairs, keep;

static const struct tool_option options[] = {
    TOOL_OUTPUT(output),
    TOOL_MODEL(model, "the vocabulary, a tokenizer.json"),
    {0, "keyed", OPT_FLAG, 0, "lines are \"key TAB caption\"", &keyed, 0, 0, 0},
    {0, "escaped", OPT_FLAG, 0, "captions of lines are escaped as bpe-decode writes them", &escaped, 0, 0, 0},
    {0, "pairs", OPT_FLAG, 0, "every FILE is a pair source, also -", &pairs, 0, 0, 0},
    {0, "slots", OPT_INT, "N", "text slots; a caption has at most N - 1 tokens", &slots, 1, TOK_SLOTS_MAX, 0},
    {0, "long", OPT_CHOICE, "WHAT", "what to do with a longer caption", &too_long, 0, 0, "truncate|drop|error"},
    {0, "dropout", OPT_REAL, "P", "pass over each merge with this probability", &dropout, 0, 0.999, 0},
    TOOL_SEED(seed),
    TOOL_KEEP(keep),
    TOOL_REJECTS(rejects_path),
    TOOL_SUMMARY(summary),
    TOOL_END};

static struct tool tool = {.name = "bpe-encode", .args = "-m TOKENIZER [FILE...]",
                           .what = "Turn captions into text tokens", .options = options, .min_args = 0, .max_args = -1};

struct encoder {
    struct bpe *bpe;
    struct bpe_scratch *scratch;
    struct captions *captions;
    struct out out;
    struct tok_writer *writer;
    struct rejects rejects;
    uint16_t ids[TOK_SLOTS_MAX];
    int64_t written;
    int64_t cut; /* captions that were too long */
    char key[TOK_KEY_MAX + 1]; /* of the caption written last */
    uint32_t variant;
};

static int reject(struct encoder *e, const struct caption *c, const char *reason)
{
    char text[512];

    strncpy(text, reason, sizeof text - 1); /* reason may be err_text() */
    text[sizeof text - 1] = 0;
    if (!keep)
        return caption_error(c, text);
    tool.skipped++;
    return c->line > 0 ? rejects_add(&e->rejects, c->source, c->key, text)
                       : rejects_add_pair(&e->rejects, c->source, c->key, text);
}

/* Captions of one key that follow each other are its variants. */
static uint32_t next_variant(const struct encoder *e, const char *key)
{
    return strcmp(key, e->key) == 0 ? e->variant + 1 : 0;
}

static int put(struct encoder *e, const struct caption *c)
{
    struct rng random = {(uint64_t)seed, RNG_DROPOUT};
    int max = (int)slots - 1, count, rc;
    struct tok_record record = {.key = c->key, .key_size = (uint32_t)c->key_size, .text = e->ids};
    char reason[100];

    if (c->problem)
        return reject(e, c, c->problem);
    rc = bpe_encode_dropout(e->bpe, e->scratch, c->text, c->size, e->ids, max, &count, dropout, random,
                            rng_hash(c->key, c->key_size));
    if (rc == ERR_FORMAT || rc == ERR_LIMIT)
        return reject(e, c, err_text());
    if (rc != 0)
        return rc;
    if (count > max) {
        snprintf(reason, sizeof reason, "%d tokens, %d fit", count, max);
        if (*too_long == 'e')
            return reject(e, c, reason);
        e->cut++;
        if (*too_long == 'd')
            return rejects_add(&e->rejects, c->source, c->key, reason);
        count = max;
    }
    record.text_count = (uint32_t)count;
    record.variant = next_variant(e, c->key);
    if ((rc = tok_put(e->writer, &record)) != 0)
        return rc == ERR_ARG ? reject(e, c, err_text()) : rc;
    e->written++;
    memcpy(e->key, c->key, c->key_size + 1); /* tok_put knows that it fits */
    e->variant = record.variant;
    return 0;
}

static int start(struct encoder *e)
{
    int form = (keyed ? CAPTIONS_KEYED : 0) | (escaped ? CAPTIONS_ESCAPED : 0) | (pairs ? CAPTIONS_PAIRS : 0) |
               (keep ? CAPTIONS_GO_ON : 0), rc;
    struct tok_header header = {.kind = TOK_TEXT, .text_slots = (uint32_t)slots};

    if ((rc = bpe_load(&e->bpe, model)) != 0 || (rc = bpe_scratch_create(&e->scratch)) != 0 ||
        (rc = captions_open(&e->captions, tool.arg, tool.arg_count, form)) != 0 ||
        (rc = out_open(&e->out, output, true)) != 0 || (rc = rejects_open(&e->rejects, rejects_path)) != 0)
        return rc;
    header.text_vocab = bpe_vocab(e->bpe);
    header.text_digest = *bpe_digest(e->bpe);
    return tok_create(&e->writer, &e->out, &header, tool_provenance(&tool), false);
}

static int encode(struct encoder *e)
{
    struct caption caption;
    struct tok_writer *w;
    int rc;

    while ((rc = captions_next(e->captions, &caption)) > 0)
        if ((rc = put(e, &caption)) != 0)
            return rc;
    if (rc != 0)
        return rc;
    w = e->writer;
    e->writer = NULL;
    if ((rc = tok_end(w)) != 0 || (rc = rejects_close(&e->rejects)) != 0 || (rc = out_commit(&e->out)) != 0)
        return rc;
    return tool_summary(&tool, summary, (struct tool_count[]){
        {"records", e->written + e->rejects.count - e->rejects.sources}, {"written", e->written}, {"left_out", e->rejects.count},
        {"cut", *too_long == 'd' ? 0 : e->cut}, {0}});
}

int main(int argc, char **argv)
{
    static struct encoder e;
    int rc;

    tool_start(&tool, argc, argv);
    if (!model)
        tool_usage(&tool, "--model is needed");
    if ((rc = start(&e)) == 0)
        rc = encode(&e);
    if (e.cut > 0)
        tool_say(&tool, "%" PRId64 " captions of more than %" PRId64 " tokens were %s", e.cut, slots - 1,
                 *too_long == 'd' ? "left out" : "cut");
    tool_cut_sources(&tool, &e.rejects);
    tok_drop(e.writer);
    out_abort(&e.rejects.out);
    out_abort(&e.out);
    captions_close(e.captions);
    bpe_scratch_free(e.scratch);
    bpe_free(e.bpe);
    return tool_finish(&tool, rc);
}
