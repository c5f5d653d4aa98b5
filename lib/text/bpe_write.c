/* SPDX-License-Identifier: MIT */
/* bpe_write.c -- laid out as Hugging Face's library lays it out, one entry a line; merges as "a b", which all of its
 * versions read. */
#include "text/bpe_write.h"

#include <inttypes.h>
#include <stdlib.h>

#include "text/alphabet.h"
#include "text/bpe_table.h"
#include "text/normalise.h"

static const char head[] =
    "{\n"
    "  \"version\": \"1.0\",\n"
    "  \"truncation\": null,\n"
    "  \"padding\": null,\n"
    "  \"added_tokens\": [],\n";

static const char middle[] =
    "  \"post_processor\": null,\n"
    "  \"decoder\": {\n"
    "    \"type\": \"ByteLevel\",\n"
    "    \"add_prefix_space\": true,\n"
    "    \"trim_offsets\": true,\n"
    "    \"use_regex\": true\n"
    "  },\n"
    "  \"model\": {\n"
    "    \"type\": \"BPE\",\n"
    "    \"dropout\": null,\n"
    "    \"unk_token\": null,\n"
    "    \"continuing_subword_prefix\": null,\n"
    "    \"end_of_word_suffix\": null,\n"
    "    \"fuse_unk\": false,\n"
    "    \"byte_fallback\": false,\n"
    "    \"ignore_merges\": false,\n"
    "    \"vocab\": {\n";

static void write_normalizer(const struct bpe *b, FILE *f)
{
    bool nfc = b->how & NORMALISE_NFC, lower = b->how & NORMALISE_LOWER;

    if (nfc && lower)
        fputs("  \"normalizer\": {\n    \"type\": \"Sequence\",\n    \"normalizers\": [\n      {\n        \"type\": \"NFC\"\n"
              "      },\n      {\n        \"type\": \"Lowercase\"\n      }\n    ]\n  },\n", f);
    else if (nfc || lower)
        fprintf(f, "  \"normalizer\": {\n    \"type\": \"%s\"\n  },\n", nfc ? "NFC" : "Lowercase");
    else
        fputs("  \"normalizer\": null,\n", f);
}

static void write_byte_level(FILE *f, const char *indent, bool use_regex)
{
    fprintf(f, "%s  \"type\": \"ByteLevel\",\n%s  \"add_prefix_space\": false,\n%s  \"trim_offsets\": true,\n"
            "%s  \"use_regex\": %s\n", indent, indent, indent, indent, use_regex ? "true" : "false");
}

static void write_pre_tokenizer(const struct bpe *b, FILE *f)
{
    if (b->split == SPLIT_GPT2) {
        fputs("  \"pre_tokenizer\": {\n", f);
        write_byte_level(f, "  ", true);
        fputs("  },\n", f);
        return;
    }
    fprintf(f, "  \"pre_tokenizer\": {\n    \"type\": \"Sequence\",\n    \"pretokenizers\": [\n      {\n"
            "        \"type\": \"Split\",\n        \"pattern\": {\n          \"Regex\": \"%s\"\n        },\n"
            "        \"behavior\": \"Isolated\",\n        \"invert\": false\n      },\n      {\n", split_regex);
    write_byte_level(f, "      ", false);
    fputs("      }\n    ]\n  },\n", f);
}

/* A token in the byte-level alphabet, with JSON's two escapes; the alphabet has no control characters. */
static void write_token(const struct bpe *b, FILE *f, uint32_t id)
{
    for (uint32_t i = b->at[id]; i < b->at[id + 1]; i++) {
        char text[2];
        size_t size = alphabet_write(text, b->bytes + i, 1);

        if (text[0] == '"' || text[0] == '\\')
            fputc('\\', f);
        fwrite(text, 1, size, f);
    }
}

int bpe_write(const struct bpe *b, struct out *out)
{
    FILE *f = out->file;

    fputs(head, f);
    write_normalizer(b, f);
    write_pre_tokenizer(b, f);
    fputs(middle, f);
    for (uint32_t id = 0; id < b->vocab; id++) {
        fputs("      \"", f);
        write_token(b, f, id);
        fprintf(f, "\": %" PRIu32 "%s\n", id, id + 1 < b->vocab ? "," : "");
    }
    fputs(b->merges ? "    },\n    \"merges\": [\n" : "    },\n    \"merges\": [", f);
    for (uint32_t i = 0; i < b->merges; i++) {
        fputs("      \"", f);
        write_token(b, f, b->merge[i].left);
        fputc(' ', f);
        write_token(b, f, b->merge[i].right);
        fputs(i + 1 < b->merges ? "\",\n" : "\"\n", f);
    }
    fputs(b->merges ? "    ]\n  }\n}\n" : "]\n  }\n}\n", f);
    if (ferror(f))
        return err_errno(ERR_IO, "%s: cannot write", out->path ? out->path : "stdout");
    return 0;
}
