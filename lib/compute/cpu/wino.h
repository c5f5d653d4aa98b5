/* SPDX-License-Identifier: MIT */
/* wino.h -- the transforms of F(2x2,3x3) on one register of channels; winograd.c includes this once for each width, with
 * LANES the type, LANES_NEAR the type at any address and LANES_NAME(x) the function's name.
 *
 *   spread  v = B^T d B      d: 4x4 pixels of the input, v: 16 numbers `stride` apart
 *   widen   v = A d A^T      d: 2x2 pixels of the output's gradient
 *   gather  y = A^T m A      m: 16 numbers, y: 2x2 pixels of the output, finished and stored
 */

static inline void LANES_NAME(spread)(float *v, int64_t stride, const float *const *from, int64_t at)
{
    LANES d[4], t[4][4];

    for (int c = 0; c < 4; c++) {
        for (int r = 0; r < 4; r++)
            d[r] = *(const LANES_NEAR *)(from[4 * r + c] + at);
        t[0][c] = d[0] - d[2];
        t[1][c] = d[1] + d[2];
        t[2][c] = d[2] - d[1];
        t[3][c] = d[1] - d[3];
    }
    for (int r = 0; r < 4; r++) {
        *(LANES_NEAR *)(v + (4 * r + 0) * stride + at) = t[r][0] - t[r][2];
        *(LANES_NEAR *)(v + (4 * r + 1) * stride + at) = t[r][1] + t[r][2];
        *(LANES_NEAR *)(v + (4 * r + 2) * stride + at) = t[r][2] - t[r][1];
        *(LANES_NEAR *)(v + (4 * r + 3) * stride + at) = t[r][1] - t[r][3];
    }
}

static inline void LANES_NAME(widen)(float *v, int64_t stride, const float *const *from, int64_t at)
{
    LANES t[4][2];

    for (int c = 0; c < 2; c++) {
        LANES top = *(const LANES_NEAR *)(from[c] + at), low = *(const LANES_NEAR *)(from[2 + c] + at);

        t[0][c] = top;
        t[1][c] = top + low;
        t[2][c] = top - low;
        t[3][c] = -low;
    }
    for (int r = 0; r < 4; r++) {
        *(LANES_NEAR *)(v + (4 * r + 0) * stride + at) = t[r][0];
        *(LANES_NEAR *)(v + (4 * r + 1) * stride + at) = t[r][0] + t[r][1];
        *(LANES_NEAR *)(v + (4 * r + 2) * stride + at) = t[r][0] - t[r][1];
        *(LANES_NEAR *)(v + (4 * r + 3) * stride + at) = -t[r][1];
    }
}

static inline void LANES_NAME(put)(float *y, LANES sum, const struct cpu_direct *how, int64_t at, int64_t channel)
{
    if (how->add)
        sum += *(LANES_NEAR *)(y + at);
    *(LANES_NEAR *)(y + at) = LANES_NAME(end)(sum, &how->end, at, channel);
}

/* to: places of the four pixels in y, negative outside the picture. */
static inline void LANES_NAME(gather)(float *y, const float *m, int64_t stride, const int64_t *to,
                                      const struct cpu_direct *how, int64_t channel)
{
    LANES d[4], t[2][4];

    for (int c = 0; c < 4; c++) {
        for (int r = 0; r < 4; r++)
            d[r] = *(const LANES_NEAR *)(m + (4 * r + c) * stride + channel);
        t[0][c] = d[0] + d[1] + d[2];
        t[1][c] = d[1] - d[2] - d[3];
    }
    for (int r = 0; r < 2; r++) {
        if (to[2 * r] >= 0)
            LANES_NAME(put)(y, t[r][0] + t[r][1] + t[r][2], how, to[2 * r] + channel, channel);
        if (to[2 * r + 1] >= 0)
            LANES_NAME(put)(y, t[r][1] - t[r][2] - t[r][3], how, to[2 * r + 1] + channel, channel);
    }
}

#undef LANES
#undef LANES_NEAR
#undef LANES_NAME
