#ifndef IFUD_DAEMON_PLANNER_COMPANIONS_H
#define IFUD_DAEMON_PLANNER_COMPANIONS_H

#include "daemon/planner.h"

/*
 * What a job reads beside its inputs (planner_choice.h), and when a spec2 may go without
 * waiting for more of it. Pure.
 *
 * A spec2 goes once nothing has come to its group or its program's backgrounds for
 * wait_seconds, and all nod positions are there or nothing has come for quiet_seconds.
 * What comes later is added to a job that has not run; one that is done is superseded by
 * its next version, after the same wait, but only for what was accepted after they were chosen: neither another
 * configuration nor a copy that is gone makes done work undone.
 * Thread: any. Test: tests/daemon/test_planner_companions.c
 */

bool planner_wants_companions(const struct plan_rules *rules);
bool planner_is_reduced(const struct queue_member *m); /* has a spec2 of its own */

/* When something last came that concerns a group's spec2 jobs. Cost: O(n). */
double planner_news(const struct queue_group *g);

/*
 * The next step for one member's spec2: PLAN_QUEUE, PLAN_SET_COMPANIONS, PLAN_AGAIN or
 * PLAN_NOTHING, then with .why and .look_at if it waits. One step is enough: steps of
 * several members do not depend on one another. news: planner_news(g).
 * Returned: *ret, released with plan_step_done.
 */
int planner_spec2(const struct queue_group *g, const struct queue_member *m,
                  const struct plan_rules *rules, double news, double now,
                  struct plan_step *ret, struct err *err);

/* What a look at the group has to say of its members: offer and without_imprint of *ret. */
void planner_offer(const struct queue_group *g, const struct plan_rules *rules,
                   struct queue_plan *ret);

/*
 * Backgrounds of the group's spec3: their x1d, where rules->in_spec3 says so.
 * Returned: *ret_n companions in ret (room: g->n_neighbours); *ret_pending: how many are
 * still to be reduced; *ret_news: one is not read by the newest spec3.
 */
void planner_spectra(const struct queue_group *g, const struct plan_rules *rules,
                     struct queue_companion *ret, size_t *ret_n, size_t *ret_pending,
                     bool *ret_news);

#endif
