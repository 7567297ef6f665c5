#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "daemon/planner.h"
#include "daemon/messages.h"
#include "daemon/service_state.h"

static int add_job(struct service *s, const struct queue_group *g, const char *group,
                   const struct plan_step *step, double now, struct err *err)
{
    struct queue_job job = {0}, row;
    const struct queue_exposure *from = &g->exposures[0];
    for (size_t i = 0; i < g->n_exposures; i++) {
        if (g->exposures[i].id == step->exposure) {
            from = &g->exposures[i];
        }
    }
    bool is_spec2 = step->verb == PLAN_ADD_SPEC2;
    strcpy(job.recipe, is_spec2 ? "spec2" : "spec3");
    strcpy(job.base, is_spec2 ? from->base : group);
    strcpy(job.group, group);
    strcpy(job.program, from->program);
    job.exposure = is_spec2 ? from->id : 0;
    int code = queue_add_job(s->queue, &job, now, &row, err);
    if (!code) {
        log_event(LOG_LEVEL_INFO, message_id(MESSAGE_JOB_PLANNED),
                  &(struct log_fields){.job = row.name}, "job %s planned", row.name);
    }
    return code;
}

static int apply(struct service *s, const struct queue_group *g, const char *group,
                 const struct plan_step *step, double now, struct err *err)
{
    struct queue_change change = {.message = step->why};
    int code = 0;
    switch (step->verb) {
    case PLAN_NOTHING:
        break;
    case PLAN_SUPERSEDE_EXPOSURE:
        code = queue_move_exposure(s->queue, step->exposure, FILE_SUPERSEDED, step->why,
                                   now, err);
        break;
    case PLAN_ADD_SPEC2:
    case PLAN_ADD_SPEC3:
        code = add_job(s, g, group, step, now, err);
        break;
    case PLAN_QUEUE:
        if (step->n_inputs) {
            code = queue_set_inputs(s->queue, step->job, step->inputs, step->n_inputs,
                                    err);
        }
        code = code ? code
                    : queue_move(s->queue, step->job, JOB_QUEUED, &change, now, err);
        break;
    case PLAN_SUPERSEDE:
        code = queue_move(s->queue, step->job, JOB_SUPERSEDED, &change, now, err);
        break;
    }
    return code;
}

int service_plan_group(struct service *s, const char *group, double quiet_seconds,
                       struct err *err)
{
    enum plan_verb verb = PLAN_ADD_SPEC2;
    int code = 0;
    while (!code && verb != PLAN_NOTHING) {
        struct queue_group g = {0};
        struct plan_step step = {0};
        double now = service_now();
        code = queue_load_group(s->queue, group, &g, err);
        code = code ? code : planner_next(&g, now, quiet_seconds, &step, err);
        code = code ? code : apply(s, &g, group, &step, now, err);
        verb = step.verb;
        if (!code && verb == PLAN_NOTHING && step.due > 0 &&
            (s->next_quiet == 0 || step.due < s->next_quiet)) {
            s->next_quiet = step.due;
        }
        plan_step_done(&step);
        queue_group_done(&g);
    }
    return code;
}

int service_plan_all(struct service *s, bool waiting_only, double quiet_seconds,
                     struct err *err)
{
    char(*groups)[QUEUE_NAME];
    size_t n;
    int code = queue_groups(s->queue, waiting_only, 1u << 20, &groups, &n, err);
    if (code) {
        return code;
    }
    s->next_quiet = 0;
    for (size_t i = 0; i < n && !code; i++) {
        code = queue_begin(s->queue, err);
        code = code ? code : service_plan_group(s, groups[i], quiet_seconds, err);
        if (code) {
            queue_rollback(s->queue);
        } else {
            code = queue_commit(s->queue, err);
        }
    }
    free(groups);
    return code;
}
