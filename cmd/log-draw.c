/* SPDX-License-Identifier: MIT */
/* log-draw -- a picture of the logs of runs: curves over steps, a map of blocks over steps, or blocks at one step. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cmd/tool.h"
#include "format/run_log.h"
#include "image/chart.h"

#define FIELDS_MAX_BYTES 400 /* of the list of fields in a message */

static const char *output, *field = "loss", *kind = "auto", *title;
static int64_t from, to = -1, at_step = -1, smooth = 1, width = 800, height = 480;
static bool log10_values, log2_values;

static const struct tool_option options[] = {
    TOOL_OUTPUT(output),
    {'f', "field", OPT_STRING, "NAME", "what to draw: a number, or an array of one number a block", &field, 0, 0, 0},
    {0, "kind", OPT_CHOICE, "KIND", "curve over steps, map of blocks over steps, or blocks at one step", &kind, 0, 0,
     "auto|curve|map|blocks"},
    {0, "log", OPT_FLAG, 0, "logarithmic values, powers of ten beside them", &log10_values, 0, 0, 0},
    {0, "log2", OPT_FLAG, 0, "the same with powers of two", &log2_values, 0, 0, 0},
    {0, "smooth", OPT_INT, "N", "curves: over the pale line the mean of N lines each", &smooth, 1, CHART_SMOOTH_MAX, 0},
    {0, "from", OPT_INT, "STEP", "leave out earlier steps", &from, 0, 9007199254740992.0, 0},
    {0, "to", OPT_INT, "STEP", "leave out later steps; -1: none", &to, -1, 9007199254740992.0, 0},
    {0, "step", OPT_INT, "STEP", "blocks: of this step; -1: of the last line", &at_step, -1, 9007199254740992.0, 0},
    {0, "title", OPT_STRING, "TEXT", "a line above it all", &title, 0, 0, 0},
    {0, "width", OPT_INT, "N", "pixels", &width, CHART_SIDE_MIN, CHART_SIDE_MAX, 0},
    {0, "height", OPT_INT, "N", "pixels", &height, CHART_SIDE_MIN, CHART_SIDE_MAX, 0},
    TOOL_END};

static struct tool tool = {.name = "log-draw", .args = "[RUN|FILE]...", .what = "Draw what the logs of runs say",
                           .options = options, .min_args = 0, .max_args = CHART_LINES_MAX};

enum kind { AUTO, CURVE, MAP, BLOCKS };

struct draw {
    struct chart *chart;           /* owned; NULL until a value tells what is drawn */
    enum kind kind;
    char *label[CHART_LINES_MAX];  /* owned: a name for each log */
    int logs;
    char *value_name;              /* owned: what the chart borrows */
    int shown; /* logs of which there is something to see */
};

struct seen { /* of one log */
    int64_t lines, with_field;     /* between --from and --to */
    int64_t drawn;                 /* values that are seen */
    bool begun;                    /* it has its line on the chart */
    double *block;                 /* owned [blocks]: the array of a step */
    size_t blocks;                 /* 0: no array yet */
    double step;                   /* of block: the last, or the nearest to --step */
};

