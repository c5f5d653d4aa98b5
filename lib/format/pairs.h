/* SPDX-License-Identifier: MIT */
/* pairs.h -- sources of image-caption pairs.  The layouts: formats/pairs.md.
 *
 * A source is a tar (plain or compressed) or zip in webdataset layout (KEY.png|jpg|jpeg|webp|ppm|... with KEY.txt and/or
 * KEY.json with a "caption"; the key is the path up to the first dot of the file name), a folder of the same,
 * "@list.tsv" (path, tab, caption; or the JSON lines that --rejects wrote), or "-" for an archive on stdin.
 *
 * Memory   constant: one pair; members of a pair stand together
 * Order    archives as they stand; folders sorted by name
 * Errors   what concerns one record is in pair.problem and the reading goes on; a source that cannot be read on is an error,
 *          or with PAIRS_GO_ON a last record with a problem
 */
#ifndef FORMAT_PAIRS_H
#define FORMAT_PAIRS_H

#include <stdint.h>

#include "base/err.h"
#include "base/io.h"

#define PAIRS_MEMBER_MAX (256u << 20) /* bytes of a picture; larger ones are a problem of their record */
#define PAIRS_CAPTION_MAX (1u << 20)
#define PAIRS_EXTRAS_MAX 64            /* other members of a record; PAIRS_MEMBER_MAX bytes together */

struct pair_member {
    const char *ext;         /* as it stood: "mask.png" */
    const uint8_t *bytes;
    size_t size;
};

struct pair {
    const char *key;         /* borrowed until the next call; "": the source itself has a problem (PAIRS_GO_ON) */
    const char *source;      /* borrowed: the archive, folder or list */
    const char *caption;     /* NUL-terminated, valid UTF-8, without a final newline; NULL: none */
    size_t caption_size;
    const uint8_t *picture;  /* the encoded file; NULL: none */
    size_t picture_size;
    const char *picture_ext; /* "png"; NULL: none */
    const char *place;       /* borrowed: a file that holds the picture for pairs_read_again; NULL: there is none (compressed
                              * archives, zip, stdin) */
    int64_t offset;          /* of the picture's member in place, a tar; -1: place is the picture itself */
    const char *caption_end; /* what stood behind it in the txt: "", "\n" or "\r\n"; NULL: the caption is not from one */
    const struct pair_member *extra; /* [extras], borrowed: with PAIRS_EXTRA, all other members of the key */
    int extras;
    const char *problem;     /* NULL, or why the record cannot be used as it is */
};

enum pairs_want {
    PAIRS_CAPTION = 1,
    PAIRS_PICTURE = 2,
    PAIRS_GO_ON = 4, /* a source that is cut off or damaged ends with a record of key "" that says so: what stood before counts */
    PAIRS_EXTRA = 8
};

struct pairs;

/* want: members to read, others are passed over; a record that lacks a wanted member has a problem. */
must_check int pairs_open(struct pairs **p, const char *source, int want);
must_check int pairs_next(struct pairs *p, struct pair *pair); /* 1: a record; 0: the end */
void pairs_close(struct pairs *p);

/* Pictures of more bytes (1..PAIRS_MEMBER_MAX) are a problem of their record, before memory is taken for them. */
void pairs_limit(struct pairs *p, size_t picture_bytes);

/* The picture that stood at a pair's place and offset, by any thread.  ERR_IO, ERR_FORMAT: it is not there any more.  The
 * caller frees *bytes, NULL after a failure. */
must_check int pairs_read_again(uint8_t **bytes, size_t *size, const char *place, int64_t offset);

/* The extension as we spell it, if it is one of a picture; NULL: it is not. */
const char *pairs_picture_ext(const char *ext);

/* Is path a pair source rather than plain text: a folder, "@...", or an archive by its first bytes? */
bool pairs_is_source(const char *path);

/* ---- writing a tar ---------------------------------------------------------------------------------------------- */

struct pairs_writer;

must_check int pairs_create(struct pairs_writer **w, struct out *out);
/* One member KEY.ext. */
must_check int pairs_put(struct pairs_writer *w, const char *key, const char *ext, const void *bytes, size_t size);
/* All members of a pair, their bytes unchanged: KEY.picture_ext, KEY.txt where the caption is from one or from a list, the
 * extras.  The key is the same when read back: it stands as it is wherever a reader would find it again. */
must_check int pairs_copy(struct pairs_writer *w, const struct pair *pair);
must_check int pairs_end(struct pairs_writer *w); /* frees w, also after a failure */
void pairs_drop(struct pairs_writer *w);          /* frees w and writes nothing more: the tar stays cut */

/* ---- what was left out ------------------------------------------------------------------------------------------ */

struct rejects {
    struct out out;  /* owned; not open where no list was asked for */
    bool listed;
    int64_t count;
    int64_t sources; /* of the count: sources that could not be read to their end */
    char last[512];  /* why the last of them */
};

/* path NULL: count only. */
must_check int rejects_open(struct rejects *r, const char *path);
/* {"source":..., "key":..., "reason":...} */
must_check int rejects_add(struct rejects *r, const char *source, const char *key, const char *reason);
/* The same of a record of a pair source, where the key "" is the source itself (PAIRS_GO_ON). */
must_check int rejects_add_pair(struct rejects *r, const char *source, const char *key, const char *reason);
must_check int rejects_close(struct rejects *r); /* commits */

/* A safe file name under a folder from a pattern: %k the key, %n the variant, %% a percent sign.  Keys that would leave
 * the folder are escaped: see formats/pairs.md, "names from keys".  Caller frees *path. */
must_check int name_from_key(char **path, const char *pattern, const char *key, uint32_t variant);

#endif
