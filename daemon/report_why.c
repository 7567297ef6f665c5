#include <math.h>
#include <stdio.h>
#include <string.h>

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

double report_waits_for(const struct report *r, const struct queue_waiting *w,
                        char *ret, size_t size)
{
    double quiet = params_real(r->config->values, "group_quiet_seconds");
    double due = w->plan.quiet_since > 0 ? w->plan.quiet_since + quiet : 0;
    double left = due - service_now();
    int used = snprintf(ret, size, "%s", w->plan.waits_for);
    if (due > 0 && used > 0 && (size_t)used < size) {
        snprintf(ret + used, size - (size_t)used, ", or %.0f s of quiet",
                 left > 0 ? left : 0.0);
    }
    return due;
}

void report_members_wait(const struct queue_waiting *w, char *ret, size_t size)
{
    double left = w->plan.look_at - service_now();
    int used = snprintf(ret, size, "%s", w->plan.members_wait);
    if (w->plan.look_at > 0 && used > 0 && (size_t)used < size) {
        snprintf(ret + used, size - (size_t)used, ", or %.0f s of quiet",
                 left > 0 ? left : 0.0);
    }
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
        char what[700];
        struct queue_waiting w = {0};
        queue_group_waiting(r->queue, j->group, &w, NULL);
        if (j->exposure) {
            report_members_wait(&w, what, sizeof what);
        } else {
            report_waits_for(r, &w, what, sizeof what);
        }
        snprintf(ret, size, "waits for: %s",
                 *what ? what : "the plan of its group, which comes within moments");
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
