#ifndef IFUD_DAEMON_SCHEDULE_H
#define IFUD_DAEMON_SCHEDULE_H

#include <stddef.h>
#include "daemon/queue.h"

/*
 * Which queued job runs next. Jobs of one program and priority are a class, first come
 * first served; between classes these decide, in this order:
 *
 *   1. the aged priority: priority + one for every ageing_seconds since the class last
 *      had a start (or since its oldest job was queued, if that is later). A class that
 *      runs does not age, one that is passed over overtakes any priority in the end.
 *   2. the program with fewest running jobs
 *   3. the program that used least worker time (decayed: queue_shares)
 *   4. the job that was queued first
 *
 * Given:    candidates  n >= 1 of queue_candidates
 *           shares      n_shares of queue_shares; a program without one has used nothing
 *           now, ageing_seconds  s; ageing 0: priorities never age
 * Returned: index of the candidate
 * Thread: any (pure). Test: tests/daemon/test_schedule.c
 */
size_t schedule_pick(const struct queue_candidate *candidates, size_t n,
                     const struct queue_share *shares, size_t n_shares, double now,
                     double ageing_seconds);

#endif
