/* SPDX-License-Identifier: MIT */
/* bpe-train -- learn a text vocabulary.  stdin or files: captions, a line each, or pair sources; stdout: tokenizer.json */
#include <inttypes.h>

#include "base/io.h"
#include "base/par.h"
#include "base/progress.h"
#include "cmd/tool.h"
#include "format/pairs.h"
#include "text/bpe_train.h"
#include "text/bpe_write.h"
#include "text/count.h"
#include "text/normalise.h"

static const char *output, *split = "dalle", *rejects_path;
static int64_t vocab = 16384, min_count = 2, threads;
static bool keyed, escaped, pairs, keep;

static const struct tool_option options[] = {
    TOOL_OUTPUT(output),
    {0, "vocab", OPT_INT, "N", "tokens in the vocabulary, 256 bytes among them", &vocab, 256, 65536, 0},
    {0, "split", OPT_CHOICE, "RULE", "where words end", &split, 0, 0, "dalle|gpt2"},
    {0, "min-count", OPT_INT, "N", "merge no pair that occurs less often", &min_count, 1, 9007199254740992.0, 0},
    {0, "keyed", OPT_FLAG, 0, "lines are \"key TAB caption\"", &keyed, 0, 0, 0},
    {0, "escaped", OPT_FLAG, 0, "captions of lines are escaped as bpe-decode writes them", &escaped, 0, 0, 0},
    {0, "pairs", OPT_FLAG, 0, "every FILE is a pair source, also -", &pairs, 0, 0, 0},
    TOOL_KEEP(keep),
    TOOL_REJECTS(rejects_path),
    TOOL_THREADS(threads),
    TOOL_END};

static struct tool tool = {.name = "bpe-train", .args = "[FILE...]", .what = "Learn a text vocabulary from captions",
                           .options = options, .min_args = 0, .max_args = -1};

static struct rejects rejects;
static struct progress progress;

static int bad(void *state, const struct caption *caption, const char *reason)
{
    (void)state;
    if (!keep)
        return caption_error(caption, reason);
    tool.skipped++;
    return caption->line > 0 ? rejects_add(&rejects, caption->source, caption->key, reason)
                             : rejects_add_pair(&rejects, caption->source, caption->key, reason);
}

static void show(void *state, int64_t done)
{
    progress_show(&progress, done, state);
}

static int count(struct words *words)
{
    int form = (keyed ? CAPTIONS_KEYED : 0) | (escaped ? CAPTIONS_ESCAPED : 0) | (pairs ? CAPTIONS_PAIRS : 0) |
               (keep ? CAPTIONS_GO_ON : 0);
    struct count_options o = {(enum split)split_find(split), NORMALISE_NFC | NORMALISE_LOWER, bad, show, NULL};
    struct captions *captions;
    int64_t used;
    int rc;

    if ((rc = captions_open(&captions, tool.arg, tool.arg_count, form)) != 0)
        return rc;
    progress_start(&progress, tool.name, "captions", 0, tool.verbose < 0);
    rc = count_words(words, &used, captions, &o);
    progress_clear(&progress);
    captions_close(captions);
    if (rc == 0 && used == 0)
        return err_set(ERR_EMPTY, "no captions to learn from");
    return rc;
}

static int train(struct bpe **b, const struct words *words)
{
    struct bpe_train_options o = {(enum split)split_find(split), NORMALISE_NFC | NORMALISE_LOWER, (uint32_t)vocab,
                                  (uint64_t)min_count, show, NULL};
    int rc;

    progress_start(&progress, tool.name, "tokens", vocab, tool.verbose < 0);
    rc = bpe_train(b, words, &o);
    progress_clear(&progress);
    if (rc == 0 && bpe_vocab(*b) < vocab)
        tool_say(&tool, "stopped at %" PRIu32 " of %" PRId64 " tokens: no further pair occurs %" PRId64 " times",
                 bpe_vocab(*b), vocab, min_count);
    return rc;
}

int main(int argc, char **argv)
{
    struct words words = {0};
    struct out out = {0};
    struct bpe *b = NULL;
    int rc;

    tool_start(&tool, argc, argv);
    par_set_threads((int)threads);
    if ((rc = out_open(&out, output, false)) != 0 || (rc = rejects_open(&rejects, rejects_path)) != 0 ||
        (rc = count(&words)) != 0 || (rc = train(&b, &words)) != 0 || (rc = bpe_write(b, &out)) != 0 ||
        (rc = rejects_close(&rejects)) != 0)
        goto out;
    rc = out_commit(&out);
out:
    tool_cut_sources(&tool, &rejects);
    out_abort(&rejects.out);
    out_abort(&out);
    bpe_free(b);
    words_fini(&words);
    return tool_finish(&tool, rc);
}
