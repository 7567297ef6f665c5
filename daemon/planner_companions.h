#ifndef IFUD_DAEMON_PLANNER_COMPANIONS_H
#define IFUD_DAEMON_PLANNER_COMPANIONS_H

#include "daemon/planner.h"

/*
 * Which leakage and background exposures belong to a job, and when a spec2 may go without
 * waiting for more of them. Pure.
 *
 * All come through the same disperser and filter, on the same detector. Chosen are:
 *   imprint     every leakage exposure of the observation; if it has none, of the program;
 *               and those of the observations of its backgrounds. The stage matches them.
 *   background  the other positions of a nod pattern; else of the program's observations
 *               of dedicated backgrounds the nearest in time and on the sky; else, where
 *               the rules say so, the nearest observation of blank sky that nothing links
 *               to the target. The grating wheel stands as for the exposure (peer's
 *               tolerance).
 * A dedicated background gets leakage exposures only.
 *
 * A spec2 goes once nothing has come to its group or its program's backgrounds for
 * wait_seconds, and all nod positions are there or nothing has come for quiet_seconds.
 * What comes later is added to a job that has not run; one that is done is superseded by
 * its next version, after the same wait, but only for what was accepted after they were chosen: neither another
 * configuration nor a copy that is gone makes done work undone.
 * Thread: any. Test: tests/daemon/test_planner_companions.c
 */

/* The peer's tolerance of GWA_XTIL and GWA_YTIL (sensor volts). */
#define PLANNER_TILT_TOLERANCE 1e-8

/* Companions of one role of a job; the nearest in time are taken. */
#define PLANNER_COMPANIONS 32

bool planner_wants_companions(const struct plan_rules *rules);
bool planner_is_reduced(const struct queue_member *m); /* has a spec2 of its own */

/* Is a target's name that of empty sky ("SKY", "BKG", "blank field", ...)? */
bool planner_says_blank(const char *target);

/* The order in which backgrounds are preferred: days / 10 and degrees / 2, added
 * in quadrature. */
double planner_distance(double days, double degrees);

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
