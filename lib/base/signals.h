/* SPDX-License-Identifier: MIT */
/* signals.h -- requests to stop or to save, taken at a step boundary.
 *
 * SIGTERM and the first SIGINT ask to save and stop (exit status 75); SIGUSR1 asks to save and go on; a second SIGINT
 * ends the process at once.  Handlers only set flags.  Only trainers install them: filters keep the defaults.
 */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <stdbool.h>

void signals_install(void);
bool signals_stop_asked(void);
bool signals_save_asked(void); /* and forget the request */

#endif
