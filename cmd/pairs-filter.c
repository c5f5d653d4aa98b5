/* SPDX-License-Identifier: MIT */
/* pairs-filter -- the pairs that are worth training on.  Pair sources, or an archive on stdin; stdout: a tar of the kept
 * pairs, their bytes unchanged.  No picture is decoded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/progress.h"
#include "cmd/tool.h"
#include "format/keys.h"
#include "format/pairs.h"
#include "image/picture_rules.h"
#include "text/caption_rules.h"

#define KEY_MAX 4096
#define DETAIL_MAX CAPTION_REASON

static const char *output, *rejects_path, *summary, *aspect, *side, *chars, *words, *letters;
static struct tool_list patterns, keys, drop_keys;
static int64_t copies;
static bool keep_going;

static const struct tool_option options[] = {
    TOOL_OUTPUT(output),
    {0, "aspect", OPT_STRING, "X", "no side more than X times the other, or MIN:MAX of width/height", &aspect, 0, 0, 0},
    {0, "side", OPT_STRING, "MIN:MAX", "pixels of the shorter side", &side, 0, 0, 0},
    {0, "chars", OPT_STRING, "MIN:MAX", "characters of the caption", &chars, 0, 0, 0},
    {0, "words", OPT_STRING, "MIN:MAX", "words of the caption", &words, 0, 0, 0},
    {0, "letters", OPT_STRING, "MIN:MAX", "share of letters in the caption, from 0 to 1", &letters, 0, 0, 0},
    {0, "patterns", OPT_LIST, "FILE", "no caption that a regular expression of FILE matches", &patterns, 0, 0, 0},
    {0, "caption-copies", OPT_INT, "N", "a caption N times at most; 0: any number", &copies, 0, SEEN_MOST, 0},
    {0, "keys", OPT_LIST, "FILE", "only the keys in FILE, one a line", &keys, 0, 0, 0},
    {0, "drop-keys", OPT_LIST, "FILE", "not the keys in FILE", &drop_keys, 0, 0, 0},
    {0, "rejects", OPT_STRING, "FILE", "list what was left out, as JSON lines", &rejects_path, 0, 0, 0},
    TOOL_KEEP(keep_going), TOOL_SUMMARY(summary),
    TOOL_END};

static struct tool tool = {.name = "pairs-filter", .args = "[SOURCE]...",
                           .what = "Keep the pairs that are worth training on", .options = options, .min_args = 0, .max_args = -1};

/* In the order in which they are tried: a pair counts for the first. */
enum reason { KEPT, KEY, BAD, CHARS, WORDS, LETTERS, PATTERN, ASPECT, SIDE, COPIES, REASONS };
static const char *const reason_name[REASONS] = {"kept",    "key",    "bad",  "chars", "words",
                                                 "letters", "pattern", "aspect", "side", "copies"};

struct filter {
    struct picture_rules picture;
    struct caption_rules caption;
    struct seen keys, drop_keys;
    struct rejects rejects;
    struct out out;
    struct pairs_writer *writer;
    struct progress progress;
    char last_key[KEY_MAX + 1];   /* of the pair written last */
    int64_t pairs, count[REASONS];
};

/* ---- rules ----------------------------------------------------------------------------------------------------- */

static void take_range(struct range *r, const char *word, const char *text)
{
    if (text && range_parse(r, text) != 0)
        tool_usage(&tool, "--%s: %s", word, err_text());
}

static int read_rules(struct filter *f)
{
    int rc = 0;

    f->picture = picture_rules_none;
    caption_rules_init(&f->caption);
    f->caption.copies = copies;
    if (aspect && picture_rules_aspect(&f->picture, aspect) != 0)
        tool_usage(&tool, "--aspect: %s", err_text());
    take_range(&f->picture.side, "side", side);
    take_range(&f->caption.chars, "chars", chars);
    take_range(&f->caption.words, "words", words);
    take_range(&f->caption.letters, "letters", letters);
    for (int i = 0; rc == 0 && i < patterns.count; i++)
        rc = patterns_read(&f->caption.patterns, patterns.item[i]);
    for (int i = 0; rc == 0 && i < keys.count; i++)
        rc = keys_read(&f->keys, keys.item[i]);
    for (int i = 0; rc == 0 && i < drop_keys.count; i++)
        rc = keys_read(&f->drop_keys, drop_keys.item[i]);
    return rc;
}

/* ---- pairs ----------------------------------------------------------------------------------------------------- */

static int say(char detail[DETAIL_MAX], const char *text)
{
    snprintf(detail, DETAIL_MAX, "%s", text);
    return BAD;
}

static int check_key(const struct filter *f, char detail[DETAIL_MAX], const char *key)
{
    size_t size = strlen(key);
    bool missing = keys.count && !seen_count(&f->keys, key, size);

    if (!missing && !(drop_keys.count && seen_count(&f->drop_keys, key, size)))
        return KEPT;
    say(detail, missing ? "not in --keys" : "in --drop-keys");
    return KEY;
}

static int check_caption(struct filter *f, char detail[DETAIL_MAX], const struct pair *pair)
{
    static const enum reason reason[] = {[CAPTION_KEPT] = KEPT, [CAPTION_CHARS] = CHARS, [CAPTION_WORDS] = WORDS,
                                         [CAPTION_LETTERS] = LETTERS, [CAPTION_PATTERN] = PATTERN};
    int rule = caption_rules_check(&f->caption, detail, pair->caption, pair->caption_size);

    return rule < 0 ? rule : (int)reason[rule];
}

