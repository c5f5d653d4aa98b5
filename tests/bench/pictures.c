/* SPDX-License-Identifier: MIT */
/* pictures.c -- what it costs to read pairs and pictures: `build/tests/bench/pictures WHAT FILE ROUNDS` prints processor seconds
 * and seconds of the best round, then records and bytes.
 *
 *   eval    decode FILE and bring it to 256 x 256 as dvae-encode does
 *   full    the same with all of a JPEG's pixels
 *   prior   the paper's listing 2, another crop each round
 *   decode  decode alone, all pixels
 *   pairs   read all records of the archive FILE, pictures and captions, decoding none
 *   make    write a JPEG of ROUNDS x ROUNDS pixels, quality 85, 4:2:0, with a photograph's spectrum and edges
 *
 * tests/bench/pictures.py runs it beside other programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jpeglib.h>

#include "base/par.h"
#include "base/progress.h"
#include "format/pairs.h"
#include "image/prepare.h"

#define SIZE 256

/* Of this process: other programs beside do not count. */
static double processor_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int one_picture(const char *what, const uint8_t *bytes, size_t size, int64_t round)
{
    enum prepare how = strcmp(what, "prior") == 0 ? PREPARE_PRIOR : PREPARE_EVAL;
    int64_t least = strcmp(what, "eval") == 0 ? prepare_least(SIZE, how) : 0;
    struct image whole, part = {0};
    int rc = image_decode_least(&whole, bytes, size, NULL, least);

    if (rc == 0 && strcmp(what, "decode") != 0)
        rc = image_prepare(&part, &whole, SIZE, how, false, (struct rng){1, RNG_CROP}, (uint64_t)round);
    image_fini(&part);
    image_fini(&whole);
    return rc;
}

static int all_pairs(const char *path, int64_t *count, int64_t *bytes)
{
    struct pairs *p;
    struct pair pair;
    int rc = pairs_open(&p, path, PAIRS_PICTURE | PAIRS_CAPTION);

    for (*count = *bytes = 0; rc == 0 && (rc = pairs_next(p, &pair)) > 0; rc = 0) {
        ++*count;
        *bytes += (int64_t)pair.picture_size + (int64_t)pair.caption_size;
    }
    pairs_close(p);
    return rc;
}

/* ---- a picture to work on ---------------------------------------------------------------------------------------- */

static double lattice(int64_t x, int64_t y, int octave)
{
    return rng_uniform((struct rng){1, RNG_TEST}, (uint64_t)octave, (uint64_t)(y << 32 | x)) - 0.5;
}

/* Smooth noise of one octave: cells of `cell` pixels. */
static double noise(double x, double y, double cell, int octave)
{
    int64_t i = (int64_t)(x / cell), j = (int64_t)(y / cell);
    double u = x / cell - (double)i, v = y / cell - (double)j;
    double a = lattice(i, j, octave) * (1 - u) + lattice(i + 1, j, octave) * u;
    double b = lattice(i, j + 1, octave) * (1 - u) + lattice(i + 1, j + 1, octave) * u;

    return a * (1 - v) + b * v;
}

static uint8_t value_at(int x, int y, int c, int size)
{
    double v = 120, side = size / 2.0;

    for (int octave = 0; side >= 1; octave++, side /= 2) {
        double amplitude = 190 * (side / size > 0.02 ? 0.6 : 8 * side / size + 0.06); /* halves with the cells, then a floor */

        v += amplitude * (noise(x, y, side, octave) + 0.3 * noise(x, y, side, 100 * (c + 1) + octave));
    }
    for (int i = 0; i < 12; i++) { /* discs: edges */
        int cx = (i * 577 + 200) % size, cy = (i * 331 + 100) % size, r = 30 + i * 57 % 170;

        if ((x - cx) * (x - cx) + (y - cy) * (y - cy) < r * r)
            v = v * 0.7 + 30 * ((i + c) % 3);
    }
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static int make(const char *path, int size)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    uint8_t *row = malloc(3 * (size_t)size);
    FILE *file = fopen(path, "wb");

    if (!row || !file)
        return err_errno(ERR_IO, "%s", path);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = jpeg.image_height = (JDIMENSION)size;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 85, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < size; y++) {
        JSAMPROW rows = row;

        for (int i = 0; i < 3 * size; i++)
            row[i] = value_at(i / 3, y, i % 3, size);
        jpeg_write_scanlines(&jpeg, &rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(row);
    return fclose(file) == 0 ? 0 : err_errno(ERR_IO, "%s", path);
}

static void check(int rc, const char *path)
{
    if (rc == 0)
        return;
    fprintf(stderr, "pictures: %s: %s\n", path, err_text());
    exit(1);
}

int main(int argc, char **argv)
{
    double best = 1e30, best_wall = 1e30;
    int64_t count = 1, bytes = 0;
    char *file = NULL;
    size_t size = 0;

    if (argc != 4) {
        fprintf(stderr, "usage: pictures eval|full|prior|decode|pairs|make FILE ROUNDS\n");
        return 2;
    }
    if (strcmp(argv[1], "make") == 0) {
        check(make(argv[2], atoi(argv[3])), argv[2]);
        return 0;
    }
    par_set_threads(1);
    if (strcmp(argv[1], "pairs") != 0)
        check(file_read(argv[2], 64 << 20, &file, &size), argv[2]);
    for (int64_t round = 0; round < atoll(argv[3]); round++) {
        double start = processor_s(), start_wall = clock_s();

        check(file ? one_picture(argv[1], (const uint8_t *)file, size, round) : all_pairs(argv[2], &count, &bytes), argv[2]);
        best = processor_s() - start < best ? processor_s() - start : best;
        best_wall = clock_s() - start_wall < best_wall ? clock_s() - start_wall : best_wall;
    }
    printf("%.9f %.9f %lld %lld\n", best, best_wall, (long long)count, (long long)bytes);
    free(file);
    return 0;
}
