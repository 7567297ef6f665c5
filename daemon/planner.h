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
 * One spec2 per science exposure and per dedicated background; one spec3 per group
 * (program, observation, target, disperser, filter) once every dither 1..NUMDTHPT has been
 * reduced on every detector that the disperser reaches, in every visit seen so far, or
 * once the group has been quiet for the configured time. An exposure that is reduced
 * after that gives a new version, which supersedes the old. Where an association names
 * the members, it alone decides (planner_association.h). Leakage exposures are kept,
 * not reduced. What a spec2 reads beside its exposure: planner_companions.h. The spectra of
 * several dispersers of one target are combined: planner_combine.c.
 * Thread: any. Test: tests/daemon/test_planner.c
 */

struct plan_rules {
    double quiet_seconds; /* an incomplete group goes after so long without news */
    double wait_seconds;  /* a spec2 goes then, so that what belongs to it can come */
    bool imprints, backgrounds; /* spec2 subtracts them */
    bool nods;                  /* nods are backgrounds of one another */
    bool linked;                /* dedicated backgrounds of the program are used */
    bool off_scene;             /* so are those that nothing links to the target */
    bool in_spec3;              /* these two are subtracted by spec3, as a spectrum */
    bool combine;               /* the spectra of a target's dispersers are combined */
};

/*
 * What the queue keeps of an exposure: base, role, group and keywords.
 * Given:    meta; name: its file name
 * Returned: *ret, but for id, sha256, state, bytes and accepted_at
 * ERR_INPUT if the disperser does not reach the detector.
 */
int planner_describe(const struct exposure_meta *meta, const char *name,
                     struct queue_exposure *ret, struct err *err);

/* Its group is that of several observations, such as "001-002"; a visit is then told by
 * observation and visit. */
void planner_join(struct queue_exposure *e, const char *observations);

enum plan_verb {
    PLAN_NOTHING,
    PLAN_SUPERSEDE_EXPOSURE, /* .exposure: rewritten under the same name */
    PLAN_ADD_SPEC2,          /* .exposure; waiting */
    PLAN_ADD_JOB,            /* the next version of the group's recipe, waiting */
    PLAN_QUEUE,              /* .job, with .companions; .inputs if it is no spec2 */
    PLAN_SUPERSEDE,          /* .job */
    PLAN_SET_COMPANIONS,     /* .job, with .companions; it stays as it is */
    PLAN_AGAIN,              /* .job is superseded, .exposure gets the next version */
    PLAN_HOLD                /* .job waits and can never go: .why */
};

struct plan_step {
    enum plan_verb verb;
    int64_t exposure, job;
    int64_t *inputs; /* jobs in the order of their names; plan_step_done */
    size_t n_inputs;
    struct queue_companion *companions;
    size_t n_companions;
    char product[QUEUE_NAME]; /* with companions: name of the products; "": the base */
    char why[512]; /* for the event; PLAN_NOTHING: what the group waits for, or "" */
    double quiet_since; /* PLAN_NOTHING: quietness since then will release it, or 0 */
    double look_at;     /* PLAN_NOTHING of a spec2: when it may go, or 0 */
};

/*
 * The target of a spec3 group: its name without "_<disperser>-<filter>", into ret[QUEUE_NAME].
 * False if it does not end so. Groups of one target differ in this end only, whether their
 * headers name them or an association.
 */
bool planner_target(const char *group, char *ret);

/*
 * The next thing to do for what came under one base name: the newest replaces the older
 * ones, and one that is reduced gets its spec2. Where no rule gives that companions it is
 * queued once no older version runs. Apply it, load again and ask again, until
 * PLAN_NOTHING. Cost: O(n).
 */
void planner_base(const struct queue_member *members, size_t n,
                  const struct plan_rules *rules, struct plan_step *ret);

/*
 * The next thing to do for a group's spec3 or combine, in the same manner. Cost: O(n log n).
 * Given: g; now in seconds.
 */
int planner_group(const struct queue_group *g, const struct plan_rules *rules,
                  double now, struct plan_step *ret, struct err *err);
void plan_step_done(struct plan_step *step);

#endif
