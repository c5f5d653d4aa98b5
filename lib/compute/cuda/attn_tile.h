/* SPDX-License-Identifier: MIT */
/* attn_tile.h -- what attention's two directions share: slots and tiles, masks, products of tiles.
 *
 * A head's positions lie in slots: the text's, and by themselves the image's, for the column kind column by column (so that
 * a column's keys are neighbours).  TILE slots in a row make a tile, of text or of image.  A block of four warps keeps one
 * tile (of queries, or of keys) and walks the tiles of the other kind that its mask touches.
 *
 * A mask is 64 bits for one kept row and one passing tile.  Each warp keeps 16 rows.  Scores of a warp lie in registers as
 * ptx_mma leaves them: lane l has rows l/4 and l/4+8 of its warp's, and of each eight columns 2(l%4) and the next; f32 has
 * the same layout, with plain arithmetic for the tensor cores'.
 *
 * What a mask forbids weighs 0, but 0 times infinity is not 0.  So a block that finds something not finite in its own
 * results does its work again carefully: passing rows that hold such a number are replaced by zeros, and a kept row that may
 * see one of them gets NaN.
 */
#ifndef COMPUTE_CUDA_ATTN_TILE_H
#define COMPUTE_CUDA_ATTN_TILE_H

#include "compute/cuda/cuda.h"
#include "compute/cuda/ptx.h"

enum { TILE = CUDA_ATTN_TILE, THREADS = 128, PARTS = TILE / 8 /* eights of a tile's columns */, SLOTS_MOST = 1 << 24 };

enum side { TEXT, IMAGE };

struct attn_shape {
    enum attn_kind kind;
    int text, image, h, w, radius; /* slots; columns; rows; (k-1)/2 */
    int tiles[2];                  /* of text, of image */
    int heads, width;              /* A, D */
    int64_t positions, channels;   /* T, A*D */
    float scale;                   /* of scores, for powers of 2 */
};

struct tile {
    enum side side;
    int first; /* slot of its side; negative: none */
};

/* What a block keeps, and of it a thread's two rows. */
struct attn_task {
    int64_t row;     /* of the sequence's position 0 */
    int64_t channel; /* of the head's first */
    int64_t pair;    /* sequence and head */
    struct tile tile;
    int slot[2];
    bool there[2];   /* false: past the end */
    int64_t at[2];   /* positions, of the last slot for those past the end */
};

static inline int attn_shape_of(struct attn_shape *s, const struct attn *a, tensor_in out)
{
    int64_t image = a->h * a->w;

    if (out->shape[1] > SLOTS_MOST)
        return cuda_err(ERR_UNSUPPORTED, "cuda: attention over more than %d positions", SLOTS_MOST);
    *s = {};
    s->kind = a->kind;
    s->text = (int)a->text;
    s->image = (int)image;
    s->h = image > 0 ? (int)a->h : 0;
    s->w = image > 0 ? (int)a->w : 0;
    s->radius = (int)(a->k - 1) / 2;
    s->tiles[TEXT] = (s->text + TILE - 1) / TILE;
    s->tiles[IMAGE] = (s->image + TILE - 1) / TILE;
    s->heads = (int)a->heads;
    s->width = (int)(out->shape[2] / a->heads);
    s->positions = out->shape[1];
    s->channels = out->shape[2];
    s->scale = (float)(M_LOG2E / sqrt((double)s->width));
    return 0;
}

static inline unsigned attn_blocks(const struct attn_shape *s, tensor_in out)
{
    return (unsigned)(out->shape[0] * s->heads * (s->tiles[TEXT] + s->tiles[IMAGE]));
}

/* Call f<D>() for the least D that holds a head's width. */
template <class F> static inline int attn_width(int width, F f)
{
    if (width <= 64)
        return f.template operator()<64>();
    return width <= 128 ? f.template operator()<128>() : f.template operator()<256>();
}

/* ---- slots and tiles ------------------------------------------------------------------------------------------------- */

__device__ static __forceinline__ int slots_of(const struct attn_shape &s, enum side side)
{
    return side == TEXT ? s.text : s.image;
}

/* The place in the sequence of a slot; the last slot's for those past it. */
__device__ static __forceinline__ int64_t position_of(const struct attn_shape &s, enum side side, int slot)
{
    slot = min(slot, slots_of(s, side) - 1);
    if (side == TEXT)
        return slot;
    return s.text + (s.kind == ATTN_COLUMN ? slot % s.h * (int64_t)s.w + slot / s.h : slot);
}

