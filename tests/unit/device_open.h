/* SPDX-License-Identifier: MIT */
/* device_open.h -- the device that tests of models run on: the CPU, or what ARMCHAIR_TEST_DEVICE names, with all its memory
 * such that the test can look into it, and nothing left undone when a call returns. */
#ifndef TESTS_UNIT_DEVICE_OPEN_H
#define TESTS_UNIT_DEVICE_OPEN_H

#include <stdlib.h>

#include "compute/backend.h"
#include "compute/device.h"

/* Where the device is emulated: fewer cases then. */
static inline bool test_slow(void)
{
    return getenv("ARMCHAIR_TEST_SLOW") != NULL;
}

static inline int test_device_open(struct device *dev)
{
    static struct backend shared;
    const char *name = getenv("ARMCHAIR_TEST_DEVICE");
    int rc;

    setenv("CUDA_LAUNCH_BLOCKING", "1", 0);
    if ((rc = device_open(dev, name ? name : "cpu")) != 0)
        return rc;
    shared = *dev->ops;
    shared.alloc = shared.alloc_shared;
    shared.dealloc = shared.dealloc_shared;
    dev->ops = &shared;
    return 0;
}

#endif
