#include "daemon/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "daemon/messages.h"
#include "daemon/planner_companions.h"
#include "daemon/queue_associations.h"
#include "daemon/queue_find.h"

#define BATCH 64 /* groups that share a commit */

static int add_job(struct queue *q, const struct queue_job *job, double now,
                   struct err *err)
{
    struct queue_job row;
    int code = queue_add_job(q, job, now, &row, err);
    if (!code) {
        log_event(LOG_LEVEL_INFO, message_id(MESSAGE_JOB_PLANNED),
                  &(struct log_fields){.job = row.name}, "job %s planned", row.name);
    }
    return code;
}

static int add_spec2(struct queue *q, int64_t exposure, double now, struct err *err)
{
    struct queue_exposure e;
    struct queue_job job = {.recipe = "spec2", .exposure = exposure};
    int code = queue_get_exposure(q, exposure, &e, err);
    if (code) {
        return code;
    }
    memcpy(job.base, e.base, sizeof job.base);
    memcpy(job.group, e.group, sizeof job.group);
    memcpy(job.program, e.program, sizeof job.program);
    return add_job(q, &job, now, err);
}

/* A spec3, or the combine of a target. */
static int add_group_job(struct queue *q, const struct queue_group *g, double now,
                         struct err *err)
{
    struct queue_job job = {0};
    memcpy(job.recipe, g->recipe, sizeof job.recipe);
    memcpy(job.base, g->name, sizeof job.base);
    memcpy(job.group, g->name, sizeof job.group);
    memcpy(job.program, g->program, sizeof job.program);
    return add_job(q, &job, now, err);
}

static int set_companions(struct queue *q, const struct plan_step *step, double now,
                          struct err *err)
{
    int code = queue_set_product_name(q, step->job, step->product, err);
    return code ? code
                : queue_set_companions(q, step->job, step->companions,
                                       step->n_companions, now, err);
}

/* g: of PLAN_ADD_JOB */
static int apply(struct queue *q, const struct queue_group *g,
                 const struct plan_step *step, double now, struct err *err)
{
    struct queue_change change = {.message = step->why};
    int code = 0;
    switch (step->verb) {
    case PLAN_NOTHING:
        break;
    case PLAN_SUPERSEDE_EXPOSURE:
        code = queue_move_exposure(q, step->exposure, FILE_SUPERSEDED, step->why, now,
                                   err);
        break;
    case PLAN_ADD_SPEC2:
        code = add_spec2(q, step->exposure, now, err);
        break;
    case PLAN_ADD_JOB:
        code = add_group_job(q, g, now, err);
        break;
    case PLAN_QUEUE:
        if (step->n_inputs) {
            code = queue_set_inputs(q, step->job, step->inputs, step->n_inputs, err);
        }
        code = code ? code : set_companions(q, step, now, err);
        code = code ? code : queue_move(q, step->job, JOB_QUEUED, &change, now, err);
        break;
    case PLAN_SET_COMPANIONS:
        code = set_companions(q, step, now, err);
        break;
    case PLAN_AGAIN:
        code = queue_move(q, step->job, JOB_SUPERSEDED, &change, now, err);
        code = code ? code : add_spec2(q, step->exposure, now, err);
        break;
    case PLAN_HOLD:
        change.error = err_name(ERR_INPUT);
        code = queue_move(q, step->job, JOB_HELD, &change, now, err);
        break;
    case PLAN_SUPERSEDE:
        code = queue_move(q, step->job, JOB_SUPERSEDED, &change, now, err);
        break;
    }
    return code;
}

int plan_exposure(struct queue *q, const struct plan_rules *rules, int64_t exposure,
                  double now, struct err *err)
{
    struct queue_exposure e;
    struct plan_step step = {.verb = PLAN_ADD_SPEC2};
    static const struct queue_group none; /* no step of a base name is about a group */
    int code = queue_get_exposure(q, exposure, &e, err);
    while (!code && step.verb != PLAN_NOTHING) {
        struct queue_member *m;
        size_t n;
        code = queue_load_base(q, e.base, e.program, &m, &n, err);
        if (!code) {
            planner_base(m, n, rules, &step);
            free(m);
            code = apply(q, &none, &step, now, err);
        }
    }
    return code;
}

/* ---- groups ---- */

/* Is an exposure's job still to be planned, or an older one to be superseded? */
static bool needs_look(const struct queue_member *m)
{
    return (m->live && planner_is_reduced(m) && m->state == JOB_NEW) ||
           (m->superseded && job_may_move(m->state, JOB_SUPERSEDED));
}

/* *ret: whether anything was done. */
static int plan_members(struct queue *q, const struct queue_group *g,
                        const struct plan_rules *rules, double now, bool *ret,
                        struct err *err)
{
    int code = 0;
    *ret = false;
    for (size_t i = 0; i < g->n_members && !code; i++) {
        if (needs_look(&g->members[i])) {
            *ret = true;
            code = plan_exposure(q, rules, g->members[i].exposure, now, err);
        }
    }
    return code;
}

/* The spec2 jobs and what they read beside their exposures. *ret: whether anything was
 * done; plan: what those wait for that still do. */
