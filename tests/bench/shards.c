/* SPDX-License-Identifier: MIT */
/* shards.c -- shard-pack, tok-check, tok-dump and tok-load against cp, wc and zlib's CRC-32 of the same bytes, and the start of
 * training over many shards.
 *
 *   build/tests/bench/shards [PAIRS [FOLDER]]
 *
 * PAIRS pairs of 30 + 1024 tokens are written under FOLDER (TMPDIR, else /tmp).  The works take turns, ROUNDS times, each on
 * files in the page cache and with its old output gone; the best of each counts.  BUILD: the build folder.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/io.h"
#include "base/progress.h"
#include "base/rng.h"
#include "format/tok_bytes.h"
#include "train/order.h"

enum { ROUNDS = 5, TEXT = 30, CODES = 1024, SHARDS = 10000, SHARD_PAIRS = 25000, READS = 20000 };

static void must(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "shards: %s\n", err_text());
    exit(1);
}

static void must_run(const char *command)
{
    if (system(command) == 0)
        return;
    fprintf(stderr, "shards: failed: %s\n", command);
    exit(1);
}

/* ---- tokens ----------------------------------------------------------------------------------------------------- */

static struct tok_header header_of(enum tok_kind kind)
{
    struct tok_header h = {.kind = kind};

    if (kind & TOK_TEXT) {
        h.text_vocab = 16384;
        h.text_slots = 256;
    }
    if (kind & TOK_IMAGE) {
        h.image_vocab = 8192;
        h.grid_h = h.grid_w = 32;
    }
    return h;
}

static void make_tokens(const char *path, enum tok_kind kind, int64_t first, int64_t count, bool shard)
{
    struct tok_header h = header_of(kind);
    uint16_t token[CODES];
    struct tok_writer *w;
    struct out out;
    char key[32];

    must(out_open(&out, path, true));
    must(tok_create(&w, &out, &h, "tests/bench/shards", shard));
    for (int64_t i = 0; i < count; i++) {
        uint64_t state = (uint64_t)i;
        int size = snprintf(key, sizeof key, "%09" PRId64, first + (kind == TOK_TEXT ? i : count - 1 - i));

        for (int t = 0; t < CODES; t++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            token[t] = (uint16_t)(state >> 51);
        }
        must(tok_put(w, &(struct tok_record){.key = key, .key_size = (uint32_t)size, .text = token, .image = token,
                                             .text_count = kind & TOK_TEXT ? TEXT : 0,
                                             .image_count = kind & TOK_IMAGE ? CODES : 0}));
    }
    must(tok_end(w));
    must(out_commit(&out));
}

/* ---- streams ---------------------------------------------------------------------------------------------------- */

enum { CP, CP_SYNC, PACK, PACK_LITTLE, REPACK, CRC, CHECK, WC, CP_LINES, DUMP, LOAD, WORKS };

struct work {
    const char *name;
    const char *input;   /* files whose bytes count */
    const char *command; /* NULL: zlib */
    int against[2];      /* yardsticks; itself: none */
    double best;
};

#define TOKENS "text.tok image.tok"

static struct work works[WORKS] = {
    [CP] = {"cp", TOKENS, "cp text.tok image.tok copy", {CP, CP}, 0},
    [CP_SYNC] = {"cp and sync", TOKENS, "cp text.tok image.tok copy && sync copy/*", {CP_SYNC, CP_SYNC}, 0},
    [PACK] = {"shard-pack", TOKENS, "shard-pack -q --text text.tok --image image.tok -o copy/%06d.shard", {CP_SYNC, CP}, 0},
    [PACK_LITTLE] = {"shard-pack --memory 64Mi", TOKENS,
                     "shard-pack -q --memory 64Mi --text text.tok --image image.tok -o copy/%06d.shard", {CP_SYNC, CP}, 0},
    [REPACK] = {"shard-pack of a shard", "all.shard", "shard-pack -q all.shard -o copy/%06d.shard", {CP_SYNC, CP}, 0},
    [CRC] = {"crc32 of zlib", "all.shard", NULL, {CRC, CRC}, 0},
    [CHECK] = {"tok-check", "all.shard", "tok-check -q all.shard", {CRC, CP}, 0},
    [WC] = {"wc", "all.json", "wc all.json >copy/out", {WC, WC}, 0},
    [CP_LINES] = {"cp of JSON lines", "all.json", "cp all.json copy", {CP_LINES, CP_LINES}, 0},
    [DUMP] = {"tok-dump, lines made", "all.json", "tok-dump all.shard >copy/out", {WC, CP_LINES}, 0},
    [LOAD] = {"tok-load, lines read", "all.json", "tok-load all.json >copy/out", {WC, CP_LINES}, 0},
};

