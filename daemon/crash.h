#ifndef IFUD_DAEMON_CRASH_H
#define IFUD_DAEMON_CRASH_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * What a process that crashed has left: glibc's backtrace, one frame a line, as
 * "program(function+0x12)[0x7f...]". Thread: any. Test: tests/daemon/test_crash.c
 */

/*
 * The innermost functions that have a name, at most six, as "a < b < c"; frames of the
 * C library and of the handler above them are left out. "" if none has a name.
 */
void crash_summary(const char *backtrace, char *ret, size_t room);

/* Keep it beside the manifest: <folder>/<job>.crash.txt, replacing an older one. */
int crash_keep(const char *folder, const char *job, int attempt, const char *message,
               const char *backtrace, struct err *err);

#endif
