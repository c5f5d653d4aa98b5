/* SPDX-License-Identifier: MIT */
/* resize.h -- shared by the two ways to resize; not for other rooms. */
#ifndef IMAGE_RESIZE_H
#define IMAGE_RESIZE_H

#include <string.h>

#include "image/image.h"

typedef int32_t pixel_wide __attribute__((vector_size(16), aligned(4)));

/* Four bytes, a pixel and the next one's red, as four integers.  Two interleavings with zeros are one instruction each;
 * compilers take a conversion of four bytes apart into single ones. */
static inline __attribute__((always_inline)) pixel_wide widen_pixel(const uint8_t *p)
{
    typedef uint8_t bytes __attribute__((vector_size(16)));
    typedef uint16_t shorts __attribute__((vector_size(16)));
    const shorts zero = {0};
    uint32_t four;
    shorts s;

    memcpy(&four, p, 4);
    s = (shorts)__builtin_shufflevector((bytes)(pixel_wide){(int32_t)four, 0, 0, 0}, (bytes)zero, 0, 16, 1, 17, 2, 18, 3, 19, 4,
                                        20, 5, 21, 6, 22, 7, 23);
    return (pixel_wide)__builtin_shufflevector(s, zero, 0, 8, 1, 9, 2, 10, 3, 11);
}

/* Can a picture of width x height be made, and does the box lie in it? */
must_check int resize_check(int64_t width, int64_t height, const struct image_box *box);

#endif