/* Of the text's tiles and then the image's, each rounded up. */
__device__ static __forceinline__ int padded_slot(const struct attn_shape &s, enum side side, int slot)
{
    return (side == IMAGE ? s.tiles[TEXT] * TILE : 0) + slot;
}

/* Blocks go tile by tile through one head, then the next: last_first lets those that see the most keys start first. */
__device__ static __forceinline__ struct attn_task task_of(const struct attn_shape &s, bool last_first)
{
    int tiles = s.tiles[TEXT] + s.tiles[IMAGE], index = (int)(blockIdx.x % (unsigned)tiles);
    struct attn_task t;

    if (last_first)
        index = tiles - 1 - index;
    t.pair = blockIdx.x / (unsigned)tiles;
    t.row = t.pair / s.heads * s.positions;
    t.channel = t.pair % s.heads * s.width;
    t.tile.side = index < s.tiles[TEXT] ? TEXT : IMAGE;
    t.tile.first = (t.tile.side == TEXT ? index : index - s.tiles[TEXT]) * TILE;
    for (int r = 0; r < 2; r++) {
        t.slot[r] = t.tile.first + (int)threadIdx.x / 32 * 16 + (int)threadIdx.x % 32 / 4 + 8 * r;
        t.there[r] = t.slot[r] < slots_of(s, t.tile.side);
        t.at[r] = position_of(s, t.tile.side, t.slot[r]);
    }
    return t;
}

/* ---- masks ----------------------------------------------------------------------------------------------------------- */

__device__ static __forceinline__ uint64_t bits(int from, int to)
{
    from = max(from, 0);
    to = min(to, 63);
    return from > to ? 0 : ~(uint64_t)0 >> (63 - to) & ~(uint64_t)0 << from;
}

/* Bit i: does the mask allow a distance of first + i between a query and an earlier key of its side?  limit: the largest in
 * a column. */
__device__ static __forceinline__ uint64_t distances(const struct attn_shape &s, enum side side, int first, int limit)
{
    uint64_t mask = 0;

    if (side == TEXT || s.kind == ATTN_DENSE)
        return bits(-first, 63);
    if (s.kind != ATTN_CONV)
        return bits(-first, (s.kind == ATTN_ROW ? s.w : limit) - first);
    for (int r = first > s.radius ? (first - s.radius + s.w - 1) / s.w : 0; r <= s.radius + 1; r++) {
        if (r * s.w - s.radius > first + 63)
            break;
        mask |= bits(r * s.w - s.radius - first, r * s.w + s.radius - first);
    }
    return mask & bits(-first, (s.radius + 1) * s.w - 1 - first);
}

/* Bit j: may this query see slot j of a tile of keys? */
__device__ static __forceinline__ uint64_t keys_seen(const struct attn_shape &s, enum side side, int query, struct tile key)
{
    int limit = 0;

    if (key.side != side)
        return bits(0, s.text - 1 - key.first);
    if (s.kind == ATTN_COLUMN && side == IMAGE)
        limit = query % s.h;
    return __brevll(distances(s, side, query - key.first - 63, limit));
}

/* Bit j: may slot j of a tile of queries see this key? */
__device__ static __forceinline__ uint64_t queries_that_see(const struct attn_shape &s, enum side side, int key,
                                                            struct tile query)
{
    uint64_t there = bits(0, slots_of(s, query.side) - 1 - query.first);
    int limit = 0;

    if (query.side != side)
        return there;
    if (s.kind == ATTN_COLUMN && side == IMAGE)
        limit = s.h - 1 - key % s.h;
    return there & distances(s, side, query.first - key, limit);
}

/* The largest distance in slots between a query and a key of its side, one of which is in the tile; for columns, to what
 * lies before the tile's first query or behind its last key. */
__device__ static __forceinline__ int reach_of(const struct attn_shape &s, struct tile t, bool keys)
{
    if (t.side == TEXT || s.kind == ATTN_DENSE)
        return SLOTS_MOST;
    if (s.kind == ATTN_ROW)
        return s.w;
    if (s.kind == ATTN_COLUMN)
        return keys ? s.h - 1 - (t.first + TILE - 1) % s.h : t.first % s.h;
    return (s.radius + 1) * s.w - 1;
}

/* Two tiles of one side, by image rows far apart, may have no allowed distance between them. */
__device__ static __forceinline__ bool touch(const struct attn_shape &s, enum side side, int apart)
{
    return side == TEXT || s.kind != ATTN_CONV || apart == 0 ||
           (distances(s, side, apart - 63, 0) | distances(s, side, apart, 0)) != 0;
}

