/* SPDX-License-Identifier: MIT */
/* pairs_write.c -- a tar whose bytes depend on keys and contents alone: no times, no owners, one mode. */
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "format/pairs_in.h"

struct pairs_writer {
    struct out *out;         /* borrowed */
    struct archive *archive; /* owned */
    struct archive_entry *entry; /* owned */
    locale_t utf8;           /* owned; 0: not to be had */
    int failed;              /* of out; its reason is recorded then */
};

static la_ssize_t write_block(struct archive *a, void *data, const void *bytes, size_t size)
{
    struct pairs_writer *w = data;

    (void)a;
    if (w->failed || (w->failed = out_write(w->out, bytes, size)) != 0)
        return -1;
    return (la_ssize_t)size;
}

static int write_error(struct pairs_writer *w)
{
    const char *text = archive_error_string(w->archive);

    if (w->failed)
        return w->failed;
    return err_set(ERR_IO, "tar: %s", text ? text : "cannot write");
}

static int free_writer(struct pairs_writer *w, int rc)
{
    w->failed = rc ? rc : w->failed; /* nothing more is written */
    archive_entry_free(w->entry);
    archive_write_free(w->archive);
    if (w->utf8)
        freelocale(w->utf8);
    free(w);
    return rc;
}

int pairs_create(struct pairs_writer **writer, struct out *out)
{
    struct pairs_writer *w = calloc(1, sizeof *w);

    *writer = NULL;
    if (!w)
        return err_set(ERR_NOMEM, "no memory");
    w->out = out;
    w->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    w->archive = archive_write_new();
    w->entry = archive_entry_new();
    if (!w->archive || !w->entry)
        return free_writer(w, err_set(ERR_NOMEM, "no memory"));
    archive_write_set_format_pax_restricted(w->archive);
    archive_write_set_bytes_per_block(w->archive, 16 * 10240); /* written at once */
    archive_write_set_bytes_in_last_block(w->archive, 10240);
    if (archive_write_open(w->archive, w, NULL, write_block, NULL) != ARCHIVE_OK)
        return free_writer(w, write_error(w));
    *writer = w;
    return 0;
}

/* Names are UTF-8 whatever the user's locale is. */
static int write_header(struct pairs_writer *w)
{
    locale_t before = w->utf8 ? uselocale(w->utf8) : (locale_t)0;
    int rc = archive_write_header(w->archive, w->entry);

    if (w->utf8)
        uselocale(before);
    return rc;
}

static int put_member(struct pairs_writer *w, const char *name, const void *bytes, size_t size)
{
    archive_entry_clear(w->entry);
    archive_entry_set_pathname(w->entry, name);
    archive_entry_set_filetype(w->entry, AE_IFREG);
    archive_entry_set_perm(w->entry, 0644);
    archive_entry_set_size(w->entry, (la_int64_t)size);
    archive_entry_set_mtime(w->entry, 0, 0);
    if (write_header(w) < ARCHIVE_WARN ||
        (size > 0 && archive_write_data(w->archive, bytes, size) != (la_ssize_t)size))
        return write_error(w);
    return 0;
}

int pairs_put(struct pairs_writer *w, const char *key, const char *ext, const void *bytes, size_t size)
{
    struct pairs_bytes name = {0};
    int rc = pairs_member_name(&name, key, ext);

    if (rc == 0)
        rc = put_member(w, (const char *)name.at, bytes, size);
    free(name.at);
    return rc;
}

/* The key as it stands, unless a reader would take it for another. */
static int put_as_read(struct pairs_writer *w, const char *key, const char *ext, const void *bytes, size_t size)
{
    char *name = text_printf("%s.%s", key, ext);
    int rc;

    if (!name)
        return err_set(ERR_NOMEM, "%s: no memory", key);
    if (pairs_skip_dot_slash(name) == name && pairs_dot(name) == name + strlen(key))
        rc = put_member(w, name, bytes, size);
    else
        rc = pairs_put(w, key, ext, bytes, size);
    free(name);
    return rc;
}

int pairs_copy(struct pairs_writer *w, const struct pair *pair)
{
    int rc = 0;

    if (pair->picture)
        rc = put_as_read(w, pair->key, pair->picture_ext, pair->picture, pair->picture_size);
    if (rc == 0 && pair->caption && pair->caption_end) {
        char *text = text_printf("%s%s", pair->caption, pair->caption_end);

        rc = text ? put_as_read(w, pair->key, "txt", text, strlen(text))
                  : err_set(ERR_NOMEM, "%s: no memory", pair->key);
        free(text);
    }
    for (int i = 0; rc == 0 && i < pair->extras; i++)
        rc = put_as_read(w, pair->key, pair->extra[i].ext, pair->extra[i].bytes, pair->extra[i].size);
    return rc;
}

int pairs_end(struct pairs_writer *w)
{
    if (!w)
        return 0;
    return free_writer(w, archive_write_close(w->archive) == ARCHIVE_OK ? 0 : write_error(w));
}

void pairs_drop(struct pairs_writer *w)
{
    if (w)
        (void)free_writer(w, ERR_IO);
}
