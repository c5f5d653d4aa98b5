/* SPDX-License-Identifier: MIT */
/* tool.h -- what all programs share: one option table, --help, --version, --config, exit statuses.
 *
 * A program declares
 *
 *     static const char *output;
 *     static int64_t count = 1;
 *     static const struct tool_option options[] = {
 *         TOOL_OUTPUT(output),
 *         {'n', "count", OPT_INT, "N", "candidates of each caption", &count, 1, 1e6, NULL},
 *         TOOL_END
 *     };
 *     static struct tool tool = {.name = "prior-sample", .args = "[FILE]", .what = "draw image tokens for captions",
 *                                .options = options, .min_args = 0, .max_args = 1};
 *
 * and main calls tool_start(&tool, argc, argv), works, and returns tool_finish(&tool, rc).
 * The initial value of a destination is the default that --help shows.  --config FILE holds lines "word = value"
 * (# starts a comment); the command line wins over it, and it over a --preset (tool_start_presets).  -q, -v, --help, --version and --config belong to every program.
 *
 * Exit status   0 done; 1 failed; 2 called wrongly; 75 stopped on request after saving (ERR_STOPPED)
 */
#ifndef CMD_TOOL_H
#define CMD_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/pairs.h"

enum tool_type {
    OPT_FLAG,   /* to: bool */
    OPT_INT,    /* to: int64_t, min..max; suffixes K M G (1000) and Ki Mi Gi (1024) are understood */
    OPT_REAL,   /* to: double, min..max, finite */
    OPT_STRING, /* to: const char * */
    OPT_CHOICE, /* to: const char *, one of choices "a|b|c[:N]"; [:N]: a whole number may follow */
    OPT_LIST    /* to: struct tool_list, may be given again and again */
};

struct tool_list {
    const char **item; /* owned array of borrowed strings */
    int count;
};

struct tool_option {
    char letter;          /* 0: none */
    const char *word;     /* without the two dashes; NULL ends the table */
    enum tool_type type;
    const char *arg;      /* what --help calls the argument; NULL for a flag */
    const char *help;     /* one line, lower case, no full stop */
    void *to;             /* destination; its value before tool_start is the default */
    double min, max;      /* OPT_INT, OPT_REAL: allowed range, both ends included */
    const char *choices;  /* OPT_CHOICE */
};

struct tool {
    const char *name;     /* of the program */
    const char *args;     /* synopsis of what follows the options, "[FILE...]"; "" for nothing */
    const char *what;     /* one line for --help */
    const struct tool_option *options;
    int min_args, max_args; /* arguments after the options; max_args -1: any number */
    int verbose;          /* out: count of -v minus count of -q */
    char **arg;           /* out: the arguments, argv's own */
    int arg_count;        /* out */
    int64_t skipped;      /* set by the program: records left out under -k, said in the last line */
    bool lists;           /* an argument @FILE stands for the lines of FILE: more names than a command line holds */
};

#define TOOL_OUTPUT(to)  {'o', "output", OPT_STRING, "FILE", "write to FILE instead of stdout", &(to), 0, 0, 0}
#define TOOL_MODEL(to, help) {'m', "model", OPT_STRING, "PATH", help, &(to), 0, 0, 0}
#define TOOL_THREADS(to) {'j', "threads", OPT_INT, "N", "threads; 0: all processors", &(to), 0, 4096, 0}
#define TOOL_DEVICE(to)  {0, "device", OPT_CHOICE, "DEVICE", "where to compute", &(to), 0, 0, "cpu|cuda[:N]"}
#define TOOL_PRECISION(to, choices) \
    {0, "precision", OPT_CHOICE, "NAME", "what products round their factors to", &(to), 0, 0, choices}
#define TOOL_SEED(to)    {0, "seed", OPT_INT, "N", "seed of all random choices", &(to), 0, 9007199254740992.0, 0}
#define TOOL_KEEP(to)    {'k', "keep-going", OPT_FLAG, 0, "leave out bad records, count them, go on", &(to), 0, 0, 0}
#define TOOL_REJECTS(to) {0, "rejects", OPT_STRING, "FILE", "list what -k left out, as JSON lines", &(to), 0, 0, 0}
#define TOOL_SUMMARY(to) {0, "summary", OPT_STRING, "FILE", "when done, write counts and seconds to FILE as JSON", &(to), 0, 0, 0}
#define TOOL_PICTURE_LIMITS(pixels, bytes) \
    {0, "max-pixels", OPT_INT, "N", "a picture of more pixels is a bad record", &(pixels), 1, 4294967296.0, 0}, \
    {0, "max-bytes", OPT_INT, "N", "a picture file of more bytes is a bad record", &(bytes), 1, PAIRS_MEMBER_MAX, 0}
#define TOOL_FORCE(to)   {0, "force", OPT_FLAG, 0, "go on where digests differ", &(to), 0, 0, 0}
#define TOOL_END         {0, 0, OPT_FLAG, 0, 0, 0, 0, 0, 0}

#define TOOL_VERSION "0.1"

/* Parse; prints help or version and exits 0; exits 2 with one line when called wrongly. */
void tool_start(struct tool *tool, int argc, char **argv);

/* The same for a program with an option "preset" (OPT_CHOICE, its destination a const char * that names the default).
 * The chosen preset's lines "word = value" stand for defaults: --config and the command line win over them. */
struct tool_preset {
    const char *name;     /* NULL ends the list */
    const char *settings; /* "hid = 256\nblocks = 2" */
};

void tool_start_presets(struct tool *tool, const struct tool_preset *presets, int argc, char **argv);

/* Exit 2 with "name: reason"; for what the table cannot check. */
_Noreturn void tool_usage(const struct tool *tool, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "name: text" on stderr unless quiet (-q). */
void tool_say(const struct tool *tool, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line of --dry-run on stdout: name, tab, number, tab, unit; bytes also as "45.8 GiB" behind another tab. */
void tool_plan(const char *name, int64_t number, const char *unit);

/* --summary: {"program", "version", "seconds" since tool_start, then the counts} as one line of JSON.  path NULL: nothing is
 * written.  Called once everything else is whole, so the file says that the program did its work. */
struct tool_count {
    const char *word;     /* NULL ends the list */
    int64_t number;
};

must_check int tool_summary(const struct tool *tool, const char *path, const struct tool_count *counts);

/* Print the recorded reason if rc < 0, flush and check stdout, say how many records were skipped; the exit status. */
int tool_finish(struct tool *tool, int rc);

/* Name on stderr the sources that were not read to their end under -k. */
void tool_cut_sources(const struct tool *tool, const struct rejects *r);

/* "name version options...": the provenance line of this call, without paths of outputs or threads.  Owned by tool.c. */
const char *tool_provenance(const struct tool *tool);

/* The resolved options as a JSON object text (caller frees), for a run's config.json. */
char *tool_config_json(const struct tool *tool);

#endif
