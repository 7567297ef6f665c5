#ifndef IFUD_DAEMON_LOCK_H
#define IFUD_DAEMON_LOCK_H

#include "common/base/err.h"

/*
 * One daemon per spool. The lock is a flock on <spool>/lock, whose text is the daemon's
 * process number. Child processes inherit the descriptor, so the lock lasts until the
 * last of them is dead, too: a new daemon never works beside a job of the old one.
 * Thread: any. Test: tests/daemon/test_lock.c
 */

/*
 * Take the lock. If the process that the file names lives, it is refused at once; if
 * only its children are left, they are waited for.
 * Given:    path; patience, how long to wait for the children (s).
 * Returned: *ret_fd, close-on-exec; closing it gives the lock back.
 */
int lock_take(const char *path, double patience, int *ret_fd, struct err *err);

#endif
