/* SPDX-License-Identifier: MIT */
/* attn_cache.cu -- attention of new positions over cached keys: a block a head of a sequence, bound by reading the caches.
 *
 * Keys and values lie as [key][D].  The column kind keeps its image keys column by column, so that those of a column are
 * neighbours; the row kind a ring.  Only keys that the mask allows are read.  A head's sums have one order, whatever else is
 * in the batch. */
#include "compute/cuda/cuda.h"

enum { THREADS = 128, GROUP = 8 /* lanes that share a key */ };

/* What all blocks know. */
struct cached {
    float *text_k, *text_v, *image_k, *image_v;
    struct attn a;
    int64_t keys, d;
    int64_t text_part, image_part; /* elements of a head */
};

static cached describe(const struct attn_cache *c, const struct attn *a, int64_t width)
{
    int64_t d = width / a->heads;

    return {(float *)c->text_k, (float *)c->text_v, (float *)c->image_k, (float *)c->image_v, *a, c->keys, d,
            attn_cache_room(a->text) * d, attn_cache_room(c->keys) * d};
}

static __global__ void cache_text(cached c, const float *qkv, int64_t caption)
{
    int64_t width = c.a.heads * c.d, t = blockIdx.x;

    for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
        int64_t at = (caption * c.a.heads + i / c.d) * c.text_part + t * c.d + i % c.d;

        c.text_k[at] = qkv[t * 3 * width + width + i];
        c.text_v[at] = qkv[t * 3 * width + 2 * width + i];
    }
}

int cuda_cache_text(void *self, const struct attn_cache *c, tensor_in qkv, const struct attn *a, int64_t caption)
{
    return cuda_launch((struct cuda *)self, "cached text", cache_text, (unsigned)a->text, THREADS, 0,
                       describe(c, a, qkv->shape[1] / 3), CUDA_F32(qkv), caption);
}

/* The place of image key j. */
__device__ static __forceinline__ int64_t slot_of(const cached &c, int64_t j)
{
    return c.a.kind == ATTN_ROW ? j % c.keys : c.a.kind == ATTN_COLUMN ? j % c.a.w * c.a.h + j / c.a.w : j;
}

/* The image slots that the position may see lie in [from, end); those of the conv kind have gaps. */
struct seen {
    int64_t from, end;
};

__device__ static seen seen_from(const cached &c, int64_t position)
{
    int64_t own = slot_of(c, position);

    switch (c.a.kind) {
    case ATTN_ROW: return {0, min(position + 1, c.keys)};
    case ATTN_COLUMN: return {own - position / c.a.w, own + 1};
    case ATTN_CONV: return {max((int64_t)0, position - (c.a.k + 1) / 2 * c.a.w + 1), own + 1};
    default: return {0, own + 1};
    }
}

/* Scores of all keys, text first; GROUP lanes share a key's channels.  -infinity where the mask forbids. */
__device__ static void score(float *s, const float *q, const float *text, const float *image, const cached &c, seen in,
                             int64_t position)
{
    int part = threadIdx.x % GROUP;
    int64_t all = c.a.text + in.end - in.from;
    float scale = 1.0f / sqrtf((float)c.d);

    for (int64_t from = 0; from < all; from += THREADS / GROUP) { /* all lanes of a warp go together */
        int64_t i = from + threadIdx.x / GROUP, slot = in.from + i - c.a.text;
        bool is_text = i < c.a.text;
        bool yes = i < all && (is_text || c.a.kind != ATTN_CONV || attn_conv_allows(&c.a, position - slot));
        const float *k = is_text ? text + i * c.d : image + slot * c.d;
        float sum = 0;

        for (int64_t at = part * 4; yes && at < c.d; at += GROUP * 4) {
            float4 a = *(const float4 *)(q + at), b = *(const float4 *)(k + at);

            sum += a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
        }
        for (int by = GROUP / 2; by > 0; by /= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, by);
        if (part == 0 && i < all)
            s[i] = yes ? sum * scale : -INFINITY;
    }
}

