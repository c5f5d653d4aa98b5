/* SPDX-License-Identifier: MIT */
/* wide.c -- conversions: f16 by the processor's own instructions, the others by host.h in loops that vectorise.  Whole tensors
 * in blocks of PAR_BLOCK elements. */
#include "compute/cpu/wide.h"

#include <string.h>

#include "base/par.h"
#include "compute/cpu/vec.h"
#include "compute/host.h"

/* ---- runs of numbers ------------------------------------------------------------------------------------------------- */

/* One register of f16; NaN keeps what it can of its bits. */
vec_inline vec vec_from_f16(const uint16_t *p)
{
#if VEC == 16
    return (vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif VEC == 8
    return (vec)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#else
    vec x;

    for (int i = 0; i < VEC; i++)
        x[i] = f16_to_f32(p[i]);
    return x;
#endif
}

vec_inline void vec_to_f16(uint16_t *p, vec x)
{
#if VEC == 16
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif VEC == 8
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT));
#else
    for (int i = 0; i < VEC; i++)
        p[i] = f16_from_f32(x[i]);
#endif
}

static void widen_f16(float *to, const uint16_t *from, int64_t n)
{
    int64_t i = 0;
    uint16_t rest[VEC] = {0};

    for (; i + VEC <= n; i += VEC)
        vec_store(to + i, vec_from_f16(from + i));
    if (i == n)
        return;
    memcpy(rest, from + i, (size_t)(n - i) * sizeof *rest);
    vec_store_part(to + i, vec_from_f16(rest), n - i);
}

static void narrow_f16(uint16_t *to, const float *from, int64_t n)
{
    int64_t i = 0;
    uint16_t rest[VEC];

    for (; i + VEC <= n; i += VEC)
        vec_to_f16(to + i, vec_load(from + i));
    if (i == n)
        return;
    vec_to_f16(rest, vec_load_part(from + i, n - i, 0.0f));
    memcpy(to + i, rest, (size_t)(n - i) * sizeof *rest);
}

void cpu_to_f32(float *to, const void *from, enum dtype type, int64_t n)
{
    if (type == DTYPE_F16)
        widen_f16(to, from, n);
    else
        host_to_f32(to, from, type, n);
}

void cpu_from_f32(void *to, const float *from, enum dtype type, int64_t n)
{
    if (type == DTYPE_F16)
        narrow_f16(to, from, n);
    else
        host_from_f32(to, type, from, n);
}

/* ---- whole tensors --------------------------------------------------------------------------------------------------- */

static bool is_copied(const struct cpu_wide *w)
{
    tensor_in t = w->to ? w->to : w->from;

    return t && (t->type != DTYPE_F32 || (!w->to && w->round != DTYPE_F32));
}

static int64_t floats(tensor_in t)
{
    return (tensor_elements(t) + 15) / 16 * 16; /* whole lines of the cache */
}

static void fill(const struct cpu_wide *w)
{
    int64_t n = tensor_elements(w->from);

#pragma omp parallel for schedule(static) if (n > PAR_BLOCK)
    for (int64_t at = 0; at < n; at += PAR_BLOCK) {
        int64_t count = n - at < PAR_BLOCK ? n - at : PAR_BLOCK;
        uint16_t rounded[PAR_BLOCK];

        if (w->from->type != DTYPE_F32) {
            cpu_to_f32(F32(&w->t) + at, cpu_at(w->from, at), w->from->type, count);
        } else {
            cpu_from_f32(rounded, F32(w->from) + at, w->round, count);
            cpu_to_f32(F32(&w->t) + at, rounded, w->round, count);
        }
    }
}

int cpu_widen(struct cpu *cpu, struct cpu_wide *w, int count)
{
    int64_t at = 0;
    float *memory;

    for (int i = 0; i < count; i++)
        at += is_copied(&w[i]) ? floats(w[i].to ? w[i].to : w[i].from) : 0;
    if (!(memory = cpu_take(cpu, &cpu->wide, (size_t)at * sizeof *memory)) && !cpu->counting)
        return ERR_NOMEM;
    at = 0;
    for (int i = 0; i < count; i++) {
        tensor_in t = w[i].to ? w[i].to : w[i].from;

        w[i].t = t ? *t : (struct tensor){0};
        if (!is_copied(&w[i]))
            continue;
        w[i].t.type = DTYPE_F32;
        w[i].t.data = memory ? memory + at : NULL;
        at += floats(t);
        if (w[i].from && memory)
            fill(&w[i]);
    }
    return 0;
}

void cpu_narrow(const struct cpu *cpu, const struct cpu_wide *w, int count)
{
    for (int i = 0; i < count && !cpu->counting; i++) {
        int64_t n = w[i].to && is_copied(&w[i]) ? tensor_elements(w[i].to) : 0;

#pragma omp parallel for schedule(static) if (n > PAR_BLOCK)
        for (int64_t at = 0; at < n; at += PAR_BLOCK)
            cpu_store(w[i].to, at, F32(&w[i].t) + at, n - at < PAR_BLOCK ? n - at : PAR_BLOCK);
    }
}
