/* SPDX-License-Identifier: MIT */
/* probe.c -- how large a picture is.  PNG and JPEG are walked here, chunk by chunk: their libraries would set up a decoder
 * for each picture.  What image_decode reads must come out the same here, which tests/fuzz/image.c checks for any bytes.
 *
 * Easy to get wrong: the orientation may stand behind the pixels of a PNG, and behind the size in a JPEG. */
#include "image/decode.h"

#include <inttypes.h>
#include <string.h>

#include <libdeflate.h>

static uint32_t get_be(const uint8_t *p, int count)
{
    uint32_t v = 0;

    for (int i = 0; i < count; i++)
        v = v << 8 | p[i];
    return v;
}

/* As libpng takes it: the first whole chunk that begins as a TIFF header. */
static bool is_exif(const uint8_t *chunk, uint32_t size)
{
    return size >= 2 && chunk[8] == chunk[9] && (chunk[8] == 'I' || chunk[8] == 'M') && size <= 8 << 20 &&
           libdeflate_crc32(0, chunk + 4, size + 4) == get_be(chunk + 8 + size, 4);
}

static int probe_png(struct image_size *out, int *orientation, const uint8_t *bytes, size_t size)
{
    size_t at = 8, length;

    if (size < 8 + 25 || get_be(bytes + 8, 4) != 13 || memcmp(bytes + 12, "IHDR", 4) != 0)
        return err_set(ERR_FORMAT, "PNG: no header");
    *out = (struct image_size){(int32_t)get_be(bytes + 16, 4), (int32_t)get_be(bytes + 20, 4)};
    for (; size - at >= 12 && (length = get_be(bytes + at, 4)) <= size - at - 12; at += length + 12)
        if (memcmp(bytes + at + 4, "eXIf", 4) == 0 && is_exif(bytes + at, (uint32_t)length)) {
            *orientation = exif_orientation(bytes + at + 8, length);
            break;
        }
    return 0;
}

/* A frame header that libjpeg decodes: baseline, extended, progressive, and the arithmetic two. */
static bool is_frame(int marker)
{
    return marker == 0xc0 || marker == 0xc1 || marker == 0xc2 || marker == 0xc9 || marker == 0xca;
}

static int probe_jpeg(struct image_size *out, int *orientation, const uint8_t *bytes, size_t size)
{
    size_t at = 2;
    bool have_size = false, have_exif = false;

    for (;;) {
        const uint8_t *segment;
        size_t length;
        int marker;

        if (at >= size || bytes[at] != 0xff)
            return err_set(ERR_FORMAT, "JPEG: no marker at byte %zu", at);
        while (at < size && bytes[at] == 0xff) /* any number of them */
            at++;
        marker = at < size ? bytes[at++] : 0xd9;
        if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7)) /* stand alone */
            continue;
        if (marker == 0xda && have_size)
            return 0;
        if (marker == 0xd9 || marker == 0xda || size - at < 2 || (length = get_be(bytes + at, 2)) < 2 || length > size - at)
            return err_set(ERR_FORMAT, "JPEG: the header ends too early");
        segment = bytes + at + 2;
        at += length;
        length -= 2;
        if (is_frame(marker)) {
            if (length < 5)
                return err_set(ERR_FORMAT, "JPEG: a frame header of %zu bytes", length);
            *out = (struct image_size){(int32_t)get_be(segment + 3, 2), (int32_t)get_be(segment + 1, 2)};
            have_size = true;
        } else if (marker == 0xe1 && !have_exif && length >= 6 && memcmp(segment, "Exif\0\0", 6) == 0) {
            *orientation = exif_orientation(segment, length);
            have_exif = true;
        }
    }
}

int image_probe(struct image_size *out, const uint8_t *bytes, size_t size)
{
    int orientation = 1, rc = 0;

    switch (image_kind(bytes, size)) {
    case IMAGE_PNG:
        rc = probe_png(out, &orientation, bytes, size);
        break;
    case IMAGE_JPEG:
        rc = probe_jpeg(out, &orientation, bytes, size);
        break;
    case IMAGE_WEBP:
        rc = probe_webp(out, &orientation, bytes, size);
        break;
    case IMAGE_PNM:
        rc = probe_pnm(out, bytes, size);
        break;
    case IMAGE_UNKNOWN:
        rc = decode_unknown(bytes, size);
        break;
    }
    if (rc != 0)
        return rc;
    if (out->width < 1 || out->height < 1 || out->width > IMAGE_SIDE_MAX || out->height > IMAGE_SIDE_MAX)
        return err_set(ERR_FORMAT, "a picture of %" PRIu32 "x%" PRIu32, (uint32_t)out->width, (uint32_t)out->height);
    if (orientation >= 5)
        *out = (struct image_size){out->height, out->width};
    return 0;
}