/* s becomes exp(s - top); the sum. */
__device__ static float exponentials(float *s, int64_t all, float *memory)
{
    float top = -INFINITY, sum = 0;

    for (int64_t i = threadIdx.x; i < all; i += THREADS)
        top = fmaxf(top, s[i]);
    top = block_all(top, larger_of{}, memory);
    for (int64_t i = threadIdx.x; i < all; i += THREADS) {
        s[i] = expf(s[i] - top);
        sum += s[i];
    }
    return block_all(sum, add_up{}, memory);
}

/* out[d] = scale * sum of s[i] v[i,d]: threads split the keys, four channels each; then the splits are added in order. */
__device__ static void weigh(float *out, float *partial, const float *s, const float *text, const float *image, const cached &c,
                             seen in, float scale)
{
    int quads = (int)(c.d / 4), splits = THREADS / quads, quad = threadIdx.x % quads, split = threadIdx.x / quads;
    int64_t all = c.a.text + in.end - in.from;
    float4 sum = {0, 0, 0, 0};

    for (int64_t i = split; split < splits && i < all; i += splits) {
        const float *v = i < c.a.text ? text + i * c.d : image + (in.from + i - c.a.text) * c.d;
        float4 b;

        if (s[i] == 0.0f) /* forbidden, or too small to count */
            continue;
        b = *(const float4 *)(v + quad * 4);
        sum.x += s[i] * b.x;
        sum.y += s[i] * b.y;
        sum.z += s[i] * b.z;
        sum.w += s[i] * b.w;
    }
    if (split < splits)
        *(float4 *)(partial + split * c.d + quad * 4) = sum;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < c.d; i += THREADS) {
        float whole = 0;

        for (int k = 0; k < splits; k++)
            whole += partial[k * c.d + i];
        out[i] = whole * scale;
    }
}

/* Shared memory: the query [d], the splits' sums [4 * THREADS], the scores. */
static __global__ void attn_cache(cached c, float *out, const float *qkv, const int32_t *caption, const int32_t *position)
{
    __shared__ float memory[33];
    CUDA_SHARED(dynamic);
    float *query = (float *)dynamic, *partial = query + c.d, *s = partial + 4 * THREADS, sum;
    int64_t head = blockIdx.x, m = blockIdx.y, width = c.a.heads * c.d, now = position[0], own = slot_of(c, now);
    const float *q = qkv + m * 3 * width + head * c.d;
    int64_t text = (caption[m] * c.a.heads + head) * c.text_part, image = (m * c.a.heads + head) * c.image_part;
    seen in = seen_from(c, now);

    for (int64_t i = threadIdx.x; i < c.d; i += THREADS) {
        query[i] = q[i];
        c.image_k[image + own * c.d + i] = q[width + i];
        c.image_v[image + own * c.d + i] = q[2 * width + i];
    }
    __syncthreads();
    score(s, query, c.text_k + text, c.image_k + image, c, in, now);
    __syncthreads();
    sum = exponentials(s, c.a.text + in.end - in.from, memory);
    weigh(out + m * width + head * c.d, partial, s, c.text_v + text, c.image_v + image, c, in, 1.0f / sum);
}

int cuda_attn_cache(void *self, tensor_in out, const struct attn_cache *c, tensor_in qkv, tensor_in caption,
                    tensor_in position, const struct attn *a)
{
    int64_t d = out->shape[1] / a->heads;
    size_t shared = (size_t)(d + 4 * THREADS + a->text + c->keys) * sizeof(float);

    return cuda_launch((struct cuda *)self, "cached attention", attn_cache, dim3((unsigned)a->heads, (unsigned)out->shape[0]),
                       THREADS, shared, describe(c, a, out->shape[1]), CUDA_F32(out), CUDA_F32(qkv), CUDA_I32(caption),
                       CUDA_I32(position));
}
