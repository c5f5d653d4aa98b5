/* SPDX-License-Identifier: MIT */
/* pairs.c -- neighbours of one key become a record.  The first member of the next record is known before the record is
 * given out; an error met there is kept and given by the next call, so that everything complete before a cut arrives. */
#include "format/pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <jansson.h>

#include "format/pairs_in.h"

struct pairs {
    char *source;                  /* owned */
    int want;                      /* enum pairs_want */
    size_t limit;                  /* bytes of a picture */
    const struct pairs_feed *feed; /* NULL: a list */
    void *state;                   /* owned: the feed's */
    struct pairs_list *list;       /* owned; NULL: a feed */

    const char *path;              /* borrowed from the feed: the member that is to be taken next; NULL: not read yet */
    bool ended;
    int failed;                    /* the error that ended the source, 0: none */
    char reason[PAIRS_PROBLEM_MAX];
    bool over;                     /* failed was given out as a record */

    /* the record */
    struct pairs_bytes key, shown, picture, text, json, near, place;
    int64_t offset;                /* of the picture in place; place.size 0: it cannot be read again */
    const char *picture_ext;
    struct pairs_extras extras;
    bool any;                      /* has a member that is a picture or a caption, read or not */
    bool have_text, have_json;
    bool bad_picture, bad_caption; /* there was one, and problem says what is wrong with it */
    char problem[PAIRS_PROBLEM_MAX];
};

/* ---- opening --------------------------------------------------------------------------------------------------- */

int pairs_open_at(struct pairs **pairs, const char *source, int want, bool nested)
{
    struct pairs *p = calloc(1, sizeof *p);
    struct stat st;
    int rc;

    *pairs = NULL;
    if (!source)
        source = "-";
    if (!p || !(p->source = strdup(source))) {
        free(p);
        return err_set(ERR_NOMEM, "no memory");
    }
    p->want = want;
    p->limit = PAIRS_MEMBER_MAX;
    if (source[0] == '@') {
        rc = pairs_list_open(&p->list, p->source, want, nested);
    } else if (stat(source, &st) == 0 && S_ISDIR(st.st_mode)) {
        p->feed = &pairs_folder;
        rc = pairs_folder_open(&p->state, p->source);
    } else {
        p->feed = &pairs_archive;
        rc = pairs_archive_open(&p->state, p->source);
    }
    if (rc != 0) {
        pairs_close(p);
        return rc;
    }
    *pairs = p;
    return 0;
}

int pairs_open(struct pairs **p, const char *source, int want)
{
    return pairs_open_at(p, source, want, false);
}

void pairs_limit(struct pairs *p, size_t picture_bytes)
{
    p->limit = picture_bytes;
    if (p->list)
        pairs_list_limit(p->list, picture_bytes);
}

void pairs_close(struct pairs *p)
{
    if (!p)
        return;
    pairs_list_close(p->list);
    if (p->state)
        p->feed->close(p->state);
    free(p->key.at);
    free(p->shown.at);
    free(p->picture.at);
    free(p->text.at);
    free(p->json.at);
    free(p->near.at);
    free(p->place.at);
    pairs_extras_fini(&p->extras);
    free(p->source);
    free(p);
}

/* ---- members --------------------------------------------------------------------------------------------------- */

/* The next member that has a key, into p->path. */
static int next_member(struct pairs *p)
{
    int rc;

    do
        rc = p->feed->next(p->state, &p->path);
    while (rc > 0 && !pairs_dot(p->path));
    if (rc <= 0)
        p->path = NULL;
    return rc;
}

static void note_problem(struct pairs *p, const char *what, const char *why)
{
    if (!p->problem[0])
        snprintf(p->problem, sizeof p->problem, "%.250s: %.250s", what, why);
}

/* Read the member at hand.  Its name is copied first: the feed may take it back. */
static int read_member(struct pairs *p, struct pairs_bytes *to, size_t limit, bool *have, bool *bad)
{
    char why[PAIRS_PROBLEM_MAX] = "";
    int rc = p->feed->read(p->state, to, limit, why);

    *have = rc == 0;
    if (rc > 0) {
        note_problem(p, p->path, why);
        *bad = true;
    }
    return rc < 0 ? rc : 0;
}

