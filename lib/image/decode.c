/* SPDX-License-Identifier: MIT */
/* decode.c -- what kind of file it is, the limits, EXIF orientation, and PNM. */
#include "image/decode.h"

#include <inttypes.h>
#include <string.h>

static bool starts(const uint8_t *bytes, size_t size, const char *magic, size_t magic_size)
{
    return size >= magic_size && memcmp(bytes, magic, magic_size) == 0;
}

enum image_kind image_kind(const uint8_t *bytes, size_t size)
{
    if (starts(bytes, size, "\x89PNG\r\n\x1a\n", 8))
        return IMAGE_PNG;
    if (starts(bytes, size, "\xff\xd8\xff", 3))
        return IMAGE_JPEG;
    if (size >= 12 && starts(bytes, size, "RIFF", 4) && memcmp(bytes + 8, "WEBP", 4) == 0)
        return IMAGE_WEBP;
    if (size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
        (bytes[2] == '#' || bytes[2] == ' ' || (bytes[2] >= '\t' && bytes[2] <= '\r')))
        return IMAGE_PNM;
    return IMAGE_UNKNOWN;
}

int decode_unknown(const uint8_t *bytes, size_t size)
{
    static const struct { const char *magic; size_t at; const char *name; } known[] = {
        {"GIF8", 0, "a GIF picture"},       {"BM", 0, "a BMP picture"},    {"II*", 0, "a TIFF picture"},
        {"MM\0*", 0, "a TIFF picture"},     {"ftypavif", 4, "an AVIF picture"},
        {"ftyphei", 4, "a HEIF picture"},   {"<svg", 0, "an SVG drawing"}, {"<!DOCTYPE", 0, "an HTML page"},
        {"<html", 0, "an HTML page"},       {"%PDF", 0, "a PDF file"},
    };

    if (size == 0)
        return err_set(ERR_FORMAT, "an empty file, not a picture");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t magic_size = i == 3 ? 4 : strlen(known[i].magic);

        if (size >= known[i].at && starts(bytes + known[i].at, size - known[i].at, known[i].magic, magic_size))
            return err_set(ERR_FORMAT, "%s; PNG, JPEG, WebP and PNM are read", known[i].name);
    }
    return err_set(ERR_FORMAT, "not a PNG, JPEG, WebP or PNM picture");
}

int decode_check(const char *name, int64_t width, int64_t height, const struct image_limits *limits)
{
    if (width < 1 || height < 1)
        return err_set(ERR_FORMAT, "%s: a picture of %" PRId64 "x%" PRId64, name, width, height);
    if (width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX || width > limits->pixels / height)
        return err_set(ERR_LIMIT, "%s: %" PRId64 "x%" PRId64 " is more than %" PRId64 " pixels", name, width, height,
                       limits->pixels);
    return 0;
}

int decode_init(struct image *out, const char *name, int64_t width, int64_t height, const struct image_limits *limits)
{
    int rc = decode_check(name, width, height, limits);

    *out = (struct image){0};
    return rc == 0 ? image_init(out, width, height) : rc;
}

int image_decode(struct image *out, const uint8_t *bytes, size_t size, const struct image_limits *limits)
{
    return image_decode_least(out, bytes, size, limits, 0);
}

int image_decode_least(struct image *out, const uint8_t *bytes, size_t size, const struct image_limits *limits, int64_t least)
{
    struct image_limits l = {limits && limits->pixels ? limits->pixels : IMAGE_PIXELS_MAX,
                             limits && limits->bytes ? limits->bytes : IMAGE_BYTES_MAX};
    struct image turned;
    int orientation = 1, rc = 0;

    *out = (struct image){0};
    if (size > l.bytes)
        return err_set(ERR_LIMIT, "a file of %zu bytes, the limit is %zu", size, l.bytes);
    switch (image_kind(bytes, size)) {
    case IMAGE_PNG:
        rc = decode_png(out, &orientation, bytes, size, &l);
        break;
    case IMAGE_JPEG:
        rc = decode_jpeg(out, &orientation, bytes, size, &l, least);
        break;
    case IMAGE_WEBP:
        rc = decode_webp(out, &orientation, bytes, size, &l);
        break;
    case IMAGE_PNM:
        rc = decode_pnm(out, bytes, size, &l);
        break;
    case IMAGE_UNKNOWN:
        rc = decode_unknown(bytes, size);
        break;
    }
    if (rc != 0 || orientation == 1)
        return rc;
    rc = image_orient(&turned, out, orientation);
    image_fini(out);
    *out = turned;
    return rc;
}

/* ---- EXIF ------------------------------------------------------------------------------------------------------- */

struct tiff {
    const uint8_t *bytes;
    size_t size;
    bool big; /* "MM": the larger byte first */
};

static uint32_t tiff_get(const struct tiff *t, size_t at, int count)
{
    uint32_t v = 0;

    for (int i = 0; i < count; i++)
        v = v << 8 | t->bytes[at + (size_t)(t->big ? i : count - 1 - i)];
    return v;
}

