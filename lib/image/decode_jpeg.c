/* SPDX-License-Identifier: MIT */
/* decode_jpeg.c -- JPEG by libjpeg-turbo, strictly: what the library would only warn of (an early end, a broken code,
 * stray bytes) is an error, for it would otherwise fill the rest with grey.
 *
 * Easy to get wrong: Adobe's CMYK files are stored inverted, 255 means no ink. */
#include "image/decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#define SCANS_MAX 500 /* of a progressive picture; more is an attack on the reader's time */

struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    uint8_t *row; /* owned: one row of CMYK, or NULL */
    char reason[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr jpeg)
{
    struct reader *r = jpeg->client_data;

    jpeg->err->format_message(jpeg, r->reason);
    longjmp(r->back, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    int code = jpeg->err->msg_code;

    if (level < 0 && code != JWRN_ADOBE_XFORM && code != JWRN_JFIF_MAJOR)
        on_error(jpeg);
}

static void on_progress(j_common_ptr jpeg)
{
    struct reader *r = jpeg->client_data;

    if (r->jpeg.input_scan_number > SCANS_MAX) {
        snprintf(r->reason, sizeof r->reason, "more than %d scans", SCANS_MAX);
        longjmp(r->back, 1);
    }
}

static int orientation_of(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length >= 6 && memcmp(m->data, "Exif\0\0", 6) == 0)
            return exif_orientation(m->data, m->data_length);
    return 1;
}

static void from_cmyk(uint8_t *rgb, const uint8_t *cmyk, int64_t pixels, bool inverted)
{
    unsigned turn = inverted ? 0 : 255;

    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)(((cmyk[4 * i + c] ^ turn) * (cmyk[4 * i + 3] ^ turn) + 127) / 255);
}

static int read_rows(struct reader *r, struct image *out)
{
    bool cmyk = r->jpeg.out_color_space == JCS_CMYK;

    if (cmyk && !(r->row = malloc(4 * (size_t)out->width)))
        return err_set(ERR_NOMEM, "JPEG: no memory");
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        uint8_t *rgb = out->rgb + 3 * (int64_t)r->jpeg.output_scanline * out->width;
        JSAMPROW row = cmyk ? r->row : rgb;

        jpeg_read_scanlines(&r->jpeg, &row, 1);
        if (cmyk)
            from_cmyk(rgb, r->row, out->width, r->jpeg.saw_Adobe_marker);
    }
    return 0;
}

/* The strongest of the reductions that libjpeg-turbo has fast code for. */
static void choose_scale(struct jpeg_decompress_struct *jpeg, int64_t least)
{
    for (jpeg->scale_num = 1, jpeg->scale_denom = 8; jpeg->scale_denom > 1; jpeg->scale_denom /= 2) {
        jpeg_calc_output_dimensions(jpeg);
        if (least > 0 && jpeg->output_width >= least && jpeg->output_height >= least)
            return;
    }
    jpeg_calc_output_dimensions(jpeg);
}

/* Everything that libjpeg may leave by longjmp. */
static int read_picture(struct reader *r, struct image *out, int *orientation, const uint8_t *bytes, size_t size,
                        const struct image_limits *limits, int64_t least)
{
    int rc;

    if (setjmp(r->back))
        return err_set(ERR_FORMAT, "JPEG: %s", r->reason);
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.progress = &r->progress;
    jpeg_mem_src(&r->jpeg, bytes, size);
    jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, 0xffff);
    if (jpeg_read_header(&r->jpeg, TRUE) != JPEG_HEADER_OK)
        return err_set(ERR_FORMAT, "JPEG: no picture");
    *orientation = orientation_of(&r->jpeg);
    if ((rc = decode_check("JPEG", r->jpeg.image_width, r->jpeg.image_height, limits)) != 0)
        return rc;
    choose_scale(&r->jpeg, least);
    if ((rc = image_init(out, r->jpeg.output_width, r->jpeg.output_height)) != 0)
        return rc;
    r->jpeg.out_color_space = r->jpeg.jpeg_color_space == JCS_CMYK || r->jpeg.jpeg_color_space == JCS_YCCK
                                  ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&r->jpeg);
    if ((rc = read_rows(r, out)) != 0)
        return rc;
    jpeg_finish_decompress(&r->jpeg);
    return 0;
}

int decode_jpeg(struct image *out, int *orientation, const uint8_t *bytes, size_t size, const struct image_limits *limits,
                int64_t least)
{
    struct reader *r = calloc(1, sizeof *r);
    int rc;

    *out = (struct image){0};
    *orientation = 1;
    if (!r)
        return err_set(ERR_NOMEM, "JPEG: no memory");
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->jpeg.client_data = r;
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->progress.progress_monitor = on_progress;
    rc = read_picture(r, out, orientation, bytes, size, limits, least);
    jpeg_destroy_decompress(&r->jpeg);
    free(r->row);
    free(r);
    if (rc != 0)
        image_fini(out);
    return rc;
}
