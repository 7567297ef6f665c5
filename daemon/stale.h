#ifndef IFUD_DAEMON_STALE_H
#define IFUD_DAEMON_STALE_H

#include <stdbool.h>
#include "common/base/err.h"

/*
 * Which products would be others now. After a start, and whenever the references or the
 * configuration are read anew, every done job is compared with what it would be now
 * (jobs/job_stale.h), one after another on a thread of libuv's; the loop only reads and writes
 * their rows. What is found stands in the queue (queue_stale.h), and in the log once.
 * Nothing is reduced again by itself: ifuctl reduce --stale does that.
 * Thread: the loop's. Test: tests/e2e/test_stale.c
 */
struct service;
struct stale;

int stale_open(struct service *s, struct err *err);
/* All products are to be looked at (again). */
void stale_look_anew(struct service *s);
/* Begin if that was asked for; every tick. */
void stale_tick(struct service *s);
/* Is it looking, or about to? */
bool stale_is_looking(const struct service *s);
void stale_close(struct service *s); /* after the loop has ended */

#endif
