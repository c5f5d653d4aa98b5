/* SPDX-License-Identifier: MIT */
/* dvae_presets.h -- the defaults of dvae-train.
 *
 *   openai   the published model and the paper's schedules (section 2.1, appendix A.2); no clipping is mentioned there
 *   small    drawings of 32 pixels on two cores in minutes
 *   tiny     seconds; learns next to nothing
 */
#ifndef CMD_DVAE_PRESETS_H
#define CMD_DVAE_PRESETS_H

#include "cmd/tool.h"

static const struct tool_preset presets[] = {
    {"openai", "size = 256\nvocab = 8192\nhid = 256\ninit = 128\nblocks = 2\ndowns = 3\n"
               "steps = 3000000\nbatch = 512\nmicro = 8\nlr = 1e-4\nlr-end = 1.25e-6\nlr-over = 1200000\n"
               "beta = 6.6\nbeta-steps = 5000\ntau = 1\ntau-end = 0.0625\ntau-steps = 150000\naverage = 0.999\nflip = true\n"
               "log-every = 100\npicture-every = 5000\nsave-every = 5000\nvalidate-every = 5000\n"},
    {"small", "size = 32\nvocab = 256\nhid = 32\ninit = 32\nblocks = 1\ndowns = 2\n"
              "steps = 6000\nbatch = 32\nlr = 3e-3\nlr-end = 1e-5\nlr-over = -1\nwarmup = 100\n"
              "beta = 1\nbeta-steps = 500\ntau = 1\ntau-end = 0.0625\ntau-steps = 4000\naverage = 0.99\nclip = 1\ndither = 0.15\n"
              "log-every = 100\npicture-every = 1000\nsave-every = 1000\nvalidate-every = 1000\n"},
    {"tiny", "size = 16\nvocab = 32\nhid = 8\ninit = 8\nblocks = 1\ndowns = 2\n"
             "steps = 20\nbatch = 8\nlr = 3e-3\nlr-end = 1e-5\nlr-over = -1\nwarmup = 5\n"
             "beta = 1\nbeta-steps = 10\ntau = 1\ntau-end = 0.0625\ntau-steps = 20\naverage = 0.9\nclip = 1\ndither = 0.15\n"
             "log-every = 10\npicture-every = 20\nsave-every = 10\nvalidate-every = 20\n"},
    {NULL, NULL}};

#endif