/* The tile of keys after this one for a tile of queries: from the queries' own backwards, then the text's. */
__device__ static __forceinline__ struct tile next_keys(const struct attn_shape &s, struct tile query, struct tile key)
{
    int reach = key.side == query.side ? reach_of(s, query, false) : SLOTS_MOST;

    do
        key.first -= TILE;
    while (key.first >= 0 && query.first - key.first - 63 <= reach && key.side == query.side &&
           !touch(s, key.side, query.first - key.first));
    if (key.first >= 0 && query.first - key.first - 63 <= reach)
        return key;
    if (key.side == TEXT)
        return {TEXT, -1};
    return {TEXT, (s.tiles[TEXT] - 1) * TILE};
}

/* The tile of queries after this one for a tile of keys: from the keys' own forwards, then the image's. */
__device__ static __forceinline__ struct tile next_queries(const struct attn_shape &s, struct tile key, struct tile query)
{
    int reach = key.side == query.side ? reach_of(s, key, true) : SLOTS_MOST;

    do
        query.first += TILE;
    while (query.first < slots_of(s, query.side) && query.first - key.first - 63 <= reach && query.side == key.side &&
           !touch(s, key.side, query.first - key.first));
    if (query.first < slots_of(s, query.side) && query.first - key.first - 63 <= reach)
        return query;
    if (query.side == IMAGE || s.image == 0)
        return {IMAGE, -1};
    return {IMAGE, 0};
}

/* ---- tiles in shared memory ---------------------------------------------------------------------------------------- */

/* 16-byte pieces of a row are exchanged by its number, so that eight rows' same piece lies in eight different places. */
template <class T, int D> __device__ static __forceinline__ T *tile_at(T *tile, int row, int piece)
{
    return tile + row * D + (piece ^ (row & 7)) * (int)(16 / sizeof(T));
}

/* Tiles of two tensors of a head that pass one after another, the next being copied while one is used where there is room;
 * with each the numbers of its slots, two a slot, where numbers is not NULL. */
template <class T, int D> struct passing {
    static const int stages = D * sizeof(T) <= 512 ? 2 : 1;
    static const size_t tile_size = TILE * D * sizeof(T), numbers_size = TILE * sizeof(float2);
    static const size_t size = stages * (2 * tile_size + numbers_size);

    const struct attn_shape &s;
    unsigned char *memory;     /* of size */
    const T *x, *y;            /* rows of position 0 */
    int64_t x_stride, y_stride;
    const float2 *numbers;     /* by padded_slot; NULL: none */
    int stage;                 /* where the tile in use lies */

    __device__ T *first(int at) { return (T *)(memory + at * 2 * tile_size); }
    __device__ T *second(int at) { return first(at) + TILE * D; }
    __device__ float2 *pairs(int at) { return (float2 *)(memory + stages * 2 * tile_size + at * numbers_size); }

    __device__ void copy(struct tile t, int to)
    {
        const int piece = 16 / sizeof(T), pieces = D / piece;

        for (int i = threadIdx.x; i < TILE * pieces; i += THREADS) {
            int row = i / pieces, at = i % pieces;
            bool there = t.first + row < slots_of(s, t.side) && at * piece < s.width;
            int64_t position = position_of(s, t.side, t.first + row), from = there ? at * piece : 0;

            ptx_copy(tile_at<T, D>(first(to), row, at), x + position * x_stride + from, there);
            ptx_copy(tile_at<T, D>(second(to), row, at), y + position * y_stride + from, there);
        }
        if (numbers && threadIdx.x < TILE / 2) {
            const float2 *from = numbers + padded_slot(s, t.side, t.first);

            ptx_copy(pairs(to) + 2 * threadIdx.x, from + 2 * threadIdx.x, true);
        }
    }

    __device__ void start(struct tile t)
    {
        __syncthreads(); /* others may still read what passed before */
        copy(t, stage);
    }

    /* The tile that was asked for is there for all; then ask for the next. */
    __device__ void arrive(struct tile next)
    {
        ptx_copy_wait();
        __syncthreads();
        if (stages == 2 && next.first >= 0)
            copy(next, stage ^ 1);
    }

    /* The tile that arrived is no longer needed by this thread. */
    __device__ void leave(struct tile next)
    {
        if (stages == 2)
            stage ^= 1;
        else if (next.first >= 0)
            start(next);
    }
};