static int plan_spec2(struct queue *q, const struct queue_group *g,
                      const struct plan_rules *rules, double now, bool *ret,
                      struct queue_plan *plan, struct err *err)
{
    double news = planner_news(g);
    int code = 0;
    *ret = false;
    for (size_t i = 0; i < g->n_members && !code; i++) {
        struct plan_step step;
        code = planner_spec2(g, &g->members[i], rules, news, now, &step, err);
        if (!code && step.verb != PLAN_NOTHING) {
            *ret = true;
            code = apply(q, g, &step, now, err);
        }
        if (!code && step.look_at > 0 &&
            (plan->look_at == 0 || step.look_at < plan->look_at)) {
            plan->look_at = step.look_at;
        }
        if (!code && *step.why && step.verb == PLAN_NOTHING && !*plan->members_wait) {
            snprintf(plan->members_wait, sizeof plan->members_wait, "%.250s", step.why);
        }
        plan_step_done(&step);
    }
    return code;
}

/* What was found is kept, and told if it is news; the target of the group is looked at
 * next. */
static int keep_plan(struct queue *q, const struct queue_group *g,
                     const struct plan_rules *rules, struct queue_plan *plan,
                     const struct plan_step *step, struct err *err)
{
    struct queue_waiting before = {0};
    plan->quiet_since = step->quiet_since;
    memcpy(plan->waits_for, step->why, sizeof plan->waits_for);
    planner_offer(g, rules, plan);
    int code = queue_group_waiting(q, g->name, &before, err);
    if (!code && *plan->offer && strcmp(plan->offer, before.plan.offer)) {
        log_event(LOG_LEVEL_INFO, message_id(MESSAGE_BACKGROUND_OFFERED), NULL,
                  "group %s: not used: %s; background_policy = nearest would", g->name,
                  plan->offer);
    }
    code = code ? code : queue_group_planned(q, g->name, plan, err);
    if (!code && g->proceed_at > 0 && !*plan->waits_for && !*plan->members_wait) {
        bool known; /* it has done its part */
        code = queue_proceed(q, g->name, 0, &known, err);
    }
    char target[QUEUE_NAME];
    return code || !planner_target(g->name, target)
               ? code
               : queue_mark_target(q, target, rules->combine, err);
}

static int plan_group(struct queue *q, const char *group,
                      const struct plan_rules *rules, double now, struct err *err)
{
    enum { MEMBERS, SPEC2, SPEC3, OVER } part = MEMBERS;
    struct queue_plan plan = {0};
    int code = 0;
    while (!code && part != OVER) {
        struct queue_group g;
        struct plan_step step = {0};
        bool again = false;
        if ((code = queue_load_group(q, group, &g, err))) {
            return code;
        }
        if (part == MEMBERS) {
            code = plan_members(q, &g, rules, now, &again, err);
            part = SPEC2;
        }
        if (part == SPEC2 && !code && !again) {
            plan = (struct queue_plan){0};
            code = plan_spec2(q, &g, rules, now, &again, &plan, err);
            part = again ? SPEC2 : SPEC3;
        }
        if (part == SPEC3 && !code && !again &&
            !(code = planner_group(&g, rules, now, &step, err))) {
            if (step.verb == PLAN_NOTHING) {
                part = OVER;
                code = keep_plan(q, &g, rules, &plan, &step, err);
            } else {
                code = apply(q, &g, &step, now, err);
            }
        }
        plan_step_done(&step);
        queue_group_done(&g);
    }
    return code;
}

/* Some groups in one commit. */
static int plan_batch(struct queue *q, char (*groups)[QUEUE_NAME], size_t n,
                      const struct plan_rules *rules, double now, struct err *err)
{
    int code = queue_begin(q, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < n && !code; i++) {
        code = plan_group(q, groups[i], rules, now, err);
    }
    if (code) {
        queue_rollback(q);
    } else {
        code = queue_commit(q, err);
    }
    return code;
}

static bool at_once(const struct plan_rules *rules)
{
    return rules->quiet_seconds <= 0 && rules->wait_seconds <= 0;
}

int plan_groups(struct queue *q, const struct plan_rules *rules, double now,
                double budget_seconds, bool *ret_all, struct err *err)
{
    double end = clock_steady() + budget_seconds;
    int failure = 0;
    *ret_all = false;
    do {
        char(*groups)[QUEUE_NAME];
        size_t n;
        int code =
            queue_groups_due(q, now - rules->quiet_seconds,
                             at_once(rules) ? HUGE_VAL : now, BATCH, &groups, &n, err);
        if (code) {
            return code;
        }
        *ret_all = n == 0;
        code = n ? plan_batch(q, groups, n, rules, now, err) : 0;
        for (size_t i = 0; i < n && code && n > 1; i++) {
            struct err later = {0};
            if (plan_batch(q, groups + i, 1, rules, now, &later) && !failure) {
                failure = later.code;
                *err = later;
            }
        }
        failure = code && n == 1 ? code : failure;
        free(groups);
    } while (!*ret_all && !failure && clock_steady() < end);
    return failure;
}
