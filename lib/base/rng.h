/* SPDX-License-Identifier: MIT */
/* rng.h -- random numbers addressed by (seed, purpose, step, element): Philox 4x32-10.
 *
 * A draw is a function of its address, never of thread, block, rank or order, so sample 17 of caption 3 is the same
 * alone, in a batch or on eight processes, and the CPU and a GPU draw the same values.
 *
 *   counter = (element low, element high, step low, step high)
 *   key     = (seed low ^ purpose * 0x9E3779B9, seed high)
 *
 * Range    step and element any u64; purpose an enum below, one for each independent use
 * Source   Salmon, Moraes, Dror, Shaw 2011; the Random123 library
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include <Random123/philox.h>

enum rng_purpose { /* append only: a number is part of every recorded seed's meaning */
    RNG_INIT = 1,      /* element: index in the parameter; step: index of the parameter */
    RNG_GUMBEL = 2,    /* dVAE relaxation; step: update; element: index in [N,H,W,V] */
    RNG_CROP = 3,      /* image preprocessing; step: hash of the key; element: draw */
    RNG_DITHER = 4,    /* noise on pixels; step: update; element: index in [N,H,W,C] */
    RNG_SAMPLE = 5,    /* prior-sample; step: hash of key and candidate; element: slot */
    RNG_DROPOUT = 6,   /* BPE dropout; step: occurrence; element: draw */
    RNG_ORDER = 7,     /* order of training data; element: Feistel round input */
    RNG_WORLD = 8,     /* shapes-make; step: picture; element: draw */
    RNG_SHUFFLE = 9,   /* shard-pack */
    RNG_HARD = 10,     /* hard samples for the true ELB; as RNG_GUMBEL */
    RNG_TEST = 11,     /* inputs of tests and benchmarks */
    RNG_ROUND = 12     /* stochastic rounding of weights; step: update applied, from 1; element: compute/adam.h */
};

/* A GPU draws with the same functions. */
#ifdef __CUDACC__
#define RNG_ANYWHERE __host__ __device__
#else
#define RNG_ANYWHERE
#endif

struct rng {
    uint64_t seed;
    uint32_t purpose; /* enum rng_purpose */
};

struct rng4 {
    uint32_t v[4];
};

RNG_ANYWHERE static inline struct rng4 rng_draw(struct rng r, uint64_t step, uint64_t element)
{
    philox4x32_ctr_t c = {{(uint32_t)element, (uint32_t)(element >> 32), (uint32_t)step, (uint32_t)(step >> 32)}};
    philox4x32_key_t k = {{(uint32_t)r.seed ^ r.purpose * 0x9E3779B9u, (uint32_t)(r.seed >> 32)}};
    philox4x32_ctr_t o = philox4x32(c, k);
    struct rng4 d = {{o.v[0], o.v[1], o.v[2], o.v[3]}};

    return d;
}

/* 23 random bits in (0,1): never 0, never 1, exact in f32 (a 24th bit would round up to 1). */
RNG_ANYWHERE static inline float rng_unit(uint32_t bits)
{
    return ((float)(bits >> 9) + 0.5f) * (1.0f / 8388608.0f);
}

/* Uniform integer in [0, n), n >= 1; the bias of 2^-64 n is accepted. */
static inline uint64_t rng_below(struct rng r, uint64_t step, uint64_t element, uint64_t n)
{
    struct rng4 d = rng_draw(r, step, element);

    return (uint64_t)(((unsigned __int128)((uint64_t)d.v[1] << 32 | d.v[0]) * n) >> 64);
}

static inline float rng_uniform(struct rng r, uint64_t step, uint64_t element)
{
    return rng_unit(rng_draw(r, step, element).v[0]);
}

/* Standard normal, Box-Muller in f64 from two of the four words. */
static inline double rng_normal(struct rng r, uint64_t step, uint64_t element)
{
    struct rng4 d = rng_draw(r, step, element);
    double u = ((double)d.v[0] + 0.5) / 4294967296.0, w = ((double)d.v[1] + 0.5) / 4294967296.0;

    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * w);
}

/* A well-mixed 64-bit hash of bytes (FNV-1a, then SplitMix64's finish): turns keys into steps. */
static inline uint64_t rng_hash(const void *bytes, size_t size)
{
    const uint8_t *p = (const uint8_t *)bytes;
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

#endif
