/* SPDX-License-Identifier: MIT */
/* dvae_file.c -- tensors of a file under their full names, whatever the file calls them; the sizes that they imply. */
#include "model/dvae_in.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FULL_NAME 96
#define BLOCKS_MAX 64
#define TENSORS_MAX (2 * 2 * (2 + 5 * DVAE_GROUPS * BLOCKS_MAX)) /* of two halves, weights and biases */

struct dvae_file {
    struct st_file *st;       /* owned */
    struct st_tensor *tensor; /* owned: those of a dVAE, with their full names */
    char (*name)[FULL_NAME];  /* owned */
    int count;
};

/* Replace the first `from` in a name by `to`, which is not longer. */
static void replace(char *name, const char *from, const char *to)
{
    char *at = strstr(name, from);

    if (at) {
        memmove(at + strlen(to), at + strlen(from), strlen(at + strlen(from)) + 1);
        memcpy(at, to, strlen(to));
    }
}

static void replace_end(char *name, const char *from, const char *to)
{
    size_t size = strlen(name), tail = strlen(from);

    if (size > tail && strcmp(name + size - tail, from) == 0)
        strcpy(name + size - tail, to);
}

/* The full name, or false for a tensor that is none of ours.  bare: what stands before "blocks." where nothing does. */
static bool full_name(char to[FULL_NAME], const char *name, const char *bare)
{
    static const char codebook[] = "image_codebook.";

    if (strncmp(name, codebook, sizeof codebook - 1) == 0)
        name += sizeof codebook - 1;
    if (strncmp(name, "encoder.blocks.", 15) == 0 || strncmp(name, "decoder.blocks.", 15) == 0)
        bare = "";
    else if (strncmp(name, "blocks.", 7) != 0)
        return false;
    if (snprintf(to, FULL_NAME, "%s%s", bare, name) >= FULL_NAME)
        return false;
    replace(to, ".group.", ".");
    replace(to, ".res_path.path.", ".res_path.");
    replace_end(to, ".weight", ".w");
    replace_end(to, ".bias", ".b");
    return true;
}

static const struct st_tensor *find(const struct dvae_file *f, const char *name)
{
    for (int i = 0; i < f->count; i++)
        if (strcmp(f->tensor[i].name, name) == 0)
            return &f->tensor[i];
    return NULL;
}

/* A bare file is an encoder where its input convolution has a 7x7 kernel. */
static const char *bare_half(const struct st_file *st)
{
    const struct st_tensor *t = st_find(st, "blocks.input.w");

    if (!t)
        t = st_find(st, "blocks.input.weight");
    if (!t)
        t = st_find(st, "image_codebook.blocks.input.weight");
    return t && t->rank == 4 && t->shape[3] == 1 ? "decoder." : "encoder.";
}

static int list_tensors(struct dvae_file *f)
{
    int n = st_tensor_count(f->st);
    const char *bare = bare_half(f->st);

    f->tensor = calloc((size_t)n + 1, sizeof *f->tensor);
    f->name = calloc((size_t)n + 1, sizeof *f->name);
    if (!f->tensor || !f->name)
        return err_set(ERR_NOMEM, "no memory for a list of tensors");
    for (int i = 0; i < n; i++) {
        const struct st_tensor *t = st_tensor_at(f->st, i);

        if (!full_name(f->name[f->count], t->name, bare))
            continue;
        if (f->count == TENSORS_MAX)
            return err_set(ERR_LIMIT, "more than %d tensors of a dVAE", TENSORS_MAX);
        if (find(f, f->name[f->count]))
            return err_set(ERR_FORMAT, "two tensors are %s", f->name[f->count]);
        f->tensor[f->count] = *t;
        f->tensor[f->count].name = f->name[f->count];
        f->count++;
    }
    return 0;
}

/* ---- what the shapes say ----------------------------------------------------------------------------------------- */

static int64_t extent(const struct dvae_file *f, int half, int group, int block, int conv, int axis)
{
    char name[DVAE_NAME];
    const struct st_tensor *t;

    dvae_name(name, half, group, block, conv, "w");
    t = find(f, name);
    return t && t->rank == 4 ? t->shape[axis] : 0;
}

