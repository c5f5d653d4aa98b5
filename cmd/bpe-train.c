/* SPDX-License-Identifier: MIT */
/* bpe-train -- learn a text vocabulary.  stdin or files: captions, a line each, or pair sources, or files of words;
 * stdout: tokenizer.json, or a file of words */
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

static const char *output, *split, *rejects_path;
static int64_t vocab = 16384, min_count = 2, min_word = 1, memory = 128 << 20, threads;
static bool count_only, merge, keyed, escaped, pairs, keep;

static const struct tool_option options[] = {
    TOOL_OUTPUT(output),
    {0, "vocab", OPT_INT, "N", "tokens in the vocabulary, 256 bytes among them", &vocab, 256, 65536, 0},
    {0, "split", OPT_CHOICE, "RULE", "where words end: dalle, unless files of words say it", &split, 0, 0, "dalle|gpt2"},
    {0, "min-count", OPT_INT, "N", "merge no pair that occurs less often", &min_count, 1, 9007199254740992.0, 0},
    {0, "min-word", OPT_INT, "N", "learn from no word that occurs less often", &min_word, 1, 9007199254740992.0, 0},
    {0, "memory", OPT_INT, "BYTES", "memory to count words in; what does not fit goes to disk", &memory, 2.0 * COUNT_FIXED, 1e15, 0},
    {0, "count", OPT_FLAG, 0, "do not learn: write the counted words", &count_only, 0, 0, 0},
    {0, "merge", OPT_FLAG, 0, "every FILE is what --count wrote", &merge, 0, 0, 0},
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

static int count(struct word_runs *words)
{
    int form = (keyed ? CAPTIONS_KEYED : 0) | (escaped ? CAPTIONS_ESCAPED : 0) | (pairs ? CAPTIONS_PAIRS : 0) |
               (keep ? CAPTIONS_GO_ON : 0);
    struct count_options o = {(uint64_t)memory, bad, show, NULL};
    struct captions *captions;
    int rc;

    if ((rc = captions_open(&captions, tool.arg, tool.arg_count, form)) != 0)
        return rc;
    progress_start(&progress, tool.name, "captions", 0, tool.verbose < 0);
    rc = count_words(words, captions, &o);
    progress_clear(&progress);
    captions_close(captions);
    return rc;
}

static int open_files(struct word_runs *words)
{
    int rc = 0;

    if (tool.arg_count == 0)
        return word_runs_add_file(words, "-", !split);
    for (int i = 0; i < tool.arg_count && rc == 0; i++)
        rc = word_runs_add_file(words, tool.arg[i], i == 0 && !split);
    return rc;
}

static int train(struct word_runs *words, struct out *out)
{
    struct bpe_train_options o = {(uint32_t)vocab, (uint64_t)min_count, (uint64_t)min_word, 0, show, NULL};
    struct bpe *b;
    int rc;

    progress_start(&progress, tool.name, "tokens", vocab, tool.verbose < 0);
    rc = bpe_train(&b, words, &o);
    progress_clear(&progress);
    if (rc == 0 && words->captions == 0)
        rc = err_set(ERR_EMPTY, "no captions to learn from");
    if (rc == 0 && bpe_vocab(b) < vocab)
        tool_say(&tool, "stopped at %" PRIu32 " of %" PRId64 " tokens: no further pair occurs %" PRId64 " times",
                 bpe_vocab(b), vocab, min_count);
    if (rc == 0)
        rc = bpe_write(b, out);
    bpe_free(b);
    return rc;
}

static void check_options(void)
{
    if (merge && (keyed || escaped || pairs || keep || rejects_path))
        tool_usage(&tool, "with --merge no captions are read: --keyed, --escaped, --pairs, -k and --rejects say nothing");
    if (count_only && min_word > 1)
        tool_usage(&tool, "--min-word is for learning: a word that is rare here may be frequent elsewhere");
}

int main(int argc, char **argv)
{
    struct word_runs words = {0};
    struct out out = {0};
    int rc;

    tool_start(&tool, argc, argv);
    check_options();
    par_set_threads((int)threads);
    words.kind = (struct words_kind){split ? (enum split)split_find(split) : SPLIT_DALLE, NORMALISE_NFC | NORMALISE_LOWER};
    if ((rc = out_open(&out, output, false)) != 0 || (rc = rejects_open(&rejects, rejects_path)) != 0 ||
        (rc = merge ? open_files(&words) : count(&words)) != 0 ||
        (rc = count_only ? word_runs_write(&words, &out) : train(&words, &out)) != 0 || (rc = rejects_close(&rejects)) != 0)
        goto out;
    rc = out_commit(&out);
out:
    tool_cut_sources(&tool, &rejects);
    out_abort(&rejects.out);
    out_abort(&out);
    word_runs_fini(&words);
    return tool_finish(&tool, rc);
}