static enum axis_kind values_kind(void)
{
    return log10_values ? AXIS_LOG10 : log2_values ? AXIS_LOG2 : AXIS_LINEAR;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* The first value says what the picture is. */
static int begin_chart(struct draw *d, enum run_value found)
{
    struct chart_options o = {.width = width, .height = height, .values = values_kind(), .smooth = smooth, .title = title};

    if (d->kind == AUTO)
        d->kind = found != RUN_ARRAY ? CURVE : d->logs > 1 || at_step >= 0 ? BLOCKS : MAP;
    if (smooth > 1 && d->kind != CURVE)
        return err_set(ERR_ARG, "--smooth is for curves");
    if (at_step >= 0 && d->kind != BLOCKS)
        return err_set(ERR_ARG, "--step is for blocks");
    d->value_name = d->kind == MAP ? text_printf("%s, %s", field, d->label[0])
                    : smooth > 1   ? text_printf("%s, mean of %" PRId64 " lines", field, smooth)
                                   : strdup(field);
    if (!d->value_name)
        return err_set(ERR_NOMEM, "no memory for a name");
    o.x_name = d->kind == BLOCKS ? "block" : "step";
    o.y_name = d->kind == MAP ? "block" : d->value_name;
    o.value_name = d->value_name;
    return chart_create(&d->chart, &o);
}

static int take_number(struct draw *d, struct seen *s, const struct run_log *log, const char *label)
{
    int rc = s->begun ? 0 : chart_line(d->chart, label);

    s->begun = true;
    return rc == 0 ? chart_point(d->chart, log->step, *log->value) : rc;
}

/* Keep the array of the step that is asked for, or of the nearest so far, to be named. */
static void take_blocks(struct seen *s, const struct run_log *log)
{
    if (at_step >= 0 && fabs(log->step - (double)at_step) > fabs(s->step - (double)at_step))
        return;
    s->step = log->step;
    memcpy(s->block, log->value, log->values * sizeof *s->block);
}

static int take_array(struct draw *d, struct seen *s, const struct run_log *log)
{
    if (log->values == 0 || log->values > CHART_ROWS_MAX)
        return run_log_error(log, ERR_FORMAT, "%s is an array of %zu; 1 to %d numbers are drawn", field, log->values,
                             CHART_ROWS_MAX);
    if (s->blocks != 0 && log->values != s->blocks)
        return run_log_error(log, ERR_FORMAT, "%s has %zu numbers, before it had %zu", field, log->values, s->blocks);
    if (s->blocks == 0 && !(s->block = malloc(log->values * sizeof *s->block)))
        return err_set(ERR_NOMEM, "no memory for %zu numbers", log->values);
    s->blocks = log->values;
    if (d->kind == MAP)
        return chart_column(d->chart, log->step, log->value, (int64_t)log->values);
    take_blocks(s, log);
    return 0;
}

static int64_t visible(const double *value, size_t count)
{
    int64_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += !isnan(axis_scale(values_kind(), value[i]));
    return n;
}

static int take(struct draw *d, struct seen *s, struct run_log *log, const char *label)
{
    int found = run_log_value(log, field), rc;

    s->lines++;
    if (found <= RUN_MISSING)
        return found;
    s->with_field++;
    if (found == RUN_NULL && d->kind != CURVE) /* says nothing, not even whether an array is missing */
        return 0;
    if (!d->chart && (rc = begin_chart(d, found)) != 0)
        return rc;
    if ((found == RUN_ARRAY) != (d->kind != CURVE))
        return run_log_error(log, ERR_FORMAT, found == RUN_ARRAY ? "%s is an array; --kind map or blocks draws it"
                                              : "%s is no array; --kind curve draws it", field);
    if (d->kind != BLOCKS)
        s->drawn += visible(log->value, log->values);
    return found == RUN_ARRAY ? take_array(d, s, log) : take_number(d, s, log, label);
}

/* ---- logs -------------------------------------------------------------------------------------------------------- */

static int put_blocks(struct draw *d, struct seen *s, const char *label)
{
    char *name = text_printf("%s, step %.15g", label, s->step);
    int rc = name ? chart_line(d->chart, name) : err_set(ERR_NOMEM, "no memory for a name");

    for (size_t i = 0; rc == 0 && i < s->blocks; i++)
        rc = chart_point(d->chart, (double)i, s->block[i]);
    free(name);
    return rc;
}

/* Nothing of this log would be seen: say why. */
static int nothing_drawn(const struct run_log *log, const struct seen *s)
{
    char fields[FIELDS_MAX_BYTES];
    const char *name = log->lines.in.name;

    if (log->count == 0)
        return err_set(ERR_EMPTY, "%s: no whole line in it", name);
    if (s->lines == 0)
        return err_set(ERR_EMPTY, "%s: no line between --from and --to; the last step is %.15g", name, log->step);
    if (s->with_field == 0) {
        run_log_fields(log, fields, sizeof fields);
        return err_set(ERR_EMPTY, "%s: no field %s; the last line has %s", name, field, fields);
    }
    return err_set(ERR_EMPTY, "%s: %s has no value%s", name, field, values_kind() == AXIS_LINEAR ? "" : " above 0");
}

static int end_log(struct draw *d, struct seen *s, const struct run_log *log, const char *label)
{
    if (log->cut && tool.verbose > 0)
        tool_say(&tool, "%s: line %" PRId64 " is not whole and is left out", log->lines.in.name, log->lines.number);
    if (s->blocks > 0 && at_step >= 0 && s->step != (double)at_step)
        return err_set(ERR_EMPTY, "%s: no %s of step %" PRId64 "; the nearest is %.15g", log->lines.in.name, field, at_step,
                       s->step);
    if (d->kind == BLOCKS)
        s->drawn = visible(s->block, s->blocks);
    if (s->drawn == 0 && (s->with_field == 0 || d->logs == 1))
        return nothing_drawn(log, s);
    if (s->drawn == 0 && tool.verbose >= 0)
        tool_say(&tool, "%s: left out: %s has no value%s", log->lines.in.name, field,
                 values_kind() == AXIS_LINEAR ? "" : " above 0");
    d->shown += s->drawn > 0;
    return d->kind == BLOCKS && s->drawn > 0 ? put_blocks(d, s, label) : 0;
}

static int draw_log(struct draw *d, const char *path, const char *label)
{
    struct seen s = {.step = INFINITY};
    struct run_log log;
    int rc = run_log_open(&log, path);

    while (rc == 0 && (rc = run_log_next(&log)) > 0) {
        bool inside = log.step >= (double)from && (to < 0 || log.step <= (double)to);

        rc = inside ? take(d, &s, &log, label) : 0;
    }
    if (rc == 0)
        rc = end_log(d, &s, &log, label);
    run_log_close(&log);
    free(s.block);
    return rc;
}

static int write_picture(struct draw *d, struct out *out)
{
    struct image_text text[3] = {{"Software", "log-draw " TOOL_VERSION}, {"Provenance", tool_provenance(&tool)}};
    struct image picture;
    uint8_t *png = NULL;
    size_t size;
    int rc, count = 2;

    if (title && *title)
        text[count++] = (struct image_text){"Title", title};
    if ((rc = chart_draw(d->chart, &picture)) == 0 && (rc = image_encode_png(&picture, text, count, &png, &size)) == 0 &&
        (rc = out_write(out, png, size)) == 0)
        rc = out_commit(out);
    free(png);
    image_fini(&picture);
    return rc;
}

static void check_call(void)
{
    if (log10_values && log2_values)
        tool_usage(&tool, "--log and --log2 exclude each other");
    if (to >= 0 && from > to)
        tool_usage(&tool, "--from is behind --to");
    if (strcmp(kind, "map") == 0 && tool.arg_count > 1)
        tool_usage(&tool, "a map is of one log");
}

int main(int argc, char **argv)
{
    static char *standard[] = {"-"};
    static const char *const kinds[] = {"auto", "curve", "map", "blocks"};
    struct draw d = {0};
    struct out out;
    char **path;
    int rc;

    tool_start(&tool, argc, argv);
    check_call();
    while (strcmp(kind, kinds[d.kind]) != 0)
        d.kind++;
    path = tool.arg_count ? tool.arg : standard;
    d.logs = tool.arg_count ? tool.arg_count : 1;
    if ((rc = out_open(&out, output, true)) == 0)
        rc = run_log_names(d.label, path, d.logs);
    for (int i = 0; rc == 0 && i < d.logs; i++)
        rc = draw_log(&d, path[i], d.label[i]);
    if (rc == 0 && d.shown == 0)
        rc = err_set(ERR_EMPTY, "%s: no log has a value to draw", field);
    if (rc == 0)
        rc = write_picture(&d, &out);
    out_abort(&out);
    chart_free(d.chart);
    for (int i = 0; i < d.logs; i++)
        free(d.label[i]);
    free(d.value_name);
    return tool_finish(&tool, rc);
}
