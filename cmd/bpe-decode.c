/* SPDX-License-Identifier: MIT */
/* bpe-decode -- text tokens to captions.  stdin or a file: a token stream or shard; stdout: a caption a line, escaped */
#include <string.h>

#include "base/io.h"
#include "cmd/tool.h"
#include "format/tok.h"
#include "text/bpe.h"
#include "text/escape.h"

static const char *output, *model;
static bool keyed, force;

static const struct tool_option options[] = {
    TOOL_OUTPUT(output),
    TOOL_MODEL(model, "the vocabulary, a tokenizer.json"),
    {0, "keyed", OPT_FLAG, 0, "write \"key TAB caption\"", &keyed, 0, 0, 0},
    TOOL_FORCE(force),
    TOOL_END};

static struct tool tool = {.name = "bpe-decode", .args = "-m TOKENIZER [FILE]",
                           .what = "Turn text tokens back into captions", .options = options, .min_args = 0,
                           .max_args = 1};

static int check(const struct tok_header *h, const struct bpe *b, const char *name)
{
    char theirs[DIGEST_TEXT], ours[DIGEST_TEXT];

    if (!(h->kind & TOK_TEXT))
        return err_set(ERR_MISMATCH, "%s: a stream of kind %s has no text", name, tok_kind_name(h->kind));
    if (force || digest_same(&h->text_digest, bpe_digest(b)))
        return 0;
    digest_show(&h->text_digest, theirs);
    digest_show(bpe_digest(b), ours);
    return err_set(ERR_MISMATCH, "%s: made with tokenizer %s, %s is %s", name,
                   digest_known(&h->text_digest) ? theirs : "(not known)", model, ours);
}

static int put(const struct bpe *b, struct bpe_scratch *s, struct out *out, const struct tok_record *r, const char *name)
{
    const char *text;
    size_t size;
    int rc;

    if ((rc = bpe_decode(b, s, r->text, (int)r->text_count, &text, &size)) != 0)
        return err_at(rc, "%s: %s", name, r->key);
    if (keyed && ((rc = out_write(out, r->key, r->key_size)) != 0 || (rc = out_write(out, "\t", 1)) != 0))
        return rc;
    if ((rc = escape_write(out, text, size)) != 0)
        return rc;
    return out_write(out, "\n", 1);
}

int main(int argc, char **argv)
{
    const char *name;
    struct tok_reader *reader = NULL;
    struct tok_record record;
    struct bpe_scratch *scratch = NULL;
    struct bpe *b = NULL;
    struct out out = {0};
    int rc;

    tool_start(&tool, argc, argv);
    if (!model)
        tool_usage(&tool, "--model is needed");
    name = tool.arg_count && strcmp(tool.arg[0], "-") != 0 ? tool.arg[0] : "stdin";
    if ((rc = bpe_load(&b, model)) != 0 || (rc = bpe_scratch_create(&scratch)) != 0 ||
        (rc = tok_open(&reader, tool.arg_count ? tool.arg[0] : NULL)) != 0 ||
        (rc = check(tok_header_of(reader), b, name)) != 0 || (rc = out_open(&out, output, false)) != 0)
        goto out;
    tok_allow_mismatch(reader, force);
    while ((rc = tok_next(reader, &record)) > 0)
        if ((rc = put(b, scratch, &out, &record, name)) != 0)
            goto out;
    if (rc == 0)
        rc = out_commit(&out);
out:
    out_abort(&out);
    tok_close(reader);
    bpe_scratch_free(scratch);
    bpe_free(b);
    return tool_finish(&tool, rc);
}