static int take_picture(struct pairs *p, const char *ext)
{
    const char *place;
    bool have;
    int rc;

    p->any = true;
    if (!(p->want & PAIRS_PICTURE))
        return 0;
    if (p->picture_ext || p->bad_picture) {
        note_problem(p, p->path, "a second picture of the same key");
        return 0;
    }
    rc = read_member(p, &p->picture, p->limit, &have, &p->bad_picture);
    if (!have)
        return rc;
    p->picture_ext = ext;
    return p->feed->place(p->state, &place, &p->offset) ? pairs_bytes_set(&p->place, place, strlen(place)) : 0;
}

static int take_caption(struct pairs *p, struct pairs_bytes *to, size_t limit, bool *have)
{
    p->any = true;
    if (!(p->want & PAIRS_CAPTION))
        return 0;
    if (*have) {
        note_problem(p, p->path, "a second caption of the same key");
        return 0;
    }
    return read_member(p, to, limit, have, &p->bad_caption);
}

/* A member that we pass over, but that somebody may have meant as picture or caption: "x.v2.png", "x.gif". */
static int take_other(struct pairs *p, const char *ext)
{
    static const char *const meant[] = {"txt", "json", "gif", "bmp", "tif", "tiff", "avif", "heic", "jxl", "jp2", NULL};
    const char *last = strrchr(ext, '.');
    bool is_meant;

    last = last ? last + 1 : ext;
    is_meant = pairs_picture_ext(last) != NULL;
    for (int i = 0; meant[i] && !is_meant; i++)
        is_meant = strcasecmp(meant[i], last) == 0;
    if (!is_meant || p->near.size > 0)
        return 0;
    return pairs_bytes_set(&p->near, p->path, strlen(p->path));
}

static int keep_extra(struct pairs *p, const char *ext, const struct pairs_bytes *bytes)
{
    const char *why;
    int rc = pairs_extras_keep(&p->extras, ext, bytes, &why);

    if (rc == 0 && why)
        note_problem(p, p->path, why);
    return rc;
}

static int take_json(struct pairs *p, const char *ext)
{
    bool had = p->have_json;
    int rc = take_caption(p, &p->json, PAIRS_JSON_MAX, &p->have_json);

    return rc == 0 && (p->want & PAIRS_EXTRA) && p->have_json && !had ? keep_extra(p, ext, &p->json) : rc;
}

static int take_extra(struct pairs *p, const char *ext)
{
    bool have, bad;
    int rc = take_other(p, ext);

    if (rc != 0 || !(p->want & PAIRS_EXTRA))
        return rc;
    rc = read_member(p, &p->extras.member, PAIRS_MEMBER_MAX, &have, &bad);
    return rc == 0 && have ? keep_extra(p, ext, &p->extras.member) : rc;
}

static int take_member(struct pairs *p)
{
    const char *ext = pairs_dot(p->path) + 1, *picture = pairs_picture_ext(ext);

    if (picture)
        return take_picture(p, picture);
    if (strcasecmp(ext, "txt") == 0)
        return take_caption(p, &p->text, PAIRS_CAPTION_MAX, &p->have_text);
    if (strcasecmp(ext, "json") == 0)
        return take_json(p, ext);
    return take_extra(p, ext);
}

/* ---- records --------------------------------------------------------------------------------------------------- */

static bool same_key(const struct pairs *p)
{
    size_t size = (size_t)(pairs_dot(p->path) - p->path);

    return size == p->key.size && memcmp(p->path, p->key.at, size) == 0;
}

static bool has_all(const struct pairs *p)
{
    return (!(p->want & PAIRS_PICTURE) || p->picture_ext) &&
           (!(p->want & PAIRS_CAPTION) || p->have_text || p->have_json) && p->any;
}

/* The members of one key.  1: gathered; 0: the end; else an error, after which p->failed is set. */
static int gather(struct pairs *p)
{
    bool cut = false; /* inside a member of this key */
    int rc = 1;

    p->picture_ext = NULL;
    p->any = p->have_text = p->have_json = p->bad_picture = p->bad_caption = false;
    p->problem[0] = 0;
    p->near.size = p->place.size = 0;
    p->extras.count = 0;
    if (!p->path && (rc = next_member(p)) <= 0) {
        p->ended = rc == 0;
        return p->failed = rc;
    }
    if ((rc = pairs_bytes_set(&p->key, p->path, (size_t)(pairs_dot(p->path) - p->path))) != 0)
        return p->failed = rc;
    do {
        if ((rc = take_member(p)) != 0)
            cut = true;
        else
            rc = next_member(p);
    } while (rc > 0 && same_key(p));
    if (rc >= 0) {
        p->ended = !p->path;
        return 1;
    }
    p->failed = rc;
    snprintf(p->reason, sizeof p->reason, "%s", err_text());
    return has_all(p) && !(cut && (p->want & PAIRS_EXTRA)) ? 1 : rc; /* what is complete before the cut still arrives */
}

