/* SPDX-License-Identifier: MIT */
#include "base/signals.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t stop_flag, save_flag;

static void on_stop(int number)
{
    if (number == SIGINT && stop_flag) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
    stop_flag = 1;
}

static void on_save(int number)
{
    (void)number;
    save_flag = 1;
}

void signals_install(void)
{
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    struct sigaction save = {.sa_handler = on_save, .sa_flags = SA_RESTART};

    sigemptyset(&stop.sa_mask);
    sigemptyset(&save.sa_mask);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGUSR1, &save, NULL);
}

bool signals_stop_asked(void)
{
    return stop_flag != 0;
}

bool signals_save_asked(void)
{
    bool asked = save_flag != 0;

    save_flag = 0;
    return asked;
}
