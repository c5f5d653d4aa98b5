/* SPDX-License-Identifier: MIT */
/* run_files.h -- run folders that tests of the training loop make, compare and remove. */
#ifndef TESTS_UNIT_RUN_FILES_H
#define TESTS_UNIT_RUN_FILES_H

#include <stdlib.h>

#include "base/io.h"

static void run_command(char *command)
{
    assert_non_null(command);
    assert_int_equal(system(command), 0);
    free(command);
}

static void remove_tree(const char *folder)
{
    run_command(text_printf("rm -r '%s'", folder));
}

static void same_file(const char *a, const char *b, const char *name)
{
    run_command(text_printf("cmp '%s/%s' '%s/%s'", a, name, b, name));
}

#endif