/* The "caption" of KEY.json into p->text. */
static int caption_from_json(struct pairs *p)
{
    json_error_t error;
    json_t *object = json_loadb((const char *)p->json.at, p->json.size, 0, &error);
    const json_t *caption = json_object_get(object, "caption");
    int rc = 0;

    if (!object)
        note_problem(p, "json", error.text);
    else if (!caption || json_is_null(caption))
        note_problem(p, "json", "no \"caption\" in it");
    else if (!json_is_string(caption))
        note_problem(p, "json", "\"caption\" is not a text");
    else if (json_string_length(caption) > PAIRS_CAPTION_MAX)
        note_problem(p, "json", "the caption is longer than 1 MiB");
    else if ((rc = pairs_bytes_set(&p->text, json_string_value(caption), json_string_length(caption))) == 0)
        p->have_text = true;
    p->bad_caption |= !p->have_text;
    json_decref(object);
    return rc;
}

static void note_missing(struct pairs *p, const char *what)
{
    if (p->problem[0])
        return;
    if (p->near.size > 0)
        snprintf(p->problem, sizeof p->problem, "no %s: %.300s is not named as one", what, (const char *)p->near.at);
    else
        snprintf(p->problem, sizeof p->problem, "no %s beside it", what);
}

static int finish(struct pairs *p, struct pair *pair)
{
    const char *why, *end = NULL;
    bool from_txt;
    int rc;

    if ((rc = pairs_show_key(&p->shown, (const char *)p->key.at, p->key.size, &why)) != 0)
        return rc;
    if (why && !p->problem[0])
        snprintf(p->problem, sizeof p->problem, "%s", why);
    from_txt = p->have_text;
    if ((p->want & PAIRS_CAPTION) && !p->have_text && p->have_json && (rc = caption_from_json(p)) != 0)
        return rc;
    if (p->have_text && (why = pairs_check_caption(&p->text, &end))) {
        p->have_text = false;
        p->bad_caption = true;
        if (!p->problem[0])
            snprintf(p->problem, sizeof p->problem, "%s", why);
    }
    if ((p->want & PAIRS_PICTURE) && !p->picture_ext && !p->bad_picture)
        note_missing(p, "picture");
    if ((p->want & PAIRS_CAPTION) && !p->have_text && !p->bad_caption)
        note_missing(p, "caption");
    pair->key = (const char *)p->shown.at;
    pair->source = p->source;
    if (p->have_text) {
        pair->caption = (const char *)p->text.at;
        pair->caption_size = p->text.size;
        pair->caption_end = from_txt ? end : NULL;
    }
    if (p->picture_ext) {
        pair->picture = p->picture.at;
        pair->picture_size = p->picture.size;
        pair->picture_ext = p->picture_ext;
        pair->place = p->place.size ? (const char *)p->place.at : NULL;
        pair->offset = p->offset;
    }
    pair->extra = pairs_extras_list(&p->extras);
    pair->extras = p->extras.count;
    pair->problem = p->problem[0] ? p->problem : NULL;
    return 0;
}

/* A record of the feed: neighbours that hold nothing we know are passed over. */
static int next_record(struct pairs *p, struct pair *pair)
{
    int rc;

    do {
        if (p->failed || p->ended)
            return p->failed;
        if ((rc = gather(p)) <= 0)
            return rc;
    } while (!p->any && !p->near.size);
    return (rc = finish(p, pair)) == 0 ? 1 : rc;
}

/* The source cannot be read on: an error that stays, or the last record. */
static int stop(struct pairs *p, struct pair *pair, int code)
{
    p->failed = code;
    snprintf(p->reason, sizeof p->reason, "%s", err_text());
    *pair = (struct pair){0};
    if (!(p->want & PAIRS_GO_ON) || (code != ERR_TRUNCATED && code != ERR_FORMAT))
        return code;
    p->over = true;
    *pair = (struct pair){.key = "", .source = p->source, .problem = p->reason};
    return 1;
}

int pairs_next(struct pairs *p, struct pair *pair)
{
    int rc;

    *pair = (struct pair){0};
    if (p->over)
        return 0;
    if (p->failed) {
        rc = err_set(p->failed, "%s", p->reason);
        return stop(p, pair, rc);
    }
    rc = p->list ? pairs_list_next(p->list, pair) : next_record(p, pair);
    return rc < 0 ? stop(p, pair, rc) : rc;
}
