#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/planner.h"
#include "daemon/queue_find.h"
#include "daemon/report_parts.h"
#include "daemon/service_state.h"

#define COUNTED 1000

int report_find(const struct report *r, const char *name, struct queue_job *ret,
                struct err *err)
{
    char near[2 * QUEUE_NAME] = "";
    int code = queue_find_job(r->queue, name, ret, err);
    if (code == ERR_INPUT && !queue_near_job(r->queue, name, near, NULL) && *near) {
        err_set(err, ERR_INPUT, "no job '%.200s'; did you mean '%.400s'?", name, near);
    }
    return code;
}

void report_group_wait(const struct report *r, const char *group, char *ret,
                       size_t size, double *ret_due)
{
    struct queue_group g = {0};
    struct plan_step step = {0};
    double quiet = params_real(r->config->values, "group_quiet_seconds");
    *ret = 0;
    *ret_due = 0;
    if (!queue_load_group(r->queue, group, &g, NULL) &&
        !planner_next(&g, service_now(), quiet, &step, NULL) &&
        step.verb == PLAN_NOTHING) {
        snprintf(ret, size, "%s", step.why);
        *ret_due = step.due;
    }
    plan_step_done(&step);
    queue_group_done(&g);
}

static void why_queued(const struct report *r, const struct queue_job *j, char *ret,
                       size_t size)
{
    size_t ahead = 0;
    struct queue_job suspect = {0};
    const char *blocked = r->live ? service_dispatch_blocked(r->live) : "";
    queue_ahead(r->queue, j, COUNTED, &ahead, NULL);
    queue_next_suspect(r->queue, &suspect, NULL);
    if (!r->live) {
        snprintf(ret, size, "the daemon is not running");
    } else if (*blocked) {
        snprintf(ret, size, "nothing new starts: %s", blocked);
    } else if (suspect.id) {
        snprintf(ret, size, "suspects run first, each alone: %.300s is one",
                 suspect.name);
    } else {
        snprintf(ret, size,
                 "%s%zu job%s of program %s with priority %d before it; programs "
                 "take turns as workers become free",
                 ahead == COUNTED ? "at least " : "", ahead, ahead == 1 ? "" : "s",
                 j->program, j->priority);
    }
}

void report_why(const struct report *r, const struct queue_job *j, char *ret,
                size_t size)
{
    double left = j->not_before - service_now();
    *ret = 0;
    switch (j->state) {
    case JOB_WAITING: {
        char what[900];
        double due;
        report_group_wait(r, j->group, what, sizeof what, &due);
        snprintf(ret, size, "waits for: %s", what);
        break;
    }
    case JOB_QUEUED:
        why_queued(r, j, ret, size);
        break;
    case JOB_RUNNING:
        snprintf(ret, size, "runs%s%s", *j->wish ? "; at its end it will be " : "",
                 j->wish);
        break;
    case JOB_SUSPECT:
        snprintf(ret, size,
                 "the program died while it ran: it runs next, alone, in a process "
                 "under limits");
        break;
    case JOB_DEFERRED:
        snprintf(ret, size,
                 "tried again by itself in %.0f s; at once with: ifuctl retry %.400s",
                 left > 0 ? ceil(left) : 0, j->name);
        break;
    case JOB_HELD:
        snprintf(ret, size,
                 "held until an operator acts: remove the cause, then: ifuctl retry "
                 "%.400s",
                 j->name);
        break;
    case JOB_QUARANTINED:
        snprintf(ret, size,
                 "its process died %d times: it runs again only with: ifuctl retry "
                 "%.400s",
                 j->crashes, j->name);
        break;
    case JOB_CANCELLED:
        snprintf(ret, size, "an operator cancelled it; again with: ifuctl retry %.400s",
                 j->name);
        break;
    case JOB_SUPERSEDED:
        snprintf(ret, size, "a newer version took its place");
        break;
    case JOB_DONE:
        snprintf(ret, size, "done");
        break;
    case JOB_NEW:
    case JOB_STATES:
        break;
    }
}
