#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "daemon/messages.h"
#include "daemon/schedule.h"
#include "daemon/service_state.h"

/* Where a failed attempt goes. */
static enum job_state after_failure(const struct service *s, const struct queue_job *j,
                                    int code, double *ret_not_before)
{
    if (code == ERR_CANCELLED) {
        return JOB_QUEUED;
    }
    if ((code != ERR_IO && code != ERR_NOMEM) ||
        j->failures >= params_int(s->config->values, "retry_limit")) {
        return JOB_HELD;
    }
    double wait = params_real(s->config->values, "retry_seconds") *
                  pow(2.0, j->failures < 20 ? j->failures : 20);
    *ret_not_before = service_now() + (wait < 86400.0 ? wait : 86400.0);
    return JOB_DEFERRED;
}

/* Record the end of an attempt and plan what follows, in one commit. */
static int record(struct service *s, const struct executor_report *r,
                  struct queue_job *ret_job, struct err *err)
{
    int code = queue_begin(s->queue, err);
    if (code) {
        return code;
    }
    if ((code = queue_get_job(s->queue, r->id, ret_job, err))) {
        goto out;
    }
    struct queue_change change = {0};
    enum job_state to = JOB_DONE;
    if (r->code) {
        to = after_failure(s, ret_job, r->code, &change.not_before);
        change.message = r->code == ERR_CANCELLED ? "stopped" : r->err.message;
        change.error = err_name(r->code);
        change.stage = r->result.failed_stage;
        change.count_failure = r->code != ERR_CANCELLED;
    } else if ((code = work_keep_products(s->queue, r->id, &r->result, err))) {
        goto out;
    }
    if ((code = queue_move(s->queue, r->id, to, &change, service_now(), err))) {
        goto out;
    }
    ret_job->state = to;
    code = queue_use(s->queue, ret_job->program, r->seconds, service_now(),
                     params_real(s->config->values, "share_half_life_seconds"), err);
    if (code) {
        goto out;
    }
    if (to == JOB_DEFERRED &&
        (s->next_retry == 0 || change.not_before < s->next_retry)) {
        s->next_retry = change.not_before;
    }
out:
    if (code) {
        queue_rollback(s->queue);
        return code;
    }
    return queue_commit(s->queue, err);
}

/* False if the queue refused: the report must be kept. */
static bool ended(struct service *s, struct executor_report *r)
{
    struct queue_job job = {0};
    struct err err = {0};
    if (record(s, r, &job, &err)) {
        service_trouble(s, "cannot record the end of a job, trying again: %s",
                        err.message);
        return false;
    }
    const char *id = message_id_of_job(job_state_name(job.state));
    struct log_fields about = {.job = job.name, .attempt = job.attempt};
    if (job.state == JOB_DONE) {
        log_event(LOG_LEVEL_INFO, id, &about, "job %s done in %.1f s, %zu products",
                  job.name, r->seconds, r->result.n_products);
    } else if (r->code == ERR_CANCELLED) {
        log_event(LOG_LEVEL_INFO, id, &about, "job %s stopped, will run again",
                  job.name);
    } else {
        about.stage = r->result.failed_stage;
        log_event(LOG_LEVEL_ERROR, id, &about, "job %s %s at stage %s: %s", job.name,
                  job_state_name(job.state), *about.stage ? about.stage : "-",
                  r->err.message);
    }
    executor_report_done(r);
    return true;
}

static void keep_unsaved(struct service *s, struct executor_report *r)
{
    struct executor_report *more =
        mem_realloc(s->unsaved, s->n_unsaved + 1, sizeof *more, NULL);
    if (!more) { /* it is still `running` in the queue: the next start runs it again */
        executor_report_done(r);
        return;
    }
    s->unsaved = more;
    s->unsaved[s->n_unsaved++] = *r;
}

void dispatch_retry_unsaved(struct service *s)
{
    while (s->n_unsaved && ended(s, &s->unsaved[s->n_unsaved - 1])) {
        s->n_unsaved--;
    }
}

/* Commit the attempt, make the manifest, hand it to a worker. */
static int start_job(struct service *s, const struct queue_job *next, struct err *err)
{
    struct queue_job row;
    struct job job;
    int code = queue_move(s->queue, next->id, JOB_RUNNING, NULL, service_now(), err);
    code = code ? code : queue_get_job(s->queue, next->id, &row, err);
    if (code) {
        return code;
    }
    struct executor_report failed = {.id = row.id};
    failed.code =
        work_prepare(s->queue, s->spool, s->config, &s->place, &row, &job, &failed.err);
    if (failed.code) {
        if (!ended(s, &failed)) {
            keep_unsaved(s, &failed);
        }
        return 0;
    }
    log_event(LOG_LEVEL_INFO, message_id(MESSAGE_JOB_STARTED),
              &(struct log_fields){.job = row.name, .attempt = row.attempt},
              "job %s started, attempt %d", row.name, row.attempt);
    executor_start(s->executor, row.id, &job);
    return 0;
}

/* A suspect, or what schedule.h chooses among the queued; ret->id = 0: none. */
static int next_job(struct service *s, struct queue_job *ret, struct err *err)
{
    struct queue_candidate *c = NULL;
    struct queue_share *shares = NULL;
    size_t n = 0, n_shares = 0;
    double now = service_now();
    int code = queue_next_suspect(s->queue, ret, err);
    if (code || ret->id) {
        return code;
    }
    code = queue_candidates(s->queue, &c, &n, err);
    if (!code && n) {
        code = queue_shares(s->queue, now,
                            params_real(s->config->values, "share_half_life_seconds"),
                            &shares, &n_shares, err);
    }
    if (!code && n) {
        size_t i = schedule_pick(c, n, shares, n_shares, now,
                                 params_real(s->config->values, "ageing_seconds"));
        code = queue_get_job(s->queue, c[i].id, ret, err);
    }
    free(shares);
    free(c);
    return code;
}

void service_dispatch(struct service *s)
{
    struct err err = {0};
    while (!s->stopping && !s->draining && executor_idle(s->executor) > 0) {
        struct queue_job next;
        int code = next_job(s, &next, &err);
        if (!code && !next.id) {
            return;
        }
        code = code ? code : start_job(s, &next, &err);
        if (code) {
            service_trouble(s, "cannot start a job, trying again: %s", err.message);
            return;
        }
    }
}

const char *service_dispatch_blocked(const struct service *s)
{
    return s->stopping   ? "the daemon is stopping"
           : s->draining ? "an operator drains it; ifuctl resume ends that"
                         : "";
}

void dispatch_on_report(void *user)
{
    struct service *s = user;
    struct executor_report r;
    while (executor_poll(s->executor, &r)) {
        if (!ended(s, &r)) {
            keep_unsaved(s, &r);
        }
    }
    service_plan(s);
    service_dispatch(s);
}

void dispatch_on_progress(void *user, const char *job, const char *stage, int index,
                          int count, double share)
{
    (void)user;
    log_event(LOG_LEVEL_INFO, message_id(MESSAGE_JOB_STAGE),
              &(struct log_fields){.job = job, .stage = stage},
              "job %s stage %s (%d of %d) %3.0f %%", job, stage, index + 1, count,
              100.0 * share);
}

void dispatch_on_note(void *user, const char *job, const char *stage, bool is_warning,
                      const char *line)
{
    (void)user;
    log_event(is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              message_id(MESSAGE_JOB_NOTE),
              &(struct log_fields){.job = job, .stage = stage}, "job %s stage %s: %s",
              job, stage, line);
}
