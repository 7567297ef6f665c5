#ifndef IFUD_DAEMON_SERVICE_H
#define IFUD_DAEMON_SERVICE_H

#include <stdbool.h>
#include "common/base/err.h"
#include "config/config.h"
#include "daemon/executor.h"

/*
 * The daemon's loop: inbox -> spool -> queue -> executor, and the status socket.
 *
 * An exposure: settled file -> copy in the spool, durable -> row, jobs planned, one
 * commit -> the inbox name goes. A job: attempt committed -> runs -> products published
 * -> row and what follows from it, one commit. Everything else follows from the rows, so
 * a stop between any two of these loses nothing.
 *
 * SIGTERM, SIGINT: take nothing more in, stop after the running stages; again: stop
 * between two pieces of them, and end without what does not (signals.c). SIGHUP: read the
 * configuration, list the inbox and the references anew. SIGUSR1: open the log file anew.
 * Thread: the caller's, which becomes the loop's. Test: tests/e2e/test_daemon.c
 */

/*
 * Run until told to stop, or with `once` until the inbox is empty and nothing is left to
 * run (groups that wait are then combined with what is there).
 * Returned: *ret_held: jobs that are held or quarantined at the end.
 */
int service_run(const struct config *config, executor_run run, bool once,
                long *ret_held, struct err *err);

#endif
