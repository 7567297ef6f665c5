#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "daemon/request.h"
#include "daemon/service_state.h"

#define SHOWN_PROBLEMS 20
#define SHOWN_GROUPS 20
#define MAX_EVENTS 1000

/* Text that may not be UTF-8. */
static json_t *text(const char *s)
{
    json_t *t = json_string(s);
    return t ? t : json_string("(not UTF-8)");
}

static void put(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static json_t *job_row(const struct queue_job *j)
{
    json_t *o = json_object();
    put(o, "id", json_integer(j->id));
    put(o, "job", text(j->name));
    put(o, "recipe", text(j->recipe));
    put(o, "group", text(j->group));
    put(o, "version", json_integer(j->version));
    put(o, "state", text(job_state_name(j->state)));
    put(o, "attempt", json_integer(j->attempt));
    put(o, "failures", json_integer(j->failures));
    put(o, "created_at", json_real(j->created_at));
    put(o, "changed_at", json_real(j->changed_at));
    put(o, "retry_at",
        j->state == JOB_DEFERRED ? json_real(j->not_before) : json_null());
    put(o, "stage", text(j->stage));
    put(o, "error", text(j->error));
    put(o, "message", text(j->message));
    return o;
}

/* ---- status ---- */

static json_t *running(struct service *s)
{
    json_t *list = json_array();
    size_t n = (size_t)executor_workers(s->executor);
    struct executor_state *states = mem_calloc(n, sizeof *states, NULL);
    n = states ? executor_running(s->executor, states, n) : 0;
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();
        put(o, "job", text(states[i].job));
        put(o, "stage", text(states[i].stage));
        put(o, "stage_index", json_integer(states[i].index));
        put(o, "stages", json_integer(states[i].count));
        put(o, "share", json_real(states[i].share));
        put(o, "seconds", json_real(states[i].seconds));
        json_array_append_new(list, o);
    }
    free(states);
    return list;
}

static json_t *problems(struct service *s)
{
    static const enum job_state states[] = {JOB_HELD, JOB_QUARANTINED, JOB_DEFERRED};
    json_t *list = json_array();
    for (int k = 0; k < 3; k++) {
        struct queue_job *jobs;
        size_t n;
        if (queue_jobs(s->queue, states[k], SHOWN_PROBLEMS, &jobs, &n, NULL)) {
            continue;
        }
        for (size_t i = 0; i < n && json_array_size(list) < SHOWN_PROBLEMS; i++) {
            json_array_append_new(list, job_row(&jobs[i]));
        }
        free(jobs);
    }
    return list;
}

static json_t *waiting(struct service *s)
{
    json_t *list = json_array();
    struct queue_waiting *w;
    size_t n;
    if (queue_waiting(s->queue, SHOWN_GROUPS, &w, &n, NULL)) {
        return list;
    }
    double now = service_now();
    double quiet = params_real(s->config->values, "group_quiet_seconds");
    for (size_t i = 0; i < n; i++) {
        double due = w[i].quiet_since > 0 ? w[i].quiet_since + quiet : 0.0;
        char why[sizeof w[i].waits_for + 48];
        int used = snprintf(why, sizeof why, "%s", w[i].waits_for);
        if (due > 0) {
            snprintf(why + used, sizeof why - (size_t)used, ", or %.0f s of quiet",
                     due > now ? due - now : 0.0);
        }
        json_t *o = json_object();
        put(o, "group", text(w[i].group));
        put(o, "waits_for", text(why));
        put(o, "due_at", due > 0 ? json_real(due) : json_null());
        json_array_append_new(list, o);
    }
    free(w);
    return list;
}