static double size_of(const char *files)
{
    char list[256], *save, *name = list;
    struct stat st;
    double sum = 0;

    snprintf(list, sizeof list, "%s", files);
    for (name = strtok_r(list, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
        if (stat(name, &st) != 0)
            exit(1);
        sum += (double)st.st_size;
    }
    return sum;
}

static void sum_file(const char *path)
{
    static uint8_t block[256 << 10];
    uLong crc = 0;
    struct in in;
    int64_t n;

    must(in_open(&in, path));
    while ((n = in_read(&in, block, sizeof block)) > 0)
        crc = crc32_z(crc, block, (size_t)n);
    in_close(&in);
    if (n < 0 || crc == 1)
        exit(1);
}

static double time_of(const struct work *w)
{
    double start;

    must_run("rm -rf copy && mkdir copy && sync .");
    start = clock_s();
    if (w->command)
        must_run(w->command);
    else
        sum_file(w->input);
    return clock_s() - start;
}

static void bench_streams(int64_t pairs)
{
    make_tokens("text.tok", TOK_TEXT, 0, pairs, false);
    make_tokens("image.tok", TOK_IMAGE, 0, pairs, false);
    must_run("shard-pack -q --text text.tok --image image.tok -o all.shard && tok-dump all.shard -o all.json");
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < WORKS; i++) {
            double s = time_of(&works[i]);

            if (works[i].best == 0 || s < works[i].best)
                works[i].best = s;
        }
    printf("%" PRId64 " pairs of %d + %d tokens, best of %d\n", pairs, TEXT, CODES, ROUNDS);
    printf("%-26s %8s %8s %8s\n", "", "MB", "ms", "MB/s");
    for (int i = 0; i < WORKS; i++) {
        double mb = size_of(works[i].input) * 1e-6, rate = mb / works[i].best;

        printf("%-26s %8.1f %8.1f %8.0f", works[i].name, mb, 1e3 * works[i].best, rate);
        for (int k = 0; k < 2; k++) {
            const struct work *by = &works[works[i].against[k]];

            if (by != &works[i])
                printf("%5.0f %% of %s", 100 * rate / (size_of(by->input) * 1e-6 / by->best), by->name);
        }
        printf("\n");
    }
}

/* ---- many shards ------------------------------------------------------------------------------------------------ */

/* The shards' headers, indices and ends are whole and all different; their blocks are holes. */
static void make_hollow(const char *path, const uint8_t *tail, size_t tail_size, int number)
{
    struct tok_header h = header_of(TOK_PAIR);
    struct tok_end_record e;
    struct tok_part part;
    uint8_t *bytes, end[TOK_END_SIZE];
    char line[100];
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0666);

    snprintf(line, sizeof line, "tests/bench/shards, archive %d of a job array", number);
    must(tok_header_encode(&bytes, &part, &h, line, true));
    must(tok_end_decode(&e, tail + tail_size - TOK_END_SIZE));
    e.header_crc = part.crc;
    tok_end_encode(end, &e);
    if (fd < 0 || pwrite(fd, bytes, part.size, 0) != (ssize_t)part.size ||
        pwrite(fd, tail, tail_size - TOK_END_SIZE, (off_t)e.index_at) < 0 ||
        pwrite(fd, end, TOK_END_SIZE, (off_t)e.size - TOK_END_SIZE) < 0 || close(fd) != 0) {
        perror(path);
        exit(1);
    }
    free(bytes);
}

static double resident_mb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        return 0;
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) * 1e-6;
}

static void bench_start(void)
{
    static char name[SHARDS][32];
    static const char *path[SHARDS];
    struct shard_set *set;
    uint8_t *whole, *tail;
    struct tok_end_record e;
    size_t size;
    double start, opened, before;
    uint64_t n, sum = 0;

    make_tokens("model.shard", TOK_PAIR, 0, SHARD_PAIRS, true);
    must(file_read("model.shard", 1 << 30, (char **)&whole, &size));
    must(tok_end_decode(&e, whole + size - TOK_END_SIZE));
    tail = whole + e.index_at;
    must_run("rm -rf many && mkdir many");
    for (int i = 0; i < SHARDS; i++) {
        snprintf(name[i], sizeof name[i], "many/%06d.shard", i);
        path[i] = name[i];
        make_hollow(path[i], tail, size - e.index_at, i);
    }
    free(whole);
    before = resident_mb();
    start = clock_s();
    must(shard_set_open(&set, path, SHARDS, false));
    opened = clock_s() - start;
    n = shard_set_count(set);
    printf("%d shards of %d pairs: opened in %.0f ms, %.1f MB more in memory\n", SHARDS, SHARD_PAIRS, 1e3 * opened,
           resident_mb() - before);
    start = clock_s();
    for (uint64_t i = 0; i < READS; i++)
        sum += order_example(1, n, i) & 1;
    printf("order of %" PRIu64 " pairs: %.0f ns a position, no list (%" PRIu64 " odd)\n", n, (clock_s() - start) / READS * 1e9, sum);
    shard_set_close(set);
}

int main(int argc, char **argv)
{
    int64_t pairs = argc > 1 ? atoll(argv[1]) : 100000;
    const char *base = argc > 2 ? argv[2] : getenv("TMPDIR"), *build = getenv("BUILD");
    char *folder = text_printf("%s/shards.XXXXXX", base ? base : "/tmp"), *bin = realpath(build ? build : "build", NULL);
    char *search = text_printf("%s/bin:%s", bin, getenv("PATH")), *clean;

    setenv("PATH", search, 1);
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        perror(folder);
        return 1;
    }
    bench_streams(pairs);
    bench_start();
    clean = text_printf("rm -rf %s", folder);
    must_run(clean);
    free(clean);
    free(search);
    free(folder);
    free(bin);
    return 0;
}
