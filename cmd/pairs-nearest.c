/* SPDX-License-Identifier: MIT */
/* pairs-nearest -- for each picture, where among known pictures does the one of its own name stand?
 *
 * stdin or QUERY: a pair source; --among: the known pictures.  A picture's name is its key up to the first '/', so
 * candidates (NAME/0003) and several views of a known picture share it.  Distance: mean square of the difference after
 * both are brought to --size by area resampling.  The rank of a name counts names, each by its nearest view.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/par.h"
#include "cmd/tool.h"
#include "format/pairs.h"
#include "image/image.h"

static const char *among, *each;
static int64_t size = 32, threads;

static const struct tool_option options[] = {
    {'a', "among", OPT_STRING, "SOURCE", "the known pictures: a pair source", &among, 0, 0, 0},
    {0, "size", OPT_INT, "N", "compare at N x N pixels", &size, 1, 1024, 0},
    {0, "each", OPT_STRING, "FILE", "list key, nearest name, rank of its own name, tab between", &each, 0, 0, 0},
    TOOL_THREADS(threads),
    TOOL_END};

static struct tool tool = {.name = "pairs-nearest", .args = "[QUERY]",
                           .what = "Find the nearest known pictures of each picture",
                           .options = options, .min_args = 0, .max_args = 1};

/* The known pictures, views of one name beside each other in no order. */
struct known {
    uint8_t *pixels;   /* owned: [count, size, size, 3] */
    int *name_of;      /* owned: index of the view's name */
    char **name;       /* owned strings */
    int count, names, room;
};

static size_t view_bytes(void)
{
    return (size_t)(size * size * 3);
}

/* The name in a key: up to the first '/'. */
static size_t name_size(const char *key)
{
    return strcspn(key, "/");
}

static int find_name(const struct known *k, const char *key)
{
    size_t length = name_size(key);

    for (int i = k->names - 1; i >= 0; i--) /* newest first: views of a name tend to stand together */
        if (strlen(k->name[i]) == length && memcmp(k->name[i], key, length) == 0)
            return i;
    return -1;
}

static int to_view(uint8_t *pixels, const struct pair *pair)
{
    struct image whole, view;
    int rc;

    if (pair->problem)
        return err_set(ERR_FORMAT, "%s: %s: %s", pair->source, pair->key, pair->problem);
    if ((rc = image_decode(&whole, pair->picture, pair->picture_size, NULL)) != 0)
        return err_at(rc, "%s: %s", pair->source, pair->key);
    if ((rc = image_resize_area(&view, &whole, size, size, false)) == 0) {
        memcpy(pixels, view.rgb, view_bytes());
        image_fini(&view);
    }
    image_fini(&whole);
    return rc;
}

static int known_grow(struct known *k)
{
    int room = k->room ? 2 * k->room : 1024;
    void *pixels = realloc(k->pixels, (size_t)room * view_bytes());
    void *name_of = pixels ? realloc(k->name_of, (size_t)room * sizeof *k->name_of) : NULL;
    void *name = name_of ? realloc(k->name, (size_t)room * sizeof *k->name) : NULL;

    if (pixels)
        k->pixels = pixels;
    if (name_of)
        k->name_of = name_of;
    if (!name)
        return err_set(ERR_NOMEM, "no memory for %d pictures", room);
    k->name = name;
    k->room = room;
    return 0;
}

static int known_add(struct known *k, const struct pair *pair)
{
    int at = find_name(k, pair->key), rc;

    if (k->count == k->room && (rc = known_grow(k)) != 0)
        return rc;
    if (at < 0) {
        if (!(k->name[k->names] = strndup(pair->key, name_size(pair->key))))
            return err_set(ERR_NOMEM, "no memory");
        at = k->names++;
    }
    if ((rc = to_view(k->pixels + (size_t)k->count * view_bytes(), pair)) == 0)
        k->name_of[k->count++] = at;
    return rc;
}

static int known_read(struct known *k)
{
    struct pairs *p;
    struct pair pair;
    int rc = pairs_open(&p, among, PAIRS_PICTURE);

    if (rc != 0)
        return rc;
    while ((rc = pairs_next(p, &pair)) > 0)
        if ((rc = known_add(k, &pair)) != 0)
            break;
    pairs_close(p);
    return rc == 0 && k->count == 0 ? err_set(ERR_EMPTY, "%s: no pictures", among) : rc;
}

static void known_fini(struct known *k)
{
    for (int i = 0; i < k->names; i++)
        free(k->name[i]);
    free(k->name);
    free(k->name_of);
    free(k->pixels);
}

/* Least distance of each name; returns the nearest name, ties to the first. */
static int nearest(const struct known *k, const uint8_t *query, int64_t *distance)
{
    int64_t pixels = (int64_t)view_bytes();
    int best = 0;

    for (int i = 0; i < k->names; i++)
        distance[i] = INT64_MAX;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < k->count; i++) {
        const uint8_t *view = k->pixels + (size_t)i * view_bytes();
        int64_t sum = 0;

        for (int64_t j = 0; j < pixels; j++) {
            int d = view[j] - query[j];

            sum += d * d;
        }
#pragma omp critical
        if (sum < distance[k->name_of[i]])
            distance[k->name_of[i]] = sum;
    }
    for (int i = 1; i < k->names; i++)
        if (distance[i] < distance[best])
            best = i;
    return best;
}

int main(int argc, char **argv)
{
    struct known k = {0};
    struct pairs *p = NULL;
    struct pair pair;
    struct out list = {0};
    int64_t *distance = NULL, asked = 0, first = 0, ten = 0;
    uint8_t *query = NULL;
    int rc;

    tool_start(&tool, argc, argv);
    par_set_threads((int)threads);
    if (!among)
        tool_usage(&tool, "--among is needed");
    if ((rc = known_read(&k)) != 0 || (each && (rc = out_open(&list, each, false)) != 0) ||
        (rc = pairs_open(&p, tool.arg_count ? tool.arg[0] : "-", PAIRS_PICTURE)) != 0)
        goto out;
    distance = malloc((size_t)k.names * sizeof *distance);
    query = malloc(view_bytes());
    if (!distance || !query) {
        rc = err_set(ERR_NOMEM, "no memory");
        goto out;
    }
    while ((rc = pairs_next(p, &pair)) > 0) {
        int own = find_name(&k, pair.key), best, rank = 1;

        if (own < 0) {
            rc = err_set(ERR_MISMATCH, "%s: no known picture has this name", pair.key);
            goto out;
        }
        if ((rc = to_view(query, &pair)) != 0)
            goto out;
        best = nearest(&k, query, distance);
        for (int i = 0; i < k.names; i++)
            rank += distance[i] < distance[own] || (distance[i] == distance[own] && i < own);
        asked++;
        first += rank == 1;
        ten += rank <= 10;
        if (each)
            fprintf(list.file, "%s\t%s\t%d\n", pair.key, k.name[best], rank);
    }
    if (rc == 0 && asked == 0)
        rc = err_set(ERR_EMPTY, "no pictures to look for");
    if (rc == 0 && each)
        rc = out_commit(&list);
    if (rc == 0)
        printf("%" PRId64 " pictures among %d names: nearest is the named one %.1f %%, within the first ten %.1f %%\n",
               asked, k.names, 100.0 * (double)first / (double)asked, 100.0 * (double)ten / (double)asked);
out:
    out_abort(&list);
    pairs_close(p);
    known_fini(&k);
    free(distance);
    free(query);
    return tool_finish(&tool, rc);
}