static json_t *troubles(struct service *s)
{
    json_t *list = json_array();
    size_t first =
        s->n_troubles > SERVICE_TROUBLES ? s->n_troubles - SERVICE_TROUBLES : 0;
    for (size_t i = s->n_troubles; i-- > first;) {
        const struct service_trouble *t = &s->troubles[i % SERVICE_TROUBLES];
        json_t *o = json_object();
        put(o, "at", json_real(t->at));
        put(o, "message", text(t->message));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *rejections(struct service *s)
{
    json_t *list = json_array();
    struct queue_event *events;
    size_t n;
    if (queue_rejections(s->queue, 5, &events, &n, NULL)) {
        return list;
    }
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();
        put(o, "at", json_real(events[i].at));
        put(o, "message", text(events[i].message));
        json_array_append_new(list, o);
    }
    free(events);
    return list;
}

static json_t *status(struct service *s, struct err *err)
{
    struct queue_counts c;
    size_t incomplete;
    inbox_drain(s->inbox); /* what the kernel knows, we know */
    if (queue_count(s->queue, &c, err)) {
        return NULL;
    }
    double now = service_now();
    json_t *o = json_object(), *inbox = json_object(), *exposures = json_object(),
           *jobs = json_object();
    put(o, "ok", json_true());
    put(o, "version", text(IFUD_VERSION));
    put(o, "state", text(s->stopping ? "stopping" : "running"));
    put(o, "pid", json_integer(getpid()));
    put(o, "now", json_real(now));
    put(o, "uptime_seconds", json_real(now - s->started));
    put(o, "workers", json_integer(executor_workers(s->executor)));
    put(o, "threads_per_worker", json_integer(s->place.threads));
    put(inbox, "folder", text(s->inbox_folder));
    put(inbox, "files", json_integer((json_int_t)inbox_count(s->inbox, &incomplete)));
    put(inbox, "incomplete", json_integer((json_int_t)incomplete));
    put(inbox, "taking_in", json_integer((json_int_t)spool_busy(s->spool)));
    put(o, "inbox", inbox);
    put(exposures, "accepted", json_integer(c.accepted));
    put(exposures, "science", json_integer(c.science));
    put(exposures, "imprint", json_integer(c.imprint));
    put(exposures, "background", json_integer(c.background));
    put(exposures, "superseded", json_integer(c.superseded));
    put(exposures, "duplicates", json_integer(c.duplicates));
    put(exposures, "rejected", json_integer(c.rejected));
    put(o, "exposures", exposures);
    for (int i = JOB_WAITING; i < JOB_STATES; i++) {
        put(jobs, job_state_name((enum job_state)i), json_integer(c.jobs[i]));
    }
    put(o, "jobs", jobs);
    put(o, "running", running(s));
    put(o, "waiting", waiting(s));
    put(o, "problems", problems(s));
    put(o, "rejections", rejections(s));
    put(o, "troubles", troubles(s));
    put(o, "config", reload_status(s));
    put(o, "products_folder", text(s->products_folder));
    put(o, "rejected_folder", text(s->rejected_folder));
    return o;
}

/* ---- show, events ---- */

static json_t *event_list(struct service *s, int64_t after, const char *job,
                          size_t limit, struct err *err)
{
    struct queue_event *events;
    size_t n;
    if (queue_events(s->queue, after, job, limit, &events, &n, err)) {
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();
        put(o, "id", json_integer(events[i].id));
        put(o, "at", json_real(events[i].at));
        put(o, "exposure", text(events[i].exposure));
        put(o, "job", text(events[i].job));
        put(o, "from", text(events[i].from));
        put(o, "to", text(events[i].to));
        put(o, "message", text(events[i].message));
        json_array_append_new(list, o);
    }
    free(events);
    return list;
}

static json_t *input_list(struct service *s, int64_t job, struct err *err)
{
    struct queue_input *in;
    size_t n;
    if (queue_inputs(s->queue, job, &in, &n, err)) {
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        struct queue_exposure e;
        struct queue_job from;
        if (in[i].input_job && !queue_get_job(s->queue, in[i].input_job, &from, err)) {
            json_array_append_new(list, text(from.name));
        } else if (in[i].exposure &&
                   !queue_get_exposure(s->queue, in[i].exposure, &e, err)) {
            json_array_append_new(list, text(e.name));
        }
    }
    free(in);
    return list;
}

static json_t *product_list(struct service *s, int64_t job, struct err *err)
{
    struct queue_product *p;
    size_t n;
    if (queue_products(s->queue, job, &p, &n, err)) {
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();
        put(o, "path", text(p[i].path));
        put(o, "suffix", text(p[i].suffix));
        put(o, "sha256", text(p[i].sha256));
        put(o, "bytes", json_integer(p[i].bytes));
        json_array_append_new(list, o);
    }
    free(p);
    return list;
}

static json_t *show(struct service *s, const char *name, struct err *err)
{
    struct queue_job j;
    if (queue_find_job(s->queue, name, &j, err)) {
        return NULL;
    }
    json_t *o = job_row(&j);
    put(o, "ok", json_true());
    put(o, "inputs", input_list(s, j.id, err));
    put(o, "products", product_list(s, j.id, err));
    put(o, "events", event_list(s, -50, j.name, 50, err));
    char *folder = work_folder(&s->place, &j, err);
    put(o, "products_folder", text(folder ? folder : ""));
    free(folder);
    char manifest[8192] = "";
    if (j.attempt > 0) {
        snprintf(manifest, sizeof manifest, "%s/%s.json", s->manifests_folder, j.name);
    }
    put(o, "manifest", text(manifest));
    return o;
}

static json_t *events(struct service *s, const struct request *r, struct err *err)
{
    int64_t n = r->limit ? r->limit : 50;
    n = n < 1 ? 1 : n > MAX_EVENTS ? MAX_EVENTS : n;
    json_t *list = event_list(s, r->has_after ? r->after : -n, r->job ? r->job : "",
                              (size_t)n, err);
    if (!list) {
        return NULL;
    }
    json_t *o = json_object();
    put(o, "ok", json_true());
    put(o, "events", list);
    return o;
}

/* A held or quarantined job runs again. */
static json_t *retry(struct service *s, const char *name, bool is_owner,
                     struct err *err)
{
    struct queue_job j;
    if (!is_owner) {
        err_set(err, ERR_PARAM,
                "only the owner of the daemon and root may retry a job");
        return NULL;
    }
    if (queue_find_job(s->queue, name, &j, err)) {
        return NULL;
    }
    if (j.state != JOB_HELD && j.state != JOB_QUARANTINED) {
        err_set(err, ERR_PARAM,
                "job %.300s is %s: only held and quarantined jobs are retried", j.name,
                job_state_name(j.state));
        return NULL;
    }
    if (queue_retry(s->queue, j.id, "an operator retries it", service_now(), err) ||
        queue_get_job(s->queue, j.id, &j, err)) {
        return NULL;
    }
    log_info("job %s is retried", j.name);
    executor_rescan_references(s->executor);
    service_dispatch(s);
    json_t *o = job_row(&j);
    put(o, "ok", json_true());
    return o;
}

char *report_answer(void *service, const char *request, size_t n, bool is_owner)
{
    struct service *s = service;
    struct err err = {0};
    struct request in = {0};
    json_t *out = NULL;
    if (request_parse(request, n, &in, &err)) {
        /* err says what is wrong */
    } else if (!strcmp(in.verb, "status")) {
        out = status(s, &err);
    } else if (!strcmp(in.verb, "show") && in.job) {
        out = show(s, in.job, &err);
    } else if (!strcmp(in.verb, "retry") && in.job) {
        out = retry(s, in.job, is_owner, &err);
    } else if (!strcmp(in.verb, "show") || !strcmp(in.verb, "retry")) {
        err_set(&err, ERR_PARAM, "%s needs \"job\": its name or number", in.verb);
    } else if (!strcmp(in.verb, "events")) {
        out = events(s, &in, &err);
    } else {
        err_set(&err, ERR_PARAM,
                "no request '%.40s': give status, show, events or retry", in.verb);
    }
    if (!out) {
        out = json_object();
        put(out, "ok", json_false());
        put(out, "error", text(err.message));
    }
    char *line = json_dumps(out, JSON_COMPACT);
    json_decref(out);
    request_done(&in);
    return line;
}