/* Shared memory of a block: what passes, and for f32 a board for each warp's weights (weigh). */
template <class T, int D> static constexpr size_t attn_memory()
{
    return passing<T, D>::size + (sizeof(T) == 4 ? THREADS / 32 * 16 * TILE * sizeof(float) : 0);
}

/* Rows of a tile in shared memory that hold a number that is not finite: a bit each; they are replaced by zeros. */
template <class T, int D> __device__ static __noinline__ uint64_t take_bad_rows(T *tile)
{
    int lane = (int)threadIdx.x % 32;
    uint64_t bad = 0;

    for (int half = 0; half < TILE; half += 32) {
        bool fine = true;

        for (int i = 0; i < D; i++)
            fine = fine && fabsf(to_f32(tile[(half + lane) * D + i])) < INFINITY;
        bad |= (uint64_t)__ballot_sync(0xffffffffu, !fine) << half;
    }
    __syncthreads();
    if (threadIdx.x < TILE && bad >> threadIdx.x & 1)
        for (int i = 0; i < D; i++)
            tile[threadIdx.x * D + i] = from_f32<T>(0.0f);
    __syncthreads();
    return bad;
}

/* ---- products -------------------------------------------------------------------------------------------------------- */

/* The rows of a kept tile that this thread's warp multiplies: from global memory, for D <= 64 once for all. */
template <class T, int D> struct kept {
    static const bool once = D <= 64 && sizeof(T) == 2;
    const T *row[2]; /* of this thread */
    int width;
    uint32_t part[once ? D / 16 : 1][4];

    __device__ uint32_t two(int r, int i) const
    {
        return i < width ? *(const uint32_t *)(row[r] + i) : 0;
    }

    /* Sixteen columns for ptx_mma. */
    __device__ void get(uint32_t (&a)[4], int k) const
    {
        int at = 16 * k + (int)threadIdx.x % 4 * 2;

        for (int i = 0; i < 4; i++)
            a[i] = two(i % 2, at + i / 2 * 8);
    }

    __device__ kept(const T *first, const T *second, int w) : row{first, second}, width(w)
    {
        if constexpr (once)
            for (int k = 0; k < D / 16; k++)
                get(part[k], k);
    }
};

/* s += kept rows times the rows of a tile. */
template <class T, int D>
__device__ static __forceinline__ void score_wide(float (&s)[PARTS][4], const kept<T, D> &a, T *tile)
{
    int lane = (int)threadIdx.x % 32, row = lane / 16 * 8 + lane % 8, piece = lane / 8 % 2;

    for (int k = 0; k < D / 16; k++) {
        uint32_t x[4], y[4];

        if constexpr (kept<T, D>::once)
            for (int i = 0; i < 4; i++)
                x[i] = a.part[k][i];
        else
            a.get(x, k);
        for (int n = 0; n < PARTS; n += 2) {
            ptx_load(y, tile_at<T, D>(tile, 8 * n + row, 2 * k + piece));
            ptx_mma<T>(s[n], x, y);
            ptx_mma<T>(s[n + 1], x, y + 2);
        }
    }
}

template <int D>
__device__ static __forceinline__ void score_plain(float (&s)[PARTS][4], const kept<float, D> &a, float *tile)
{
    int column = (int)threadIdx.x % 4 * 2;

    for (int k = 0; k < a.width; k += 4) {
        float4 x[2] = {*(const float4 *)(a.row[0] + k), *(const float4 *)(a.row[1] + k)};

        for (int n = 0; n < PARTS; n++)
            for (int i = 0; i < 4; i++) {
                float4 y = *(const float4 *)tile_at<float, D>(tile, 8 * n + column + i % 2, k / 4);

                s[n][i] += x[i / 2].x * y.x + x[i / 2].y * y.y + x[i / 2].z * y.z + x[i / 2].w * y.w;
            }
    }
}

/* s = kept rows times the rows of a tile. */
template <class T, int D> __device__ static __forceinline__ void score(float (&s)[PARTS][4], const kept<T, D> &a, T *tile)
{
    for (int n = 0; n < PARTS; n++)
        for (int i = 0; i < 4; i++)
            s[n][i] = 0;
    if constexpr (sizeof(T) == 4)
        score_plain(s, a, tile);
    else
        score_wide(s, a, tile);
}

