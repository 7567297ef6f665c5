#ifndef IFUD_DAEMON_OFFLINE_H
#define IFUD_DAEMON_OFFLINE_H

#include <stdio.h>
#include "common/base/err.h"
#include "config/config.h"

/*
 * Answer one request from the queue as it lies in the spool, whether a daemon runs or
 * not: opened for reading only, never created or migrated. Whoever can read the spool is
 * its owner. What changes something is refused, but for a backup.
 * Given:    in: a line, as the status socket takes it
 * Returned: on `out` a line, as the status socket answers; also when the answer is an
 *           error. 0, or ERR_IO if `out` fails.
 * Thread: one for a queue. Test: tests/e2e/test_ctl.c
 */
int offline_answer(const struct config *config, FILE *in, FILE *out, struct err *err);

#endif
