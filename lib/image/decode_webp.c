/* SPDX-License-Identifier: MIT */
/* decode_webp.c -- WebP by libwebp; of an animation the first frame, as its canvas shows it. */
#include "image/decode.h"

#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "base/bytes.h"

static const char *status_text(VP8StatusCode status)
{
    switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return "no memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return "a feature that is not read";
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return "the file ends too early";
    default:
        return "damaged";
    }
}

static int orientation_of(const uint8_t *bytes, size_t size)
{
    WebPData data = {bytes, size};
    WebPDemuxer *demux = WebPDemux(&data);
    WebPChunkIterator it;
    int orientation = 1;

    if (demux && WebPDemuxGetChunk(demux, "EXIF", 1, &it)) {
        orientation = exif_orientation(it.chunk.bytes, it.chunk.size);
        WebPDemuxReleaseChunkIterator(&it);
    }
    WebPDemuxDelete(demux);
    return orientation;
}

static void compose(struct image *out, const uint8_t *rgba)
{
    int64_t pixels = (int64_t)out->width * out->height;

    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++)
            out->rgb[3 * i + c] = over_white(rgba[4 * i + c], rgba[4 * i + 3]);
}

static int read_still(struct image *out, const uint8_t *bytes, size_t size, bool alpha)
{
    WebPDecoderConfig config;
    uint8_t *rgba = NULL;
    size_t channels = alpha ? 4 : 3, room = channels * (size_t)out->width * (size_t)out->height;
    VP8StatusCode status;

    if (alpha && !(rgba = malloc(room)))
        return err_set(ERR_NOMEM, "WebP: no memory for %dx%d", out->width, out->height);
    if (!WebPInitDecoderConfig(&config)) {
        free(rgba);
        return err_set(ERR_UNSUPPORTED, "WebP: another version of the library than at build time");
    }
    config.output.colorspace = alpha ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = alpha ? rgba : out->rgb;
    config.output.u.RGBA.stride = (int)channels * out->width;
    config.output.u.RGBA.size = room;
    status = WebPDecode(bytes, size, &config);
    if (alpha && status == VP8_STATUS_OK)
        compose(out, rgba);
    free(rgba);
    if (status == VP8_STATUS_OUT_OF_MEMORY)
        return err_set(ERR_NOMEM, "WebP: no memory for %dx%d", out->width, out->height);
    return status == VP8_STATUS_OK ? 0 : err_set(ERR_FORMAT, "WebP: %s", status_text(status));
}

static int read_animation(struct image *out, const uint8_t *bytes, size_t size)
{
    WebPAnimDecoderOptions options;
    WebPAnimDecoder *decoder = NULL;
    WebPData data = {bytes, size};
    WebPAnimInfo info;
    uint8_t *rgba; /* borrowed from the decoder */
    int time_ms, rc = 0;

    if (WebPAnimDecoderOptionsInit(&options)) {
        options.color_mode = MODE_RGBA;
        options.use_threads = 0;
        decoder = WebPAnimDecoderNew(&data, &options);
    }
    if (!decoder || !WebPAnimDecoderGetInfo(decoder, &info) || (int64_t)info.canvas_width != out->width ||
        (int64_t)info.canvas_height != out->height || !WebPAnimDecoderGetNext(decoder, &rgba, &time_ms))
        rc = err_set(ERR_FORMAT, "WebP: damaged animation");
    else
        compose(out, rgba);
    WebPAnimDecoderDelete(decoder);
    return rc;
}

static int read_features(WebPBitstreamFeatures *features, const uint8_t *bytes, size_t size)
{
    VP8StatusCode status;

    if ((uint64_t)get_u32(bytes + 4) + 8 > size) /* libwebp shows what there is of a file cut short near its end */
        return err_set(ERR_FORMAT, "WebP: the file ends too early");
    if ((status = WebPGetFeatures(bytes, size, features)) != VP8_STATUS_OK)
        return err_set(ERR_FORMAT, "WebP: %s", status_text(status));
    return 0;
}

int probe_webp(struct image_size *out, int *orientation, const uint8_t *bytes, size_t size)
{
    WebPBitstreamFeatures features;
    int rc = read_features(&features, bytes, size);

    if (rc != 0)
        return rc;
    *out = (struct image_size){features.width, features.height};
    *orientation = orientation_of(bytes, size);
    return 0;
}

int decode_webp(struct image *out, int *orientation, const uint8_t *bytes, size_t size, const struct image_limits *limits)
{
    WebPBitstreamFeatures features;
    int rc;

    *out = (struct image){0};
    *orientation = 1;
    if ((rc = read_features(&features, bytes, size)) != 0)
        return rc;
    if ((rc = decode_init(out, "WebP", features.width, features.height, limits)) != 0)
        return rc;
    rc = features.has_animation ? read_animation(out, bytes, size) : read_still(out, bytes, size, features.has_alpha);
    if (rc == 0)
        *orientation = orientation_of(bytes, size);
    else
        image_fini(out);
    return rc;
}
