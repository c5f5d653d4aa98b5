/* SPDX-License-Identifier: MIT */
#include "text/alphabet.h"

#include <stdbool.h>

static bool is_itself(unsigned byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* The others in order: 0..32, 127..160, 173. */
uint32_t alphabet_point(uint8_t byte)
{
    if (is_itself(byte))
        return byte;
    return 256u + (byte <= 32 ? byte : byte <= 160 ? byte - 127u + 33u : 67u);
}

int alphabet_byte(uint32_t point)
{
    if (point < 256)
        return is_itself(point) ? (int)point : -1;
    if (point < 256 + 33)
        return (int)point - 256;
    if (point < 256 + 67)
        return (int)point - 256 - 33 + 127;
    return point == 256 + 67 ? 173 : -1;
}

void alphabet_order(uint8_t order[256])
{
    int n = 0;

    for (uint32_t point = 0; point < ALPHABET_END; point++)
        if (alphabet_byte(point) >= 0)
            order[n++] = (uint8_t)alphabet_byte(point);
}

size_t alphabet_write(char *to, const char *bytes, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        uint32_t point = alphabet_point((uint8_t)bytes[i]);

        if (point >= 0x80) {
            to[n++] = (char)(0xC0 | point >> 6);
            to[n++] = (char)(0x80 | (point & 0x3F));
        } else {
            to[n++] = (char)point;
        }
    }
    return n;
}

int64_t alphabet_read(char *to, const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    int64_t n = 0;

    for (size_t i = 0; i < size;) {
        uint32_t point = p[i++];
        int byte;

        if (point >= 0x80) { /* two bytes are enough for all of the alphabet */
            if (point < 0xC2 || point > 0xDF || i == size || (p[i] & 0xC0) != 0x80)
                return -1;
            point = (point & 0x1F) << 6 | (p[i++] & 0x3F);
        }
        if ((byte = alphabet_byte(point)) < 0)
            return -1;
        to[n++] = (char)byte;
    }
    return n;
}
