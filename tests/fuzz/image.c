/* SPDX-License-Identifier: MIT */
/* Any bytes as a picture: an error or a picture, never anything else; and of a picture the headers alone tell the size. */
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct image_limits limits = {.pixels = 1 << 18, .bytes = 1 << 20};
    struct image_size probed;
    struct image image;
    int rc = image_probe(&probed, bytes, size);

    if (image_decode(&image, bytes, size, &limits) == 0) {
        uint64_t sum = 0; /* every pixel is there to be read */

        for (int64_t i = 0; i < 3 * (int64_t)image.width * image.height; i++)
            sum += image.rgb[i];
        if (rc != 0 || probed.width != image.width || probed.height != image.height)
            __builtin_trap();
        if (sum > (uint64_t)255 * 3 * (uint64_t)image.width * (uint64_t)image.height)
            __builtin_trap();
    }
    image_fini(&image);
    return 0;
}
