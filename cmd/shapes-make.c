/* SPDX-License-Identifier: MIT */
/* shapes-make -- captioned drawings of the built-in world, for demonstrations and tests.
 *
 * stdout: a tar of KEY.png and KEY.txt, or with --captions the captions alone.  A picture depends on the seed, its key and
 * its scene only; the scenes of a split come in shuffled rounds, each scene once a round.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cmd/tool.h"
#include "format/pairs.h"
#include "image/prepare.h"
#include "image/shapes.h"

static const char *output, *split = "train";
static int64_t count, size = 64, seed = 1, wordings = 1;
static bool captions, keyed;
static struct shapes_look look = SHAPES_LOOK;

static const struct tool_option options[] = {
    {'n', "count", OPT_INT, "N", "drawings; 0: each scene of the split once", &count, 0, 1e9, 0},
    {0, "size", OPT_INT, "N", "pixels along a side", &size, SHAPES_SIDE_MIN, SHAPES_SIDE_MAX, 0},
    {0, "split", OPT_CHOICE, "SPLIT", "which scenes", &split, 0, 0, "train|held-out|all"},
    {0, "captions", OPT_FLAG, 0, "write only the captions, one a line", &captions, 0, 0, 0},
    {0, "keyed", OPT_FLAG, 0, "with --captions: key, tab, caption", &keyed, 0, 0, 0},
    {0, "wordings", OPT_INT, "N", "draw each caption's wording from the first N", &wordings, 1, SHAPES_WORDINGS, 0},
    {0, "jitter", OPT_REAL, "X", "largest shift of the object, in sides", &look.jitter, 0, 0.1, 0},
    {0, "shade", OPT_REAL, "X", "largest change of a colour's brightness, in full scales", &look.shade, 0, 0.2, 0},
    {0, "grain", OPT_REAL, "X", "largest change of a pixel, in full scales", &look.grain, 0, 0.2, 0},
    TOOL_SEED(seed),
    TOOL_OUTPUT(output),
    TOOL_END};

static struct tool tool = {.name = "shapes-make", .args = "",
                           .what = "Draw captioned pictures of a small world",
                           .options = options, .min_args = 0, .max_args = 0};

static int put_pair(struct pairs_writer *w, const char *key, const char *caption, const struct shapes_scene *scene,
                    struct rng rng, uint64_t step)
{
    struct image picture;
    uint8_t *bytes = NULL;
    size_t bytes_size;
    int rc;

    if ((rc = shapes_draw(&picture, scene, size, &look, rng, step)) != 0)
        return rc;
    if ((rc = image_encode_png(&picture, NULL, 0, &bytes, &bytes_size)) == 0 &&
        (rc = pairs_put(w, key, "png", bytes, bytes_size)) == 0)
        rc = pairs_put(w, key, "txt", caption, strlen(caption));
    free(bytes);
    image_fini(&picture);
    return rc;
}

static int write_all(struct out *out, struct pairs_writer *w)
{
    enum shapes_split which = split[0] == 't' ? SHAPES_TRAIN : split[0] == 'h' ? SHAPES_HELD_OUT : SHAPES_ALL;
    struct rng rng = {(uint64_t)seed, RNG_WORLD};
    struct shapes_scene *scene = calloc(SHAPES_COUNT, sizeof *scene);
    int64_t scenes;
    int rc = scene ? 0 : err_set(ERR_NOMEM, "no memory");

    for (int64_t i = 0; rc == 0; i++) {
        char key[40], caption[SHAPES_CAPTION_MAX + 1];
        uint64_t step;

        if (i == 0 || i % scenes == 0)
            scenes = shapes_order(scene, which, rng, i == 0 ? 0 : (uint64_t)(i / scenes));
        if (i == (count ? count : scenes))
            break;
        snprintf(key, sizeof key, "%s-%06" PRId64, split, i + 1);
        step = prepare_step(key, 0);
        shapes_caption(caption, &scene[i % scenes], (int)rng_below(rng, step, UINT64_MAX, (uint64_t)wordings));
        strcat(caption, "\n");
        if (w)
            rc = put_pair(w, key, caption, &scene[i % scenes], rng, step);
        else if (fprintf(out->file, "%s%s%s", keyed ? key : "", keyed ? "\t" : "", caption) < 0)
            rc = err_errno(ERR_IO, "%s: cannot write", output ? output : "stdout");
    }
    free(scene);
    return rc;
}

int main(int argc, char **argv)
{
    struct pairs_writer *w = NULL;
    struct out out = {0};
    int rc, end;

    tool_start(&tool, argc, argv);
    if (keyed && !captions)
        tool_usage(&tool, "--keyed goes with --captions");
    if ((rc = out_open(&out, output, !captions)) != 0 || (!captions && (rc = pairs_create(&w, &out)) != 0))
        goto out;
    rc = write_all(&out, w);
    if (w && (end = pairs_end(w)) != 0 && rc == 0)
        rc = end;
    if (rc == 0)
        rc = out_commit(&out);
out:
    out_abort(&out);
    return tool_finish(&tool, rc);
}
