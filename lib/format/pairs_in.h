/* SPDX-License-Identifier: MIT */
/* pairs_in.h -- inside pairs: where members come from, and how they become records.  Not for other modules.
 *
 * A feed gives members (a path and bytes) one after another; pairs.c groups neighbours of one key.  A list gives whole
 * records.
 */
#ifndef FORMAT_PAIRS_IN_H
#define FORMAT_PAIRS_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/pairs.h"

#define PAIRS_JSON_MAX (16u << 20) /* bytes of KEY.json, which may hold more than a caption */
#define PAIRS_KEY_MAX 4096         /* bytes of a key */
#define PAIRS_PROBLEM_MAX 512

struct pairs_bytes { /* a buffer that grows and is kept for the next record */
    uint8_t *at;     /* owned */
    size_t size, room;
};

must_check int pairs_bytes_room(struct pairs_bytes *b, size_t room); /* ERR_NOMEM: b is as before */
must_check int pairs_bytes_set(struct pairs_bytes *b, const void *bytes, size_t size); /* and a NUL behind */

/* Members that are neither picture nor caption, one behind the other. */
struct pairs_extras {
    struct pairs_bytes all, member; /* of the record; the member being read */
    struct { size_t ext_at, at, size; } slot[PAIRS_EXTRAS_MAX]; /* in all */
    struct pair_member list[PAIRS_EXTRAS_MAX];
    int count;
};

struct pairs_feed {
    /* 1: a member, its path borrowed until the next call; 0: the end; else the source cannot be read on. */
    int (*next)(void *state, const char **path);
    /* The bytes of the member that next gave.  0: done; 1: cannot be used, problem says why; else as above. */
    int (*read)(void *state, struct pairs_bytes *to, size_t limit, char problem[PAIRS_PROBLEM_MAX]);
    /* Where the member stands for pairs_read_again; false: nowhere.  *path is borrowed until the next call. */
    bool (*place)(void *state, const char **path, int64_t *offset);
    void (*close)(void *state);
};

extern const struct pairs_feed pairs_archive, pairs_folder;
must_check int pairs_archive_open(void **state, const char *path); /* "-": stdin */
must_check int pairs_folder_open(void **state, const char *path);

/* One file's bytes, as a feed's read. */
must_check int pairs_file_read(const char *path, struct pairs_bytes *to, size_t limit, char problem[PAIRS_PROBLEM_MAX]);
int pairs_too_large(size_t limit, char problem[PAIRS_PROBLEM_MAX]); /* says so; 1 */

struct pairs_list;
must_check int pairs_list_open(struct pairs_list **l, const char *source, int want, bool nested);
must_check int pairs_list_next(struct pairs_list *l, struct pair *pair);
void pairs_list_close(struct pairs_list *l);
void pairs_list_limit(struct pairs_list *l, size_t picture_bytes);

/* nested: source stands in a list of rejects, so it may not be such a list itself. */
must_check int pairs_open_at(struct pairs **p, const char *source, int want, bool nested);

/* Keep the bytes of e->member, or of another buffer.  NULL, or why they cannot be kept. */
must_check int pairs_extras_keep(struct pairs_extras *e, const char *ext, const struct pairs_bytes *bytes, const char **why);
/* The list, of which pointers hold until the next member is kept. */
const struct pair_member *pairs_extras_list(struct pairs_extras *e);
void pairs_extras_fini(struct pairs_extras *e);

/* ---- names and texts --------------------------------------------------------------------------------------------- */

/* Where the key ends and the extension begins: the first dot of the file name.  NULL: no dot, or nothing before it. */
const char *pairs_dot(const char *path);
const char *pairs_skip_dot_slash(const char *path);
bool pairs_is_utf8(const uint8_t *bytes, size_t size);
/* key into *shown; where it is not one that a token stream can hold, with U+FFFD for what is wrong, and why. */
must_check int pairs_show_key(struct pairs_bytes *shown, const char *key, size_t size, const char **why);
/* NULL, or why text is no caption; cuts a final newline.  *end: what was cut. */
const char *pairs_check_caption(struct pairs_bytes *text, const char **end);
/* "KEY.ext" as a member's name, escaped as name_from_key does and dots of the file name too. */
must_check int pairs_member_name(struct pairs_bytes *name, const char *key, const char *ext);

#endif
