/* SPDX-License-Identifier: MIT */
#include "model/prompt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Take the record ahead and look for the next one. */
static int advance(struct prompt *p)
{
    int rc;

    p->unused += p->key && !p->used;
    p->used = false;
    free(p->key);
    if (!(p->key = strdup(p->ahead.key)))
        return err_set(ERR_NOMEM, "no memory for a key");
    memcpy(p->codes, p->ahead.image, sizeof *p->codes * p->ahead.image_count);
    rc = tok_next(p->in, &p->ahead);
    p->more = rc > 0;
    return rc < 0 ? rc : 0;
}

static int check(const struct prompt *p, const struct prior_meta *m, bool force)
{
    const struct tok_header *h = tok_header_of(p->in);
    const struct prior_config *c = &m->config;

    if (!(h->kind & TOK_IMAGE))
        return err_set(ERR_MISMATCH, "%s tokens, image tokens are needed here", tok_kind_name(h->kind));
    if (h->grid_h != c->grid_h || h->grid_w != c->grid_w)
        return err_set(ERR_MISMATCH, "a grid of %u x %u codes, the prior draws %" PRId64 " x %" PRId64, h->grid_h,
                       h->grid_w, c->grid_h, c->grid_w);
    return force ? 0 : prior_digest_same("image", &h->image_digest, &m->image);
}

int prompt_open(struct prompt *p, const char *path, const struct prior_meta *m, bool force)
{
    int rc;

    *p = (struct prompt){.path = path};
    if ((rc = tok_open(&p->in, path)) != 0)
        return rc;
    tok_allow_mismatch(p->in, force);
    if ((rc = check(p, m, force)) != 0) {
        rc = err_at(rc, "%s", path);
    } else if (!(p->codes = calloc((size_t)prior_image_slots(&m->config), sizeof *p->codes))) {
        rc = err_set(ERR_NOMEM, "no memory for a prompt");
    } else if ((rc = tok_next(p->in, &p->ahead)) == 0) {
        rc = err_set(ERR_EMPTY, "%s: no records", path);
    } else if (rc > 0) {
        rc = advance(p);
        p->one = !p->more;
    }
    if (rc != 0)
        prompt_close(p);
    return rc;
}

void prompt_close(struct prompt *p)
{
    tok_close(p->in);
    free(p->key);
    free(p->codes);
    *p = (struct prompt){0};
}

int prompt_find(struct prompt *p, const uint16_t **codes, const char *key)
{
    int rc;

    while (!p->one && strcmp(p->key, key) != 0) {
        if (!p->more)
            return err_set(ERR_MISMATCH, "%s: no prompt for key %.500s (prompts come in the captions' order)", p->path, key);
        if ((rc = advance(p)) != 0)
            return rc;
    }
    p->used = true;
    *codes = p->codes;
    return 0;
}

int prompt_finish(struct prompt *p)
{
    int rc = 0;

    while (rc == 0 && p->more)
        rc = advance(p);
    p->unused += p->key && !p->used;
    p->used = true;
    return rc;
}
