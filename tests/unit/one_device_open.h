/* SPDX-License-Identifier: MIT */
/* one_device_open.h -- one device for all tests of a program, opened and closed by its group, and calls that must not fail. */
#ifndef TESTS_UNIT_ONE_DEVICE_OPEN_H
#define TESTS_UNIT_ONE_DEVICE_OPEN_H

#include "base/err.h"
#include "device_open.h"

static struct device device;

static int open_device(void **state)
{
    (void)state;
    return test_device_open(&device);
}

static int close_device(void **state)
{
    (void)state;
    device_close(&device);
    return 0;
}

static void ok(int rc)
{
    if (rc != 0)
        fail_msg("%s", err_text());
}

#endif
