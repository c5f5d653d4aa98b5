/* SPDX-License-Identifier: MIT */
/* font.c -- the glyphs, drawn for this project, and putting them into a picture. */
#include "image/font.h"

#include <string.h>

#define COLUMNS 5
#define ROWS 8

/* 40 bits a glyph: eight rows of five pixels, the first row highest, the left pixel highest.  Row 7 hangs below the line. */
static const uint64_t glyphs[] = {
    0x0000000000, 0x2108420080, 0x5294000000, 0x52beafa940, 0x23e8e2f880, 0xce44444e60, /*  !"#$% */
    0x64a88ac9a0, 0x2108000000, 0x1110841040, 0x4104211100, 0x012aea9000, 0x0109f21000, /* &'()*+ */
    0x0000001844, 0x0000e00000, 0x00000018c0, 0x0844444200, 0x74675cc5c0, 0x23084211c0, /* ,-./01 */
    0x74422223e0, 0x744260c5c0, 0x11952f8840, 0xfc3c10c5c0, 0x3221e8c5c0, 0xf844422100, /* 234567 */
    0x7462e8c5c0, 0x7462f08980, 0x018c031800, 0x018c031844, 0x1111041040, 0x003e0f8000, /* 89:;<= */
    0x4104111100, 0x7442220080, 0x746f5bc1c0, 0x7463f8c620, 0xf463e8c7c0, 0x74610845c0, /* >?@ABC */
    0xf46318c7c0, 0xfc21e843e0, 0xfc21e84200, 0x746178c5c0, 0x8c63f8c620, 0x71084211c0, /* DEFGHI */
    0x3884214980, 0x8ca98a4a20, 0x84210843e0, 0x8eeb58c620, 0x8e6b38c620, 0x746318c5c0, /* JKLMNO */
    0xf463e84200, 0x74631ac9a0, 0xf463ea4a20, 0x7c20e087c0, 0xf908421080, 0x8c6318c5c0, /* PQRSTU */
    0x8c6318a880, 0x8c635aee20, 0x8c54454620, 0x8c54421080, 0xf8444443e0, 0x72108421c0, /* VWXYZ[ */
    0x8410410420, 0x70842109c0, 0x22a2000000, 0x000000001f, 0x4100000000, 0x001c17c5e0, /* \]^_`a */
    0x843d18c7c0, 0x001d1845c0, 0x085f18c5e0, 0x001d1fc1c0, 0x323c842100, 0x001f18bc2e, /* bcdefg */
    0x843d18c620, 0x20184211c0, 0x100c21084c, 0x84254c5240, 0x61084211c0, 0x00355ad6a0, /* hijklm */
    0x003d18c620, 0x001d18c5c0, 0x003d18fa10, 0x001f18bc21, 0x002d984200, 0x001f0707c0, /* nopqrs */
    0x423c8420c0, 0x002318c5e0, 0x002318a880, 0x00235ad540, 0x0022a22a20, 0x002318bc2e, /* tuvwxy */
    0x003e2223e0, 0x1108821040, 0x2108421080, 0x4108221100, 0x0011510000, /* z{|}~ */
};

static const uint64_t box = 0xfc631f8000; /* an empty box */

static bool is_first_byte(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

int64_t font_length(const char *text, size_t size)
{
    int64_t length = 0;

    for (size_t i = 0; i < size; i++)
        length += is_first_byte(text[i]);
    return length;
}

static void fill(struct image *image, int64_t x, int64_t y, int64_t side, const uint8_t rgb[3])
{
    for (int64_t b = y < 0 ? 0 : y; b < y + side && b < image->height; b++)
        for (int64_t a = x < 0 ? 0 : x; a < x + side && a < image->width; a++)
            memcpy(image->rgb + 3 * (b * image->width + a), rgb, 3);
}

void font_draw(struct image *image, int64_t x, int64_t y, const char *text, size_t size, int64_t scale,
               const uint8_t rgb[3])
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        uint64_t glyph = c >= 0x20 && c < 0x7f ? glyphs[c - 0x20] : box;

        if (!is_first_byte(text[i]))
            continue;
        for (int bit = 0; bit < ROWS * COLUMNS; bit++)
            if (glyph >> (ROWS * COLUMNS - 1 - bit) & 1)
                fill(image, x + bit % COLUMNS * scale, y + bit / COLUMNS * scale, scale, rgb);
        x += FONT_WIDTH * scale;
    }
}