int exif_orientation(const uint8_t *bytes, size_t size)
{
    struct tiff t = {bytes, size, false};
    uint32_t folder, count;

    if (starts(bytes, size, "Exif\0\0", 6)) {
        t.bytes += 6;
        t.size -= 6;
    }
    if (t.size < 8 || (!starts(t.bytes, t.size, "II*\0", 4) && !starts(t.bytes, t.size, "MM\0*", 4)))
        return 1;
    t.big = t.bytes[0] == 'M';
    folder = tiff_get(&t, 4, 4);
    if (folder > t.size - 2)
        return 1;
    count = tiff_get(&t, folder, 2);
    for (uint32_t i = 0; i < count; i++) {
        size_t at = (size_t)folder + 2 + 12 * (size_t)i;
        uint32_t value;

        if (at + 12 > t.size)
            return 1;
        if (tiff_get(&t, at, 2) != 0x0112 || tiff_get(&t, at + 2, 2) != 3 || tiff_get(&t, at + 4, 4) != 1)
            continue;
        value = tiff_get(&t, at + 8, 2);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

/* ---- PNM -------------------------------------------------------------------------------------------------------- */

struct pnm {
    const uint8_t *at, *end;
};

/* The next number of a header or of a text picture; -1 where there is none, or above most. */
static int64_t pnm_number(struct pnm *p, int64_t most)
{
    int64_t value = 0;

    for (;; p->at++) {
        if (p->at == p->end)
            return -1;
        if (*p->at == '#')
            while (p->at + 1 < p->end && *p->at != '\n')
                p->at++;
        else if (*p->at != ' ' && (*p->at < '\t' || *p->at > '\r'))
            break;
    }
    if (*p->at < '0' || *p->at > '9')
        return -1;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
        if ((value = 10 * value + (*p->at - '0')) > most)
            return -1;
    return value;
}

/* P1 may write its zeros and ones without spaces between them. */
static int64_t pnm_bit(struct pnm *p)
{
    struct pnm one;
    int64_t value;

    while (p->at < p->end && (*p->at == ' ' || (*p->at >= '\t' && *p->at <= '\r')))
        p->at++;
    if (p->at == p->end)
        return -1;
    one = (struct pnm){p->at, p->at + 1};
    if (*p->at == '#') {
        one.end = p->end;
        value = pnm_number(&one, 1);
        p->at = one.at;
        return value;
    }
    p->at++;
    return pnm_number(&one, 1);
}

static int pnm_text(struct image *out, struct pnm *p, int kind, int64_t most)
{
    int channels = kind == 3 ? 3 : 1;
    int64_t pixels = (int64_t)out->width * out->height;

    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++) {
            int64_t v = kind == 1 ? pnm_bit(p) : pnm_number(p, most);

            if (v < 0)
                return err_set(ERR_FORMAT, "PNM: pixel %" PRId64 " of %" PRId64 " is missing or wrong", i, pixels);
            out->rgb[3 * i + c] = kind == 1 ? (v ? 0 : 255) : (uint8_t)((v * 255 + most / 2) / most);
            if (channels == 1)
                out->rgb[3 * i + 1] = out->rgb[3 * i + 2] = out->rgb[3 * i];
        }
    return 0;
}

static int pnm_binary(struct image *out, struct pnm *p, int kind, int64_t most)
{
    int channels = kind == 6 ? 3 : 1, depth = most > 255 ? 2 : 1;
    int64_t row = kind == 4 ? (out->width + 7) / 8 : (int64_t)out->width * channels * depth;

    if (p->end - p->at < row * out->height)
        return err_set(ERR_FORMAT, "PNM: %td bytes of pixels, %" PRId64 " are needed", p->end - p->at, row * out->height);
    for (int64_t y = 0; y < out->height; y++, p->at += row)
        for (int64_t i = 0; i < (int64_t)out->width * 3; i++) {
            int64_t x = i / 3, at = channels == 3 ? i : x, v;

            if (kind == 4)
                v = p->at[x / 8] >> (7 - x % 8) & 1 ? 0 : 1;
            else
                v = depth == 1 ? p->at[at] : p->at[2 * at] << 8 | p->at[2 * at + 1];
            if (v > most)
                return err_set(ERR_FORMAT, "PNM: a value above %" PRId64, most);
            out->rgb[3 * (y * out->width) + i] = (uint8_t)((v * 255 + most / 2) / most);
        }
    return 0;
}

/* Up to the pixels. */
static int pnm_header(struct pnm *p, int kind, int64_t *width, int64_t *height, int64_t *most)
{
    *width = pnm_number(p, INT32_MAX);
    *height = *width < 0 ? -1 : pnm_number(p, INT32_MAX);
    *most = 1;
    if (*height >= 0 && kind != 1 && kind != 4)
        *most = pnm_number(p, 65535);
    if (*width < 0 || *height < 0 || *most < 1)
        return err_set(ERR_FORMAT, "PNM: width, height or largest value is missing or wrong");
    if (kind >= 4 && (p->at == p->end || !(*p->at == ' ' || (*p->at >= '\t' && *p->at <= '\r'))))
        return err_set(ERR_FORMAT, "PNM: no space behind the header");
    p->at += kind >= 4;
    return 0;
}

int probe_pnm(struct image_size *out, const uint8_t *bytes, size_t size)
{
    struct pnm p = {bytes + 2, bytes + size};
    int64_t width, height, most;
    int rc = pnm_header(&p, bytes[1] - '0', &width, &height, &most);

    *out = (struct image_size){(int32_t)width, (int32_t)height};
    return rc;
}

int decode_pnm(struct image *out, const uint8_t *bytes, size_t size, const struct image_limits *limits)
{
    struct pnm p = {bytes + 2, bytes + size};
    int kind = bytes[1] - '0', rc;
    int64_t width, height, most;

    *out = (struct image){0};
    if ((rc = pnm_header(&p, kind, &width, &height, &most)) != 0 ||
        (rc = decode_init(out, "PNM", width, height, limits)) != 0)
        return rc;
    rc = kind < 4 ? pnm_text(out, &p, kind, most) : pnm_binary(out, &p, kind, most);
    if (rc != 0)
        image_fini(out);
    return rc;
}
