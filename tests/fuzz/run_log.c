/* SPDX-License-Identifier: MIT */
/* run_log.c -- any bytes as the log of a run: refused, or its numbers become a small chart, and its arrays a map. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/run_log.h"
#include "image/chart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void draw(const char *path, enum axis_kind kind, int64_t smooth)
{
    const struct chart_options o = {CHART_SIDE_MIN, CHART_SIDE_MIN, kind, smooth, "title", "step", "loss", "scale"};
    struct chart *lines, *map;
    struct image picture;
    struct run_log log;
    char fields[40];
    int rc;

    require(chart_create(&lines, &o) == 0 && chart_create(&map, &o) == 0 && chart_line(lines, path) == 0);
    require(run_log_open(&log, path) == 0);
    while ((rc = run_log_next(&log)) > 0) {
        run_log_fields(&log, fields, sizeof fields);
        rc = run_log_value(&log, "loss");
        if (rc == RUN_NUMBER || rc == RUN_NULL)
            require(chart_point(lines, log.step, *log.value) == 0); /* steps never fall */
        if (run_log_value(&log, "scale") == RUN_ARRAY && log.values < 1000)
            rc = chart_column(map, log.step, log.value, (int64_t)log.values);
    }
    run_log_close(&log);
    rc = chart_draw(lines, &picture);
    require((rc == 0 || rc == ERR_EMPTY) && (rc == 0) == (picture.rgb != NULL));
    image_fini(&picture);
    rc = chart_draw(map, &picture);
    require((rc == 0 || rc == ERR_EMPTY) && (rc == 0) == (picture.rgb != NULL));
    image_fini(&picture);
    chart_free(lines);
    chart_free(map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *f = tmpfile();
    char path[40];

    require(f && fwrite(data, 1, size, f) == size && fflush(f) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(f));
    draw(path, AXIS_LINEAR, 3);
    draw(path, AXIS_LOG10, 0);
    draw(path, AXIS_LOG2, 2);
    fclose(f);
    return 0;
}
