/* SPDX-License-Identifier: MIT */
/* picture_out.c -- five ways out for pictures. */
#include "image/picture_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "image/sheet.h"

struct caption {
    char *key, *text; /* owned */
    size_t order;     /* of the telling */
};

struct picture_out {
    struct picture_options o;
    struct out out;               /* owned; not for FILES */
    struct pairs_writer *tar;     /* owned */
    struct caption *caption;      /* owned: sorted by key once pictures come */
    size_t captions;
    bool sorted;
    uint64_t *name;               /* owned: hashes of file names, a table of name_room with 0 for free */
    size_t names, name_room;
    struct image *picture;        /* owned: of the sheet, or the one */
    const char **under;           /* owned array, texts borrowed: captions of the sheet's pictures */
    int64_t count, room;
    char *title;                  /* owned: of the one */
    char *last;                   /* owned: the key before */
};

int picture_out_open(struct picture_out **out, const struct picture_options *o)
{
    struct picture_out *p = calloc(1, sizeof *p);
    int rc = p ? 0 : err_set(ERR_NOMEM, "no memory");

    *out = NULL;
    if (rc == 0) {
        p->o = *o;
        if (o->form != PICTURES_FILES)
            rc = out_open(&p->out, o->path, true);
    }
    if (rc == 0 && o->form == PICTURES_TAR)
        rc = pairs_create(&p->tar, &p->out);
    if (rc != 0) {
        picture_out_close(p);
        return rc;
    }
    *out = p;
    return 0;
}

void picture_out_close(struct picture_out *p)
{
    if (!p)
        return;
    pairs_drop(p->tar);
    out_abort(&p->out);
    for (size_t i = 0; i < p->captions; i++) {
        free(p->caption[i].key);
        free(p->caption[i].text);
    }
    for (int64_t i = 0; i < p->count; i++)
        image_fini(&p->picture[i]);
    free(p->caption);
    free(p->name);
    free(p->picture);
    free(p->under);
    free(p->title);
    free(p->last);
    free(p);
}

/* ---- captions ---------------------------------------------------------------------------------------------------- */

int picture_out_caption(struct picture_out *p, const char *key, const char *text, size_t size)
{
    size_t n = p->captions;
    struct caption *more = p->caption;

    if ((n & (n - 1)) == 0 && !(more = realloc(p->caption, (n ? 2 * n : 1) * sizeof *more)))
        return err_set(ERR_NOMEM, "no memory for captions");
    p->caption = more;
    p->caption[n] = (struct caption){strdup(key), strndup(text, size), n};
    if (!p->caption[n].key || !p->caption[n].text) {
        free(p->caption[n].key);
        free(p->caption[n].text);
        return err_set(ERR_NOMEM, "no memory for captions");
    }
    p->captions++;
    p->sorted = false;
    return 0;
}

