#ifndef IFUD_DAEMON_PLANNER_H
#define IFUD_DAEMON_PLANNER_H

#include <stdbool.h>
#include <stdint.h>
#include "common/base/err.h"
#include "common/data/exposure.h"
#include "daemon/queue.h"

/*
 * From rows to jobs. Pure: the plan follows from the rows and the time, so that nothing
 * but the queue has to survive a stop.
 *
 * One spec2 per science exposure; one spec3 per group (program, observation, target,
 * disperser, filter) once every dither 1..NUMDTHPT has been reduced on every detector
 * that the disperser reaches, in every visit seen so far, or once the group has been
 * quiet for the configured time. An exposure that is reduced after that gives a new
 * version, which supersedes the old. Leakage and background exposures are kept, not
 * reduced. Thread: any. Test: tests/daemon/test_planner.c
 */

/*
 * What the queue keeps of an exposure: base, role, group and keywords.
 * Given:    meta; name: its file name
 * Returned: *ret, but for id, sha256, state, bytes and accepted_at
 * ERR_INPUT if the disperser does not reach the detector.
 */
int planner_describe(const struct exposure_meta *meta, const char *name,
                     struct queue_exposure *ret, struct err *err);

enum plan_verb {
    PLAN_NOTHING,
    PLAN_SUPERSEDE_EXPOSURE, /* .exposure: rewritten under the same name */
    PLAN_ADD_SPEC2,          /* .exposure; waiting */
    PLAN_ADD_SPEC3,          /* the group's next version, waiting */
    PLAN_QUEUE,              /* .job, with .inputs if it is a spec3 */
    PLAN_SUPERSEDE           /* .job */
};

struct plan_step {
    enum plan_verb verb;
    int64_t exposure, job;
    int64_t *inputs; /* spec2 jobs in the order of their names; plan_step_done */
    size_t n_inputs;
    char why[512]; /* for the event; PLAN_NOTHING: what the group waits for, or "" */
    double quiet_since; /* PLAN_NOTHING: quietness since then will release it, or 0 */
};

/*
 * The next thing to do for what came under one base name: the newest replaces the older
 * ones, and a science exposure gets its spec2, which is queued once no older version runs.
 * Apply it, load again and ask again, until PLAN_NOTHING. Cost: O(n).
 */
void planner_base(const struct queue_member *members, size_t n, struct plan_step *ret);

/*
 * The next thing to do for a group's spec3, in the same manner. Cost: O(n log n).
 * Given: g; now and quiet_seconds in seconds.
 */
int planner_group(const struct queue_group *g, double now, double quiet_seconds,
                  struct plan_step *ret, struct err *err);
void plan_step_done(struct plan_step *step);

#endif
