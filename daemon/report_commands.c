#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "daemon/messages.h"
#include "daemon/queue_find.h"
#include "daemon/report_parts.h"
#include "daemon/service_state.h"
#include "daemon/stale.h"

/* Jobs that one request changes at most: others wait for no longer than that takes. */
#define BATCH 200

static const struct command {
    const char *verb, *message;
    enum job_state to;
    unsigned from; /* states (bits) that a selection by program, group or all means */
} commands[] = {
    {"retry", "an operator retries it", JOB_QUEUED, 1u << JOB_HELD},
    {"release", "an operator released it", JOB_QUEUED, 1u << JOB_HELD},
    {"hold", "an operator held it", JOB_HELD,
     1u << JOB_WAITING | 1u << JOB_QUEUED | 1u << JOB_DEFERRED | 1u << JOB_SUSPECT |
         1u << JOB_RUNNING},
    {"cancel", "an operator cancelled it", JOB_CANCELLED,
     1u << JOB_WAITING | 1u << JOB_QUEUED | 1u << JOB_DEFERRED | 1u << JOB_SUSPECT |
         1u << JOB_RUNNING | 1u << JOB_HELD | 1u << JOB_QUARANTINED},
    {"quarantine", "an operator quarantined it", JOB_QUARANTINED,
     1u << JOB_WAITING | 1u << JOB_QUEUED | 1u << JOB_DEFERRED | 1u << JOB_SUSPECT |
         1u << JOB_RUNNING | 1u << JOB_HELD},
    {"priority", "an operator changed its priority", JOB_STATES,
     1u << JOB_WAITING | 1u << JOB_QUEUED | 1u << JOB_DEFERRED | 1u << JOB_SUSPECT |
         1u << JOB_HELD},
};

struct outcome {
    bool changed, stop; /* stop: it runs, and is asked to end */
};

static int refuse(const struct queue_job *j, const struct command *c, const char *why,
                  struct err *err)
{
    return err_set(err, ERR_PARAM, "job %.300s is %s: %s it is not possible%s%s",
                   j->name, job_state_name(j->state), c->verb, *why ? "; " : "", why);
}

/* Are the products of a job where it put them? */
static bool has_products(const struct report *r, const struct queue_job *j)
{
    struct queue_product *p;
    size_t n, there = 0;
    struct stat st;
    if (queue_products(r->queue, j->id, &p, &n, NULL)) {
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        there += lstat(p[i].path, &st) == 0;
    }
    free(p);
    return n > 0 && there == n;
}

static int start_again(const struct report *r, const struct queue_job *j,
                       const struct command *c, const char *message,
                       struct outcome *ret, struct err *err)
{
    struct queue_change change = {.message = message};
    bool is_retry = !strcmp(c->verb, "retry");
    int code = 0;
    ret->changed = true;
    switch (j->state) {
    case JOB_HELD:
        code = queue_retry(r->queue, j->id, message, service_now(), err);
        break;
    case JOB_QUARANTINED:
    case JOB_CANCELLED:
        code = is_retry ? queue_retry(r->queue, j->id, message, service_now(), err)
                        : refuse(j, c, "see ifuctl retry", err);
        break;
    case JOB_DONE:
        code = !is_retry ? refuse(j, c, "", err)
               : has_products(r, j)
                   ? refuse(j, c, "its products are where they should be", err)
                   : queue_retry(r->queue, j->id, message, service_now(), err);
        break;
    case JOB_DEFERRED:
        code = queue_move(r->queue, j->id, JOB_QUEUED, &change, service_now(), err);
        break;
    case JOB_RUNNING:
        code = *j->wish ? refuse(j, c, "it is being stopped, try again then", err) : 0;
        ret->changed = false;
        break;
    case JOB_WAITING:
    case JOB_QUEUED:
    case JOB_SUSPECT:
        ret->changed = false; /* it will run anyhow */
        break;
    case JOB_SUPERSEDED:
    case JOB_NEW:
    case JOB_STATES:
        code = refuse(j, c, "a newer version took its place", err);
        break;
    }
    return code;
}

