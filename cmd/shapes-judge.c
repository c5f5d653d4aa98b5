/* SPDX-License-Identifier: MIT */
/* shapes-judge -- do drawings show what their captions say?  Reads every attribute back from the pixels.
 *
 * stdin or SOURCE: a pair source with captions; with --captions the pictures alone, whose keys name a caption: KEY, or
 * KEY/anything for its variants.  stdout: the share of pictures with all attributes right, and each attribute's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cmd/tool.h"
#include "format/pairs.h"
#include "image/shapes.h"

#define CAPTIONS_BYTES_MAX (256u << 20)

static const char *output, *captions, *rejects_path;
static bool json, each, keep_going;
static double at_least = -1;

static const struct tool_option options[] = {
    {'c', "captions", OPT_STRING, "FILE", "lines of key, tab, caption; the pictures come without", &captions, 0, 0, 0},
    {'e', "each", OPT_FLAG, 0, "a line for each picture first: key, 1 or 0, what was asked, what is seen", &each, 0, 0, 0},
    {0, "json", OPT_FLAG, 0, "write JSON: one object a picture with --each, then one for all", &json, 0, 0, 0},
    {0, "at-least", OPT_REAL, "PERCENT", "exit 1 when fewer pictures are right in all", &at_least, -1, 100, 0},
    TOOL_OUTPUT(output),
    TOOL_KEEP(keep_going),
    TOOL_REJECTS(rejects_path),
    TOOL_END};

static struct tool tool = {.name = "shapes-judge", .args = "[SOURCE]",
                           .what = "Read the attributes of drawings back and compare with captions",
                           .options = options, .min_args = 0, .max_args = 1};

/* ---- captions by key -------------------------------------------------------------------------------------------- */

struct entry {
    const char *key;     /* borrowed from text */
    const char *caption; /* borrowed from text */
};

struct list {
    char *text;          /* owned: the file, cut into strings */
    struct entry *entry; /* owned: sorted by key */
    size_t count;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static int list_read(struct list *l)
{
    size_t size, lines = 1, number = 0;
    char *line, *rest;
    int rc;

    if ((rc = file_read(captions, CAPTIONS_BYTES_MAX, &l->text, &size)) != 0)
        return rc;
    for (const char *p = l->text; (p = strchr(p, '\n')); p++)
        lines++;
    if (!(l->entry = calloc(lines, sizeof *l->entry)))
        return err_set(ERR_NOMEM, "%s: no memory", captions);
    for (line = l->text; line; line = rest) {
        char *tab;

        number++;
        if ((rest = strchr(line, '\n')))
            *rest++ = 0;
        if (!*line)
            continue;
        if (!(tab = strchr(line, '\t')) || tab == line)
            return err_set(ERR_FORMAT, "%s: line %zu: not key, tab, caption", captions, number);
        *tab = 0;
        l->entry[l->count++] = (struct entry){line, tab + 1};
    }
    qsort(l->entry, l->count, sizeof *l->entry, by_key);
    for (size_t i = 1; i < l->count; i++)
        if (strcmp(l->entry[i - 1].key, l->entry[i].key) == 0)
            return err_set(ERR_FORMAT, "%s: two captions for %s", captions, l->entry[i].key);
    return 0;
}

/* KEY itself, else the longest KEY with key = KEY/anything; NULL: none. */
static const char *list_find(const struct list *l, const char *key)
{
    char *part = strdup(key), *slash = part;
    const struct entry *found = NULL;

    while (part && slash && !found) {
        found = bsearch(&(struct entry){part, NULL}, l->entry, l->count, sizeof *l->entry, by_key);
        if ((slash = strrchr(part, '/')))
            *slash = 0;
    }
    free(part);
    return found ? found->caption : NULL;
}

/* ---- judging ---------------------------------------------------------------------------------------------------- */

struct score {
    int64_t pictures, unreadable, all, right[SHAPES_ATTRIBUTES];
};

static void scene_text(char text[SHAPES_CAPTION_MAX], const struct shapes_scene *s, int read)
{
    shapes_caption(text, s, 0);
    if (!read)
        snprintf(text, SHAPES_CAPTION_MAX, "no drawing");
}

static int show_picture(struct out *out, const char *key, const struct shapes_scene *want, const struct shapes_scene *seen,
                        int read, bool right, double psnr)
{
    char asked[SHAPES_CAPTION_MAX], found[SHAPES_CAPTION_MAX];
    int rc;

    scene_text(asked, want, 1);
    scene_text(found, seen, read);
    if (!json)
        rc = fprintf(out->file, "%s\t%d\t%s\t%s\t%.1f\n", key, right, asked, found, psnr);
    else {
        fprintf(out->file, "{\"key\": \"");
        for (const char *p = key; *p; p++) /* keys are UTF-8 without control characters but for a stray one */
            fprintf(out->file, *p == '"' || *p == '\\' ? "\\%c" : (unsigned char)*p < 0x20 ? "\\u%04x" : "%c", *p);
        rc = fprintf(out->file, "\", \"right\": %s, \"asked\": \"%s\", \"seen\": \"%s\", \"psnr\": %.1f}\n",
                     right ? "true" : "false", asked, found, psnr);
    }
    return rc < 0 ? err_errno(ERR_IO, "%s: cannot write", output ? output : "stdout") : 0;
}

static int judge_pair(struct score *s, const struct shapes_judge *judge, const struct pair *pair, const char *caption,
                      struct out *out)
{
    struct shapes_scene want, seen;
    struct image picture;
    double psnr;
    bool all = true;
    int rc, read;