template <class T, int D, int W>
__device__ static __forceinline__ void weigh_wide(float (&sum)[W / 8][4], const float (&p)[PARTS][4], T *tile, int from)
{
    int lane = (int)threadIdx.x % 32, row = lane % 16, piece = from / 8 + lane / 16;

    for (int k = 0; k < PARTS / 2; k++) {
        uint32_t x[4], y[4];

        for (int i = 0; i < 4; i++)
            x[i] = ptx_pack<T>(p[2 * k + i / 2][i % 2 * 2], p[2 * k + i / 2][i % 2 * 2 + 1]);
        for (int n = 0; n < W / 8; n += 2) {
            ptx_load_turned(y, tile_at<T, D>(tile, 16 * k + row, n + piece));
            ptx_mma<T>(sum[n], x, y);
            ptx_mma<T>(sum[n + 1], x, y + 2);
        }
    }
}

template <int D, int W>
__device__ static __forceinline__ void weigh_plain(float (&sum)[W / 8][4], const float (&p)[PARTS][4], float *tile, int from,
                                                   float *board)
{
    int row = (int)threadIdx.x % 32 / 4, column = (int)threadIdx.x % 4 * 2;

    __syncwarp();
    for (int n = 0; n < PARTS; n++)
        for (int i = 0; i < 4; i++)
            board[(row + i / 2 * 8) * TILE + 8 * n + column + i % 2] = p[n][i];
    __syncwarp();
    for (int k = 0; k < TILE; k++) {
        float x = board[row * TILE + k], y = board[(row + 8) * TILE + k];

        for (int n = 0; n < W / 8; n++) {
            int i = from + 8 * n + column;
            float2 v = *(const float2 *)(tile_at<float, D>(tile, k, i / 4) + i % 4);

            sum[n][0] += x * v.x;
            sum[n][1] += x * v.y;
            sum[n][2] += y * v.x;
            sum[n][3] += y * v.y;
        }
    }
}

/* sum += weights times the rows of a tile, W columns from from on.  board: the warp's shared memory, [16][TILE], for f32. */
template <int D, int W, class T>
__device__ static __forceinline__ void weigh(float (&sum)[W / 8][4], const float (&p)[PARTS][4], T *tile, int from,
                                             float *board)
{
    if constexpr (sizeof(T) == 4)
        weigh_plain<D, W>(sum, p, tile, from, board);
    else
        weigh_wide<T, D, W>(sum, p, tile, from);
}

/* Put value where a score's bit of its row's mask is 0. */
__device__ static __forceinline__ void forbid(float (&s)[PARTS][4], const uint64_t (&mask)[2], float value)
{
    if ((mask[0] & mask[1]) == ~(uint64_t)0)
        return;
    for (int r = 0; r < 2; r++) {
        uint64_t mine = mask[r] >> threadIdx.x % 4 * 2;

        for (int n = 0; n < PARTS; n++)
            for (int i = 0; i < 2; i++)
                s[n][2 * r + i] = mine >> (8 * n + i) & 1 ? s[n][2 * r + i] : value;
    }
}

/* Over the four lanes that share a row. */
template <class F> __device__ static __forceinline__ float row_all(float v, F f)
{
    v = f(v, __shfl_xor_sync(0xffffffffu, v, 1));
    return f(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

/* Are a thread's sums finite, but for rows past the end? */
template <int W> __device__ static __forceinline__ bool all_finite(const float (&sum)[W / 8][4], const bool (&there)[2])
{
    bool fine = true;

    for (int n = 0; n < W / 8; n++)
        for (int i = 0; i < 4; i++)
            fine = fine && (!there[i / 2] || fabsf(sum[n][i]) < INFINITY);
    return fine;
}

/* One row of sums times scale to columns from from on. */
template <class T, int W>
__device__ static __forceinline__ void write_row(T *row, const float (&sum)[W / 8][4], int r, float scale, int from,
                                                 int width)
{
    for (int n = 0; n < W / 8; n++) {
        int at = from + 8 * n + (int)threadIdx.x % 4 * 2;
        pack<T, 2> two = {{from_f32<T>(sum[n][2 * r] * scale), from_f32<T>(sum[n][2 * r + 1] * scale)}};

        if (at < width)
            *(pack<T, 2> *)(row + at) = two;
    }
}

/* The warp's part of the boards behind what passes. */
template <class T, int D> __device__ static __forceinline__ float *board_of(unsigned char *memory)
{
    return (float *)(memory + passing<T, D>::size) + threadIdx.x / 32 * 16 * TILE;
}

#endif