static int put_aside(const struct report *r, const struct queue_job *j,
                     const struct command *c, const char *message, struct outcome *ret,
                     struct err *err)
{
    struct queue_change change = {
        .message = message, .error = j->error, .stage = j->stage};
    if (j->state == c->to || !strcmp(j->wish, job_state_name(c->to))) {
        return 0; /* it is there already, or on its way */
    }
    ret->changed = true;
    if (j->state == JOB_RUNNING) {
        ret->stop = true;
        return queue_set_wish(r->queue, j->id, c->to, message, service_now(), err);
    }
    if (!job_may_move(j->state, c->to)) {
        return refuse(j, c, "", err);
    }
    return queue_move(r->queue, j->id, c->to, &change, service_now(), err);
}

static int apply(const struct report *r, const struct queue_job *j,
                 const struct command *c, const struct request *in, struct outcome *ret,
                 struct err *err)
{
    char message[600];
    *ret = (struct outcome){0};
    snprintf(message, sizeof message, "%s%s%.500s", c->message, in->reason ? ": " : "",
             in->reason ? in->reason : "");
    if (c->to == JOB_QUEUED) {
        return start_again(r, j, c, message, ret, err);
    }
    if (c->to != JOB_STATES) {
        return put_aside(r, j, c, message, ret, err);
    }
    if (job_state_is_final(j->state) && j->state != JOB_HELD) {
        return refuse(j, c, "", err);
    }
    ret->changed = j->priority != in->priority;
    return ret->changed
               ? queue_set_priority(r->queue, j->id, in->priority, service_now(), err)
               : 0;
}

/* ---- which jobs ---- */

static int check(const struct command *c, const struct request *in, struct err *err)
{
    int ways = (in->job != NULL) + in->all + (in->program || in->group);
    if (ways != 1) {
        return err_set(err, ERR_PARAM,
                       "%s needs one of \"job\", \"program\" and \"group\", or \"all\"",
                       c->verb);
    }
    if (in->state && (in->job || job_state_of(in->state) == JOB_STATES)) {
        return err_set(err, ERR_PARAM, "no selection by state '%.40s'", in->state);
    }
    if (c->to == JOB_STATES &&
        (!in->has_priority || in->priority < -10 || in->priority > 10)) {
        return err_set(err, ERR_PARAM, "priority takes a whole number from -10 to 10");
    }
    return 0;
}

/* One page of a selection; *ret_next: where the next begins, 0 if this was the last. */
static int select_jobs(const struct report *r, const struct command *c,
                       const struct request *in, struct queue_job **ret, size_t *ret_n,
                       int64_t *ret_next, struct err *err)
{
    struct queue_filter f = {.state = in->state ? job_state_of(in->state) : JOB_STATES,
                             .program = in->program,
                             .group = in->group};
    int code = queue_select(r->queue, &f, in->after, BATCH, ret, ret_n, ret_next, err);
    size_t kept = 0;
    for (size_t i = 0; !code && i < *ret_n; i++) {
        if (in->state || (c->from >> (*ret)[i].state & 1u)) {
            (*ret)[kept++] = (*ret)[i];
        }
    }
    *ret_n = code ? 0 : kept;
    return code;
}

static int find_one(const struct report *r, const struct request *in,
                    struct queue_job **ret, size_t *ret_n, struct err *err)
{
    struct queue_job *j = calloc(1, sizeof *j);
    int code =
        j ? report_find(r, in->job, j, err) : err_set(err, ERR_NOMEM, "out of memory");
    if (code) {
        free(j);
        return code;
    }
    *ret = j;
    *ret_n = 1;
    return 0;
}

static json_t *changed_row(const struct report *r, const struct queue_job *before)
{
    struct queue_job now = *before;
    queue_get_job(r->queue, before->id, &now, NULL);
    json_t *o = json_object();
    report_put(o, "job", report_text(now.name));
    report_put(o, "from", report_text(job_state_name(before->state)));
    report_put(o, "to", report_text(job_state_name(now.state)));
    report_put(o, "wish", report_text(now.wish));
    report_put(o, "priority", json_integer(now.priority));
    return o;
}

