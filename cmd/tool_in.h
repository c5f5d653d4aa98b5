/* SPDX-License-Identifier: MIT */
/* tool_in.h -- what the parts of tool.h share. */
#ifndef CMD_TOOL_IN_H
#define CMD_TOOL_IN_H

#include "cmd/tool.h"

/* Exits 2 where text is not a value of this option; strings and lists borrow it.  text NULL: a flag that was given. */
void tool_set_value(const struct tool *tool, const struct tool_option *o, const char *text);
/* The value as text; false for a string that was not set. */
bool tool_show_value(const struct tool_option *o, char *text, size_t size);

void tool_start_clock(void);
/* Once all options are set. */
void tool_write_provenance(const struct tool *tool);

#endif
