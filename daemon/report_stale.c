#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "daemon/messages.h"
#include "daemon/queue_stale.h"
#include "daemon/report_parts.h"
#include "daemon/service_state.h"
#include "daemon/stale.h"
#include "jobs/job_difference.h"

#define PAGE 200
#define COUNTED 10000

static json_t *stale_row(const struct queue_stale *s)
{
    json_t *o = json_object();
    report_put(o, "job", report_text(s->job.name));
    report_put(o, "recipe", report_text(s->job.recipe));
    report_put(o, "program", report_text(s->job.program));
    report_put(o, "group", report_text(s->job.group));
    report_put(o, "since", json_real(s->since));
    report_put(o, "step", report_text(s->step));
    report_put(o, "why", report_text(s->why));
    return o;
}

json_t *report_stale_sum(const struct report *r)
{
    char at[40] = "";
    size_t n = 0;
    queue_stale_count(r->queue, COUNTED, &n, NULL);
    queue_get_setting(r->queue, "stale_looked_at", at, sizeof at, NULL);
    json_t *o = json_object();
    report_put(o, "jobs", json_integer((json_int_t)n));
    report_put(o, "more", json_boolean(n == COUNTED));
    report_put(o, "looked_at", *at ? json_real(strtod(at, NULL)) : json_null());
    report_put(o, "looking", json_boolean(r->live && stale_is_looking(r->live)));
    return o;
}

json_t *report_stale_of(const struct report *r, int64_t job)
{
    struct queue_stale *s = NULL;
    size_t n = 0;
    const struct queue_stale_filter filter = {.job = job};
    int code = queue_stale(r->queue, &filter, 0, 1, &s, &n, NULL);
    json_t *o = !code && n ? stale_row(s) : json_null();
    free(code ? NULL : s);
    return o;
}

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *report_difference(const struct report *r, int64_t job)
{
    struct job_difference d = {0};
    if (queue_difference(r->queue, job, &d, NULL) || !d.compared) {
        return json_null();
    }
    char text[400];
    json_t *o = json_object();
    job_difference_text(&d, text, sizeof text);
    report_put(o, "compared", json_integer((json_int_t)d.compared));
    report_put(o, "median_percent", real(d.median_percent));
    report_put(o, "largest_percent", real(d.largest_percent));
    report_put(o, "largest_percent_um", real(d.largest_percent_um));
    report_put(o, "largest_sigma", real(d.largest_sigma));
    report_put(o, "largest_sigma_um", real(d.largest_sigma_um));
    report_put(o, "text", report_text(text));
    return o;
}

json_t *report_stale(const struct report *r, const struct request *in, struct err *err)
{
    const struct queue_stale_filter filter = {.program = in->program,
                                              .group = in->group};
    size_t limit = in->limit < 1 || in->limit > PAGE ? PAGE : (size_t)in->limit, n;
    struct queue_stale *rows;
    if (queue_stale(r->queue, &filter, in->after, limit, &rows, &n, err)) {
        return NULL;
    }
    json_t *o = report_stale_sum(r), *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, stale_row(&rows[i]));
    }
    report_put(o, "stale", list);
    report_put(o, "next", json_integer(n == limit ? rows[n - 1].job.id : 0));
    free(rows);
    return o;
}

/* ---- reduce ---- */

struct reduced {
    const struct report *report;
    json_t *queued; /* new versions */
    size_t refused; /* stale, but what they are made from is gone */
};

static int add_version(struct reduced *d, const struct queue_job *old, struct err *err)
{
    struct queue_job job = *old, row;
    int code = queue_add_job(d->report->queue, &job, service_now(), &row, err);
    if (code) {
        return code;
    }
    json_t *o = json_object();
    report_put(o, "job", report_text(row.name));
    report_put(o, "instead_of", report_text(old->name));
    json_array_append_new(d->queued, o);
    log_event(LOG_LEVEL_INFO, message_id(MESSAGE_JOB_PLANNED),
              &(struct log_fields){.job = row.name},
              "job %s planned: the products of %s are stale", row.name, old->name);
    return 0;
}

/* As where leakage or background came later: the planner does the rest. The products stay
 * where they are until the new ones replace them. */
