#ifndef IFUD_DAEMON_PLANNER_ASSOCIATION_H
#define IFUD_DAEMON_PLANNER_ASSOCIATION_H

#include "daemon/planner.h"

/*
 * Exposures that a spec2 association names: it alone says what is taken off, and a spec2
 * waits until all of that is there, or an operator lets its group go on. Pure.
 * Thread: any. Test: tests/daemon/test_planner_association.c
 */

/*
 * The next step for one member whose m->named is set, as planner_spec2: also PLAN_HOLD if
 * members cannot go together. Returned: *ret, released with plan_step_done.
 */
int planner_named_spec2(const struct queue_group *g, const struct queue_member *m,
                        struct plan_step *ret, struct err *err);

/* Does an association take backgrounds off this exposure in spec2? */
bool planner_names_background(const struct queue_group *g,
                              const struct queue_member *m);

#endif