static int compare_caption(const void *a, const void *b)
{
    const struct caption *x = a, *y = b;
    int order = strcmp(x->key, y->key);

    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static const char *caption_of(struct picture_out *p, const char *key)
{
    size_t low = 0, high = p->captions;

    if (!p->sorted && p->captions)
        qsort(p->caption, p->captions, sizeof *p->caption, compare_caption);
    p->sorted = true;
    while (low < high) { /* the first one behind key */
        size_t middle = (low + high) / 2;

        if (strcmp(p->caption[middle].key, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && strcmp(p->caption[low - 1].key, key) == 0 ? p->caption[low - 1].text : NULL;
}

/* ---- PNG --------------------------------------------------------------------------------------------------------- */

static int encode(struct picture_out *p, const struct image *picture, const char *title, const char *caption,
                  uint8_t **bytes, size_t *size)
{
    struct image_text text[4];
    int count = 0;

    if (title)
        text[count++] = (struct image_text){"Title", title};
    if (caption)
        text[count++] = (struct image_text){"Description", caption};
    if (p->o.software)
        text[count++] = (struct image_text){"Software", p->o.software};
    if (p->o.provenance)
        text[count++] = (struct image_text){"Provenance", p->o.provenance};
    return image_encode_png(picture, text, p->o.bare ? 0 : count, bytes, size);
}

static char *title_of(const char *key, uint32_t variant)
{
    return variant ? text_printf("%s/%" PRIu32, key, variant) : text_printf("%s", key);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* Remember a name by its hash.  A chance match among n names has the probability n^2 / 2^65: one in ten million for a million
 * pictures. */
static int remember(struct picture_out *p, const char *path)
{
    uint64_t hash = rng_hash(path, strlen(path)) | 1;

    if (2 * p->names >= p->name_room) {
        size_t room = p->name_room ? 2 * p->name_room : 64;
        uint64_t *table = calloc(room, sizeof *table);

        if (!table)
            return err_set(ERR_NOMEM, "no memory for file names");
        for (size_t i = 0; i < p->name_room; i++)
            if (p->name[i]) {
                size_t at = p->name[i] % room;

                while (table[at])
                    at = (at + 1) % room;
                table[at] = p->name[i];
            }
        free(p->name);
        p->name = table;
        p->name_room = room;
    }
    size_t at = hash % p->name_room;

    for (; p->name[at]; at = (at + 1) % p->name_room)
        if (p->name[at] == hash)
            return err_set(ERR_ARG, "%s: two pictures of this name; is %%n missing in the pattern?", path);
    p->name[at] = hash;
    p->names++;
    return 0;
}

static int put_file(struct picture_out *p, const char *key, uint32_t variant, const uint8_t *png, size_t size)
{
    char *path, *slash;
    int rc = name_from_key(&path, p->o.path, key, variant);

    if (rc != 0 || (rc = remember(p, path)) != 0) {
        free(path);
        return rc;
    }
    if ((slash = strrchr(path, '/')) && slash > path) {
        *slash = 0;
        rc = folder_make(path);
        *slash = '/';
    }
    if (rc == 0)
        rc = file_write(path, png, size);
    free(path);
    return rc;
}

static int put_member(struct picture_out *p, const char *key, uint32_t variant, const char *next, const uint8_t *png,
                      size_t size)
{
    bool alone = variant == 0 && !(next && strcmp(next, key) == 0) && !(p->last && strcmp(p->last, key) == 0);
    char *name = alone ? strdup(key) : text_printf("%s/%04" PRIu32, key, variant);
    int rc = name ? pairs_put(p->tar, name, "png", png, size) : err_set(ERR_NOMEM, "no memory for a name");

    free(name);
    free(p->last);
    p->last = strdup(key);
    return rc == 0 && !p->last ? err_set(ERR_NOMEM, "no memory for a name") : rc;
}

/* ---- held until the end ------------------------------------------------------------------------------------------ */

static int hold(struct picture_out *p, const struct image *picture, const char *key, uint32_t variant)
{
    int rc;

    if (p->o.form == PICTURES_ONE && p->count == 1)
        return err_set(ERR_ARG, "more than one picture: --grid makes a sheet of them, -o 'PATTERN' files, --tar an archive");
    if ((p->count + 1) * picture->width * (int64_t)picture->height > IMAGE_PIXELS_MAX)
        return err_set(ERR_LIMIT, "a sheet of more than %" PRId64 " pictures", p->count);
    if (p->count == p->room) {
        int64_t room = p->room ? 2 * p->room : 64;
        struct image *more = realloc(p->picture, (size_t)room * sizeof *more);
        const char **under = more ? realloc(p->under, (size_t)room * sizeof *under) : NULL;

        p->picture = more ? more : p->picture;
        p->under = under ? under : p->under;
        if (!more || !under)
            return err_set(ERR_NOMEM, "no memory for a sheet");
        p->room = room;
    }
    if (!p->title && !(p->title = title_of(key, variant)))
        return err_set(ERR_NOMEM, "no memory for a title");
    if ((rc = image_init(&p->picture[p->count], picture->width, picture->height)) != 0)
        return rc;
    memcpy(p->picture[p->count].rgb, picture->rgb, (size_t)picture->width * (size_t)picture->height * 3);
    p->under[p->count++] = caption_of(p, key);
    return 0;
}

/* ---- in and out -------------------------------------------------------------------------------------------------- */

int picture_out_put(struct picture_out *p, const struct image *picture, const char *key, uint32_t variant,
                    const char *next)
{
    char *title;
    uint8_t *png = NULL;
    size_t size;
    int rc;

    if (p->o.form == PICTURES_ONE || p->o.form == PICTURES_SHEET)
        return hold(p, picture, key, variant);
    if (p->o.form == PICTURES_PPM)
        return image_write_ppm(picture, &p->out);
    if (!(title = title_of(key, variant)))
        return err_set(ERR_NOMEM, "no memory for a title");
    if ((rc = encode(p, picture, title, caption_of(p, key), &png, &size)) == 0)
        rc = p->o.form == PICTURES_TAR ? put_member(p, key, variant, next, png, size) : put_file(p, key, variant, png, size);
    free(png);
    free(title);
    return rc;
}

static int end_held(struct picture_out *p)
{
    struct sheet style = SHEET_USUAL;
    struct image sheet = {0};
    const struct image *picture = &sheet;
    uint8_t *png = NULL;
    size_t size;
    int rc = 0;

    if (p->count == 0)
        return err_set(ERR_EMPTY, "no picture came in");
    style.columns = p->o.columns;
    if (p->o.form == PICTURES_ONE)
        picture = p->picture;
    else
        rc = sheet_make(&sheet, p->picture, p->captions ? p->under : NULL, p->count, &style);
    if (rc == 0)
        rc = encode(p, picture, p->o.form == PICTURES_ONE ? p->title : NULL, p->o.form == PICTURES_ONE ? p->under[0] : NULL,
                    &png, &size);
    if (rc == 0)
        rc = out_write(&p->out, png, size);
    free(png);
    image_fini(&sheet);
    return rc;
}

int picture_out_end(struct picture_out *p)
{
    struct pairs_writer *tar = p->tar;
    int rc = 0;

    p->tar = NULL;
    if (p->o.form == PICTURES_FILES)
        return 0;
    if (p->o.form == PICTURES_TAR)
        rc = pairs_end(tar);
    else if (p->o.form != PICTURES_PPM)
        rc = end_held(p);
    return rc == 0 ? out_commit(&p->out) : rc;
}