/* What a command did. */
struct done {
    json_t *changed, *unchanged;
    size_t n_refused, n_stop;
    int64_t stop[BATCH]; /* jobs that run and are to end */
};

/* To all of them, in one commit or not at all. */
static int apply_all(const struct report *r, const struct command *c,
                     const struct request *in, const struct queue_job *jobs, size_t n,
                     struct done *d, struct err *err)
{
    int code = queue_begin(r->queue, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < n && !code; i++) {
        struct outcome outcome;
        code = apply(r, &jobs[i], c, in, &outcome, err);
        if (code == ERR_PARAM && !in->job) { /* not this one */
            d->n_refused++;
            code = 0;
        } else if (!code && outcome.changed) {
            json_array_append_new(d->changed, changed_row(r, &jobs[i]));
            if (outcome.stop) {
                d->stop[d->n_stop++] = jobs[i].id;
            }
        } else if (!code) {
            json_array_append_new(d->unchanged, changed_row(r, &jobs[i]));
        }
    }
    if (code) {
        queue_rollback(r->queue);
        return code;
    }
    return queue_commit(r->queue, err);
}

json_t *report_move(const struct report *r, const struct request *in, struct err *err)
{
    const struct command *c = commands;
    while (strcmp(c->verb, in->verb) != 0) {
        c++;
    }
    struct queue_job *jobs = NULL;
    struct done d = {0};
    size_t n = 0;
    int64_t next = 0;
    int code = check(c, in, err);
    if (!code) {
        code = in->job ? find_one(r, in, &jobs, &n, err)
                       : select_jobs(r, c, in, &jobs, &n, &next, err);
    }
    if (code) {
        free(jobs);
        return NULL;
    }
    d.changed = json_array();
    d.unchanged = json_array();
    code = apply_all(r, c, in, jobs, n, &d, err);
    for (size_t i = 0; i < n && !code; i++) {
        const struct log_fields about = {.job = jobs[i].name};
        log_event(LOG_LEVEL_INFO, message_id(MESSAGE_COMMAND), &about,
                  "job %s: operator's command %s", jobs[i].name, c->verb);
    }
    free(jobs);
    if (code) {
        json_decref(d.changed);
        json_decref(d.unchanged);
        return NULL;
    }
    for (size_t i = 0; i < d.n_stop; i++) {
        executor_cancel(r->live->executor, d.stop[i], false);
    }
    if (c->to == JOB_QUEUED) { /* what was missing may be there */
        executor_rescan_references(r->live->executor);
    }
    json_t *o = json_object();
    report_put(o, "command", report_text(c->verb));
    report_put(o, "changed", d.changed);
    report_put(o, "unchanged", d.unchanged);
    report_put(o, "refused", json_integer((json_int_t)d.n_refused));
    report_put(o, "next", json_integer(next));
    service_dispatch(r->live);
    return o;
}

/* ---- the service ---- */

json_t *report_drain(const struct report *r, const struct request *in, struct err *err)
{
    bool drain = !strcmp(in->verb, "drain"), changed = r->live->draining != drain;
    if (queue_set_setting(r->queue, "drain", drain ? "1" : "", err)) {
        return NULL;
    }
    r->live->draining = drain;
    log_event(LOG_LEVEL_INFO, message_id(MESSAGE_COMMAND), NULL,
              drain ? "draining: nothing new starts until ifuctl resume"
                    : "draining has ended");
    service_dispatch(r->live);
    json_t *o = json_object();
    report_put(o, "draining", json_boolean(drain));
    report_put(o, "changed", json_boolean(changed));
    report_put(o, "running",
               json_integer(executor_workers(r->live->executor) -
                            executor_idle(r->live->executor)));
    return o;
}

json_t *report_rescan(const struct report *r, const struct request *in, struct err *err)
{
    (void)in;
    (void)err;
    log_event(LOG_LEVEL_INFO, message_id(MESSAGE_COMMAND), NULL,
              "listing the inbox and the references anew");
    executor_rescan_references(r->live->executor);
    stale_look_anew(r->live);
    inbox_rescan(r->live->inbox);
    json_t *o = json_object();
    report_put(o, "inbox", report_text(r->inbox_folder));
    return o;
}
