/* SPDX-License-Identifier: MIT */
/* picture_out.h -- where decoded pictures go: one PNG, a PNG each, a contact sheet, a tar of PNGs, or PPMs in a row.
 *
 *   PICTURES_ONE    exactly one picture; a second one is an error
 *   PICTURES_FILES  path is a pattern for name_from_key (format/pairs.h); its folders are made; two pictures of one name are
 *                   an error, files of earlier runs are replaced
 *   PICTURES_SHEET  image/sheet.h; holds all pictures until the end, at most IMAGE_PIXELS_MAX pixels
 *   PICTURES_TAR    KEY.png where a key stands alone with variant 0, else KEY/VARIANT.png with four digits or more
 *   PICTURES_PPM    P6 one behind the other
 *
 * PNGs carry Title (the key, and "/variant" where it is not 0), Description (the caption, if told), Software and Provenance
 * (lines "program version options", oldest first), unless bare.
 *
 * Memory   captions; FILES: 8 bytes a picture; SHEET: all pictures
 * Errors   ERR_ARG no picture or too many for ONE, no picture for SHEET, a name twice; ERR_LIMIT a sheet too large; ERR_IO
 */
#ifndef IMAGE_PICTURE_OUT_H
#define IMAGE_PICTURE_OUT_H

#include "format/pairs.h"
#include "image/image.h"

enum picture_form { PICTURES_ONE, PICTURES_FILES, PICTURES_SHEET, PICTURES_TAR, PICTURES_PPM };

struct picture_options {
    enum picture_form form;
    const char *path;       /* borrowed; NULL: stdout */
    int64_t columns;        /* of the sheet; 0: about square */
    const char *software;   /* borrowed, as the next; may be NULL */
    const char *provenance;
    bool bare;
};

struct picture_out;

must_check int picture_out_open(struct picture_out **p, const struct picture_options *o);
/* The caption of a key, before its pictures come.  The last one told counts. */
must_check int picture_out_caption(struct picture_out *p, const char *key, const char *text, size_t size);
/* Pictures of one key stand together; next is the key of the picture that follows, NULL: none. */
must_check int picture_out_put(struct picture_out *p, const struct image *picture, const char *key, uint32_t variant,
                               const char *next);
/* Write what waits, sync and rename. */
must_check int picture_out_end(struct picture_out *p);
void picture_out_close(struct picture_out *p); /* without picture_out_end nothing keeps its name, but for FILES */

#endif
