#ifndef IFUD_DAEMON_INBOX_CLEAR_H
#define IFUD_DAEMON_INBOX_CLEAR_H

#include <sys/stat.h>
#include "common/base/err.h"

/*
 * Names of accepted files leave the inbox, and nothing that took their place does.
 * Thread: any. Test: tests/daemon/test_inbox.c
 */
#define INBOX_TAKEN_PREFIX ".ifud-taken-"

/*
 * Remove `name` in the folder `dir` if it is the file `st`.
 * Returned: 0, also if the name is gone; ERR_INPUT: another file has the name, and keeps
 *           it; ERR_IO: it cannot be removed
 * Between a look and a removal a new file may take the name. So the name is first moved to
 * INBOX_TAKEN_PREFIX<name>, and removed only if that is the file.
 */
int inbox_name_clear(int dir, const char *name, const struct stat *st, struct err *err);

/* A name that a death left moved: its file gets its old name back, or, if another file has
 * that, one with a number before it. It comes in again and is found to be known. */
void inbox_name_back(int dir, const char *name);

#endif