static void read_shapes(struct dvae_file_info *info, const struct dvae_file *f)
{
    struct dvae_config *c = &info->config;
    int end = DVAE_GROUPS + 1, half;

    info->use = (extent(f, 0, 0, 0, 0, 0) ? DVAE_ENCODER : 0) | (extent(f, 1, 0, 0, 0, 0) ? DVAE_DECODER : 0);
    half = info->use & DVAE_ENCODER ? 0 : 1;
    while (c->blocks < BLOCKS_MAX && extent(f, half, 1, (int)c->blocks + 1, 1, 0))
        c->blocks++;
    c->hid = half == 0 ? extent(f, 0, 0, 0, 0, 0) : extent(f, 1, end, 0, 0, 1);
    c->channels = half == 0 ? extent(f, 0, 0, 0, 0, 1) : extent(f, 1, end, 0, 0, 0) / 2;
    c->vocab = half == 0 ? extent(f, 0, end, 0, 0, 0) : extent(f, 1, 0, 0, 0, 1);
    c->init = extent(f, 1, 0, 0, 0, 0);
}

static int read_info(struct dvae_file_info *info, const struct dvae_file *f, int64_t size, int64_t downs)
{
    const char *step = st_meta_get(f->st, "step");
    struct dvae_config said = {0}, whole;
    int rc = dvae_meta_read(&said, f->st);

    if (rc < 0)
        return rc;
    *info = (struct dvae_file_info){.step = step ? strtoll(step, NULL, 10) : -1};
    read_shapes(info, f);
    if (!info->use)
        return err_set(ERR_FORMAT, "not a dVAE: no tensor blocks.input.w");
    info->config.size = size > 0 ? size : rc == 1 ? said.size : 256;
    info->config.downs = rc == 1 ? said.downs : downs > 0 ? downs : DVAE_DOWNS_MAX;
    whole = info->config;
    if (!(info->use & DVAE_DECODER))
        whole.init = 1;
    if ((rc = dvae_config_check(&whole)) != 0)
        return rc;
    return info->use == (DVAE_ENCODER | DVAE_DECODER) ? st_digest(&info->digest, f->tensor, f->count) : 0;
}

int dvae_file_open(struct dvae_file **out, struct dvae_file_info *info, const char *path, int64_t size, int64_t downs)
{
    struct dvae_file *f = calloc(1, sizeof *f);
    int rc = f ? st_open(&f->st, path) : err_set(ERR_NOMEM, "no memory");

    *out = NULL;
    if (rc == 0 && ((rc = list_tensors(f)) != 0 || (rc = read_info(info, f, size, downs)) != 0))
        rc = err_at(rc, "%s", path);
    if (rc != 0) {
        dvae_file_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

void dvae_file_close(struct dvae_file *f)
{
    if (!f)
        return;
    st_close(f->st);
    free(f->tensor);
    free(f->name);
    free(f);
}

int dvae_fill(struct dvae *d, const struct dvae_file *f)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < d->params.count; i++) {
        const struct param *p = &d->params.item[i];
        const struct st_tensor *t = find(f, p->name);

        if (!t)
            return err_set(ERR_MISMATCH, "no tensor %s", p->name);
        if (t->rank != p->value.rank || memcmp(t->shape, p->value.shape, sizeof *t->shape * (size_t)t->rank) != 0)
            return err_set(ERR_MISMATCH, "tensor %s has another shape", p->name);
        if ((rc = st_to_f32(d->host, t)) == 0)
            rc = device_upload(d->device, p->value.data, d->host, tensor_bytes(&p->value));
    }
    dvae_changed(d);
    return rc;
}

int dvae_file_same(const char *path, const struct dvae_config *asked)
{
    struct dvae_file_info info;
    struct dvae_file *f;
    int rc = dvae_file_open(&f, &info, path, 0, 0);

    if (rc == 0 && (rc = dvae_config_same(asked, &info.config)) != 0)
        rc = err_at(rc, "%s", path);
    dvae_file_close(f);
    return rc;
}
