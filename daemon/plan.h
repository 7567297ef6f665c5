#ifndef IFUD_DAEMON_PLAN_H
#define IFUD_DAEMON_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include "common/base/err.h"
#include "daemon/queue.h"

/*
 * Applying the planner to the queue. An exposure's own job is planned with it, at a cost
 * that does not depend on the size of its group; groups in which anything has changed are
 * marked by the queue and looked at together, later.
 * Thread: the queue's. Test: tests/daemon/test_planner.c
 */

/* What follows from an exposure for its base name: see planner_base. Joins a transaction
 * that is open. */
int plan_exposure(struct queue *q, int64_t exposure, double now, struct err *err);

/*
 * Look at the groups that are to be looked at, for about budget_seconds, in transactions
 * of its own. quiet_seconds: 0 combines what is there.
 * Returned: *ret_all, whether none is left. A group that fails does not keep the others
 * waiting; the first failure is returned.
 */
int plan_groups(struct queue *q, double now, double quiet_seconds,
                double budget_seconds, bool *ret_all, struct err *err);

#endif