static int check_picture(const struct filter *f, char detail[DETAIL_MAX], const struct pair *pair)
{
    enum picture_rule rule;
    struct image_size size;

    if (!picture_rules_any(&f->picture))
        return KEPT;
    if (image_probe(&size, pair->picture, pair->picture_size) != 0)
        return say(detail, err_text());
    if ((rule = picture_rules_check(&f->picture, &size)) == PICTURE_KEPT)
        return KEPT;
    snprintf(detail, DETAIL_MAX, "%" PRId32 "x%" PRId32, size.width, size.height);
    return rule == PICTURE_ASPECT ? ASPECT : SIDE;
}

/* A name that readers take for a picture, where a list had another. */
static const char *picture_ext(const struct pair *pair)
{
    static const char *const ext[] = {[IMAGE_PNG] = "png", [IMAGE_JPEG] = "jpg", [IMAGE_WEBP] = "webp",
                                      [IMAGE_PNM] = "ppm"};

    const char *known = pairs_picture_ext(pair->picture_ext);

    return known ? known : ext[image_kind(pair->picture, pair->picture_size)];
}

/* enum reason or an error. */
static int check(struct filter *f, char detail[DETAIL_MAX], struct pair *pair)
{
    int r;

    if (!*pair->key) /* the source itself */
        return say(detail, pair->problem);
    if ((r = check_key(f, detail, pair->key)) != KEPT)
        return r;
    if (pair->problem)
        return say(detail, pair->problem);
    if ((r = check_caption(f, detail, pair)) != KEPT || (r = check_picture(f, detail, pair)) != KEPT)
        return r;
    if (!(pair->picture_ext = picture_ext(pair)))
        return say(detail, "neither named as a picture nor one");
    if ((r = caption_rules_copy(&f->caption, detail)) != CAPTION_KEPT)
        return r < 0 ? r : COPIES;
    if (strcmp(pair->key, f->last_key) == 0) /* the two would be read as one */
        return say(detail, "has the key of the pair written in front of it");
    return KEPT;
}

static int take(struct filter *f, struct pair *pair)
{
    char detail[DETAIL_MAX] = "", text[DETAIL_MAX + 20];
    int r = check(f, detail, pair);

    if (r < 0)
        return r;
    f->pairs++;
    f->count[r]++;
    if (r == KEPT) {
        snprintf(f->last_key, sizeof f->last_key, "%s", pair->key);
        return pairs_copy(f->writer, pair);
    }
    if (r == BAD && !keep_going)
        return err_set(ERR_FORMAT, "%s: %s: %s", pair->source, pair->key, detail);
    snprintf(text, sizeof text, "%s: %s", reason_name[r], detail);
    return rejects_add_pair(&f->rejects, pair->source, pair->key, text);
}

static int filter_source(struct filter *f, const char *source)
{
    struct pairs *pairs;
    struct pair pair;
    int rc = pairs_open(&pairs, source, PAIRS_CAPTION | PAIRS_PICTURE | PAIRS_EXTRA | (keep_going ? PAIRS_GO_ON : 0));

    if (rc != 0)
        return rc;
    while ((rc = pairs_next(pairs, &pair)) > 0) {
        if ((rc = take(f, &pair)) != 0)
            break;
        progress_show(&f->progress, f->pairs, NULL);
    }
    pairs_close(pairs);
    return rc;
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

static void say_counts(const struct filter *f)
{
    char text[400] = "";
    size_t at = 0;

    for (int i = KEPT + 1; i < REASONS; i++)
        if (f->count[i])
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%" PRId64 " %s", at ? ", " : ": ", f->count[i],
                                   reason_name[i]);
    tool_say(&tool, "%" PRId64 " pairs, %" PRId64 " kept, %" PRId64 " left out%s", f->pairs, f->count[KEPT],
             f->pairs - f->count[KEPT], text);
}

static int write_summary(const struct filter *f)
{
    struct tool_count count[REASONS + 2] = {{"pairs", f->pairs}};

    for (int i = KEPT; i < REASONS; i++)
        count[i + 1] = (struct tool_count){reason_name[i], f->count[i]};
    return tool_summary(&tool, summary, count);
}

static int run(struct filter *f)
{
    int rc;

    if ((rc = read_rules(f)) != 0 || (rc = out_open(&f->out, output, true)) != 0 ||
        (rc = rejects_open(&f->rejects, rejects_path)) != 0 ||
        (rc = pairs_create(&f->writer, &f->out)) != 0)
        return rc;
    progress_start(&f->progress, tool.name, "pairs", 0, tool.verbose < 0);
    if (!tool.arg_count)
        rc = filter_source(f, "-");
    for (int i = 0; rc == 0 && i < tool.arg_count; i++)
        rc = filter_source(f, tool.arg[i]);
    progress_clear(&f->progress);
    if (rc != 0) {
        pairs_drop(f->writer);
        return rc;
    }
    if ((rc = pairs_end(f->writer)) != 0 || (rc = rejects_close(&f->rejects)) != 0 || (rc = out_commit(&f->out)) != 0 ||
        (rc = write_summary(f)) != 0)
        return rc;
    if (tool.verbose < 0) /* what was asked for may go unsaid, damage not */
        tool.skipped = f->count[BAD];
    tool_cut_sources(&tool, &f->rejects);
    say_counts(f);
    return 0;
}

int main(int argc, char **argv)
{
    static struct filter f;
    int rc;

    tool_start(&tool, argc, argv);
    rc = run(&f);
    out_abort(&f.rejects.out);
    out_abort(&f.out);
    caption_rules_fini(&f.caption);
    seen_fini(&f.keys);
    seen_fini(&f.drop_keys);
    return tool_finish(&tool, rc);
}
