#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A test program once more, on the emulated GPU.  tests/run.sh links to this file as $BUILD/emulator/ops/NAME.
test=${0#"$BUILD/emulator/"}
ARMCHAIR_TEST_SLOW=1 EMULATOR_GUARD=0 ARMCHAIR_TEST_DEVICE=cuda ARMCHAIR_CUDA=$BUILD/emulator/libarmchair_cuda.so exec "$BUILD/tests/$test"