    if (!caption)
        return err_set(ERR_MISMATCH, "no caption for this key");
    if ((rc = shapes_parse(&want, caption)) != 0 ||
        (rc = image_decode(&picture, pair->picture, pair->picture_size, NULL)) != 0)
        return rc;
    read = shapes_judge_read(judge, &seen, &psnr, &picture);
    image_fini(&picture);
    if (read < 0)
        return read;
    for (int a = 0; a < SHAPES_ATTRIBUTES; a++) {
        bool same = read && want.value[a] == seen.value[a];

        s->right[a] += same;
        all = all && same;
    }
    s->pictures++;
    s->unreadable += !read;
    s->all += all;
    return each ? show_picture(out, pair->key, &want, &seen, read, all, psnr) : 0;
}

static int show_score(const struct score *s, struct out *out)
{
    double n = (double)s->pictures / 100;
    int rc;

    if (json)
        rc = fprintf(out->file, "{\"pictures\": %" PRId64 ", \"unreadable\": %" PRId64 ", \"all\": %.2f", s->pictures,
                     s->unreadable, (double)s->all / n);
    else
        rc = fprintf(out->file, "%s%" PRId64 " pictures, %" PRId64 " without a drawing: %.1f %% right in all attributes (",
                     each ? "# " : "", s->pictures, s->unreadable, (double)s->all / n);
    for (int a = 0; a < SHAPES_ATTRIBUTES && rc >= 0; a++)
        if (json)
            rc = fprintf(out->file, ", \"%s\": %.2f", shapes_attribute(a), (double)s->right[a] / n);
        else
            rc = fprintf(out->file, "%s%s %.1f", a ? ", " : "", shapes_attribute(a), (double)s->right[a] / n);
    if (rc >= 0)
        rc = fprintf(out->file, json ? "}\n" : ")\n");
    return rc < 0 ? err_errno(ERR_IO, "%s: cannot write", output ? output : "stdout") : 0;
}

static int judge_all(struct score *s, const struct shapes_judge *judge, const struct list *list, struct pairs *p,
                     struct rejects *rejects, struct out *out)
{
    struct pair pair;
    int rc;

    while ((rc = pairs_next(p, &pair)) > 0) {
        if (pair.problem)
            rc = err_set(ERR_FORMAT, "%s", pair.problem);
        else
            rc = judge_pair(s, judge, &pair, captions ? list_find(list, pair.key) : pair.caption, out);
        if (rc != 0 && keep_going && rc != ERR_NOMEM && rc != ERR_IO)
            rc = rejects_add_pair(rejects, pair.source, pair.key, err_text());
        else if (rc != 0)
            rc = err_at(rc, "%s: %s", pair.source, pair.key);
        if (rc != 0)
            return rc;
    }
    return rc == 0 && s->pictures == 0 ? err_set(ERR_EMPTY, "no pictures to judge") : rc;
}

int main(int argc, char **argv)
{
    struct shapes_judge *judge = NULL;
    struct rejects rejects = {0};
    struct pairs *p = NULL;
    struct score score = {0};
    struct list list = {0};
    struct out out = {0};
    int rc, end;

    tool_start(&tool, argc, argv);
    if ((captions && (rc = list_read(&list)) != 0) || (rc = shapes_judge_create(&judge)) != 0 ||
        (rc = out_open(&out, output, false)) != 0 || (rc = rejects_open(&rejects, rejects_path)) != 0 ||
        (rc = pairs_open(&p, tool.arg_count ? tool.arg[0] : "-", PAIRS_PICTURE | (captions ? 0 : PAIRS_CAPTION) |
                                                                    (keep_going ? PAIRS_GO_ON : 0))) != 0)
        goto out;
    rc = judge_all(&score, judge, &list, p, &rejects, &out);
    tool.skipped = rejects.count;
    tool_cut_sources(&tool, &rejects);
    if (rc == 0 && (rc = show_score(&score, &out)) == 0)
        rc = out_commit(&out);
    if (rc == 0 && 100.0 * (double)score.all < at_least * (double)score.pictures)
        rc = err_set(ERR_MISMATCH, "%.2f %% right in all attributes is less than %g %%",
                     100.0 * (double)score.all / (double)score.pictures, at_least);
out:
    if ((end = rejects_close(&rejects)) != 0 && rc == 0)
        rc = end;
    out_abort(&out);
    pairs_close(p);
    shapes_judge_free(judge);
    free(list.entry);
    free(list.text);
    return tool_finish(&tool, rc);
}
