#ifndef IFUD_DAEMON_PLAN_H
#define IFUD_DAEMON_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include "common/base/err.h"
#include "daemon/planner.h"

/*
 * Applying the planner to the queue. An exposure's own job is planned with it, at a cost
 * that does not depend on the size of its group; groups in which anything has changed are
 * marked by the queue and looked at together, later.
 * Thread: the queue's. Test: tests/daemon/test_planner.c
 */

/* What follows from an exposure for its base name: see planner_base. Joins a transaction
 * that is open. */
int plan_exposure(struct queue *q, const struct plan_rules *rules, int64_t exposure,
                  double now, struct err *err);

/*
 * Look at the groups that are to be looked at, for about budget_seconds, in transactions
 * of its own. Rules whose seconds are 0: what waits for quietness goes at once.
 * Returned: *ret_all, whether none is left. A group that fails does not keep the others
 * waiting; the first failure is returned.
 */
int plan_groups(struct queue *q, const struct plan_rules *rules, double now,
                double budget_seconds, bool *ret_all, struct err *err);

#endif