static int reduce_spec2(struct reduced *d, const struct queue_stale *s, struct err *err)
{
    struct queue *q = d->report->queue;
    struct queue_exposure e;
    char message[1100];
    int code = queue_get_exposure(q, s->job.exposure, &e, err);
    if (!code && strcmp(e.state, "accepted")) {
        d->refused++;
        return 0;
    }
    snprintf(message, sizeof message, "its products are stale: %.1000s", s->why);
    const struct queue_change change = {.message = message};
    code = code ? code
                : queue_move(q, s->job.id, JOB_SUPERSEDED, &change, service_now(), err);
    return code ? code : add_version(d, &s->job, err);
}

/* Is it stale and done still, and does no newer version follow? */
static int is_due(struct reduced *d, int64_t job, bool *ret, struct err *err)
{
    const struct queue_stale_filter filter = {.job = job};
    struct queue_stale *rows;
    size_t n;
    int code = queue_stale(d->report->queue, &filter, 0, 1, &rows, &n, err);
    if (!code) {
        *ret = n > 0;
        free(rows);
    }
    return code;
}

/*
 * After what it reads: that gives a group its next spec3, and a target its next combine, by
 * itself. Three recipes deep at most.
 */
static int reduce_one(struct reduced *d, const struct queue_stale *s, struct err *err)
{
    struct queue *q = d->report->queue;
    struct queue_stale *inputs;
    size_t n;
    bool due = false, done = false;
    int code = is_due(d, s->job.id, &due, err);
    if (code || !due) {
        return code;
    }
    if (s->job.exposure) {
        return reduce_spec2(d, s, err);
    }
    code = queue_stale_input_jobs(q, s->job.id, &inputs, &n, err);
    if (code) {
        return code;
    }
    for (size_t i = 0; i < n && !code; i++) {
        code = reduce_one(d, &inputs[i], err);
    }
    free(inputs);
    code = code ? code : queue_inputs_done(q, s->job.id, &done, err);
    if (!code && done && strcmp(s->step, "inputs")) {
        code = add_version(d, &s->job, err);
    }
    return code;
}

static int reduce(struct reduced *d, const struct queue_stale *rows, size_t n,
                  struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < n && !code; i++) {
        code = reduce_one(d, &rows[i], err);
    }
    return code;
}

/* A group by its name, or a job by its name, number or base name. */
static int choose(const struct report *r, const struct request *in,
                  struct queue_stale_filter *ret, struct err *err)
{
    struct queue_job j;
    if ((in->job != NULL) + in->all + (in->program || in->group) != 1) {
        return err_set(err, ERR_PARAM,
                       "reduce needs one of \"job\", \"program\" and \"group\", or "
                       "\"all\"");
    }
    *ret = (struct queue_stale_filter){.program = in->program, .group = in->group};
    if (in->job && queue_is_group(r->queue, in->job)) {
        ret->group = in->job;
    } else if (in->job) {
        int code = report_find(r, in->job, &j, err);
        ret->job = code ? 0 : j.id;
        return code;
    }
    return 0;
}

json_t *report_reduce(const struct report *r, const struct request *in, struct err *err)
{
    struct queue_stale_filter filter;
    struct queue_stale *rows = NULL;
    struct reduced d = {.report = r};
    size_t n = 0;
    int code = choose(r, in, &filter, err);
    code =
        code ? code : queue_stale(r->queue, &filter, in->after, PAGE, &rows, &n, err);
    if (code || (code = queue_begin(r->queue, err))) {
        free(rows);
        return NULL;
    }
    d.queued = json_array();
    code = reduce(&d, rows, n, err);
    if (code) {
        queue_rollback(r->queue);
    } else {
        code = queue_commit(r->queue, err);
    }
    const int64_t after = n == PAGE ? rows[n - 1].job.id : 0;
    free(rows);
    if (code) {
        json_decref(d.queued);
        return NULL;
    }
    log_event(LOG_LEVEL_INFO, message_id(MESSAGE_COMMAND), NULL,
              "operator's command reduce: %zu jobs planned", json_array_size(d.queued));
    executor_rescan_references(r->live->executor);
    json_t *o = json_object();
    report_put(o, "command", report_text("reduce"));
    report_put(o, "queued", d.queued);
    report_put(o, "refused", json_integer((json_int_t)d.refused));
    report_put(o, "looking", json_boolean(stale_is_looking(r->live)));
    report_put(o, "next", json_integer(after));
    service_plan(r->live);
    service_dispatch(r->live);
    return o;
}
