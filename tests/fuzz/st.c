/* SPDX-License-Identifier: MIT */
/* st.c -- any bytes as a safetensors file: refused, or every tensor can be read whole and the file be written again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/st.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted keeps its promises. */
static void use(const struct st_file *f)
{
    struct st_meta meta[64];
    struct st_layout l;
    struct digest d;
    int n = st_meta_count(f) < 64 ? st_meta_count(f) : 64;

    for (int i = 0; i < n; i++)
        meta[i] = st_meta_at(f, i);
    for (int i = 0; i < st_tensor_count(f); i++) {
        const struct st_tensor *t = st_tensor_at(f, i);
        struct st_stats s;
        float *values = malloc((size_t)st_elements(t) * 4 + 1);

        if (st_find(f, t->name) != t || t->size != (uint64_t)st_elements(t) * (uint64_t)st_type_size(t->type))
            abort();
        st_stats(&s, t);
        if (values && st_to_f32(values, t) == 0 && s.count != st_elements(t))
            abort();
        free(values);
    }
    if (st_digest(&d, st_tensor_count(f) ? st_tensor_at(f, 0) : NULL, st_tensor_count(f)) != 0)
        abort();
    if (st_layout_init(&l, st_tensor_count(f) ? st_tensor_at(f, 0) : NULL, st_tensor_count(f), meta, n) == 0)
        st_layout_fini(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct st_file *f;
    int fd = memfd_create("st", 0);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (st_open(&f, path) == 0)
        use(f);
    st_close(f);
    close(fd);
    return 0;
}
