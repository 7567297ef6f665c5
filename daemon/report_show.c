#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/queue_associations.h"
#include "daemon/queue_find.h"
#include "daemon/report_parts.h"

#define SHOWN_EVENTS 50
#define MAX_EVENTS 1000
#define MAX_JOBS 500

static json_t *event_array(const struct queue_event *events, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, report_event(&events[i]));
    }
    return list;
}

static int put_job_events(json_t *o, const struct report *r, int64_t after,
                          const char *job, size_t limit, struct err *err)
{
    struct queue_event *events;
    size_t n;
    int code = queue_events(r->queue, after, job, limit, &events, &n, err);
    if (!code) {
        report_put(o, "events", event_array(events, n));
        free(events);
    }
    return code;
}

static int put_inputs(json_t *o, const struct report *r, int64_t job, struct err *err)
{
    struct queue_input *in;
    size_t n;
    int code = queue_inputs(r->queue, job, &in, &n, err);
    if (code) {
        return code;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        struct queue_exposure e;
        struct queue_job from;
        if (in[i].input_job && !queue_get_job(r->queue, in[i].input_job, &from, err)) {
            json_array_append_new(list, report_text(from.name));
        } else if (in[i].exposure &&
                   !queue_get_exposure(r->queue, in[i].exposure, &e, err)) {
            json_array_append_new(list, report_text(e.name));
        }
    }
    report_put(o, "inputs", list);
    free(in);
    return 0;
}

/* What it reads beside them, and why. */
static int put_members(json_t *o, const struct report *r, int64_t job, struct err *err)
{
    struct queue_companion *list;
    size_t n;
    int code = queue_companions(r->queue, job, &list, &n, err);
    if (code) {
        return code;
    }
    json_t *members = json_array();
    for (size_t i = 0; i < n; i++) {
        struct queue_exposure e;
        struct queue_job from;
        bool known = list[i].input_job
                         ? !queue_get_job(r->queue, list[i].input_job, &from, err)
                         : !queue_get_exposure(r->queue, list[i].exposure, &e, err);
        json_t *m = json_object();
        report_put(m, "member",
                   report_text(!known              ? ""
                               : list[i].input_job ? from.name
                                                   : e.name));
        report_put(m, "role", report_text(list[i].role));
        report_put(m, "why", report_text(list[i].why));
        json_array_append_new(members, m);
    }
    report_put(o, "members", members);
    free(list);
    return 0;
}

static int put_products(json_t *o, const struct report *r, int64_t job, struct err *err)
{
    struct queue_product *p;
    size_t n;
    int code = queue_products(r->queue, job, &p, &n, err);
    if (code) {
        return code;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *product = json_object();
        report_put(product, "path", report_text(p[i].path));
        report_put(product, "suffix", report_text(p[i].suffix));
        report_put(product, "sha256", report_text(p[i].sha256));
        report_put(product, "bytes", json_integer(p[i].bytes));
        json_array_append_new(list, product);
    }
    report_put(o, "products", list);
    free(p);
    return 0;
}

/* An exposure with its history: seen, settling, accepted, ... */
static json_t *exposure_with_history(const struct report *r,
                                     const struct queue_exposure *e, struct err *err)
{
    struct queue_event *events;
    size_t n;
    if (queue_exposure_events(r->queue, e->id, SHOWN_EVENTS, &events, &n, err)) {
        return NULL;
    }
    json_t *o = report_exposure(e);
    report_put(o, "events", event_array(events, n));
    free(events);
    return o;
}

static json_t *show_job(const struct report *r, const struct queue_job *j,
                        struct err *err)
{
    char why[1024], manifest[8192] = "";
    struct queue_exposure e;
    json_t *o = report_job(j), *history = NULL;
    report_why(r, j, why, sizeof why);
    report_put(o, "why", report_text(why));
    if (put_inputs(o, r, j->id, err) || put_members(o, r, j->id, err) ||
        put_products(o, r, j->id, err) ||
        put_job_events(o, r, -SHOWN_EVENTS, j->name, SHOWN_EVENTS, err) ||
        (j->exposure && (queue_get_exposure(r->queue, j->exposure, &e, err) ||
                         !(history = exposure_with_history(r, &e, err))))) {
        json_decref(o);
        return NULL;
    }
    report_put(o, "exposure", history ? history : json_null());
    report_put(o, "stale", report_stale_of(r, j->id));
    report_put(o, "difference", report_difference(r, j->id));
    char *folder = work_folder(&r->place, j, err);
    report_put(o, "products_folder", report_text(folder ? folder : ""));
    free(folder);
    if (j->attempt > 0) {
        snprintf(manifest, sizeof manifest, "%s/%s.json", r->place.manifests, j->name);
    }
    report_put(o, "manifest", report_text(manifest));
    return o;
}

static json_t *show_exposure(const struct report *r, const struct queue_exposure *e,
                             struct err *err)
{
    struct queue_job *jobs;
    size_t n;
    json_t *o = exposure_with_history(r, e, err), *names = json_array();
    if (o && !queue_jobs_of_exposure(r->queue, e->id, MAX_JOBS, &jobs, &n, err)) {
        for (size_t i = 0; i < n; i++) {
            json_array_append_new(names, report_text(jobs[i].name));
        }
        free(jobs);
        report_put(o, "jobs", names);
        return o;
    }
    json_decref(names);
    json_decref(o);
    return NULL;
}

/* A group that has no job yet. */
static json_t *show_group(const struct report *r, const struct queue_waiting *w)
{
    char what[700], why[720];
    json_t *o = json_object();
    report_waits_for(r, w, what, sizeof what);
    snprintf(why, sizeof why, "waits for: %s", *what ? what : "nothing");
    report_put(o, "group", report_text(w->group));
    report_put(o, "state", report_text("waiting"));
    report_put(o, "why", report_text(why));
    return o;
}

json_t *report_show(const struct report *r, const struct request *in, struct err *err)
{
    struct queue_association a;
    struct queue_waiting w = {0};
    struct queue_job j;
    struct queue_exposure e;
    struct err none;
    /* a name with an extension is a file's; a base name is first of all a job's */
    bool is_file = strstr(in->job, ".fits") != NULL;
    if (association_is_name(in->job) &&
        !queue_get_association(r->queue, in->job, &a, &none)) {
        return report_association(r, &a, err);
    }
    if (is_file && !queue_find_exposure(r->queue, in->job, &e, &none)) {
        return show_exposure(r, &e, err);
    }
    if (!queue_find_job(r->queue, in->job, &j, &none)) {
        return show_job(r, &j, err);
    }
    if (!is_file && !queue_find_exposure(r->queue, in->job, &e, &none)) {
        return show_exposure(r, &e, err);
    }
    if (!queue_group_waiting(r->queue, in->job, &w, &none) && *w.plan.waits_for) {
        return show_group(r, &w);
    }
    report_find(r, in->job, &j, err); /* says which names are near */
    return NULL;
}

static size_t bounded(int64_t wanted, size_t usual, size_t max)
{
    return wanted < 1 ? usual : wanted > (int64_t)max ? max : (size_t)wanted;
}

json_t *report_list(const struct report *r, const struct request *in, struct err *err)
{
    struct queue_filter f = {.state = in->state ? job_state_of(in->state) : JOB_STATES,
                             .program = in->program,
                             .group = in->group,
                             .newest_first = true};
    if (in->state && f.state == JOB_STATES) {
        err_set(err, ERR_PARAM, "no state '%.40s': docs/lifecycle.md has them",
                in->state);
        return NULL;
    }
    struct queue_job *jobs;
    size_t n;
    int64_t next;
    if (queue_select(r->queue, &f, in->after, bounded(in->limit, 50, MAX_JOBS), &jobs,
                     &n, &next, err)) {
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, report_job(&jobs[i]));
    }
    free(jobs);
    json_t *o = json_object();
    report_put(o, "jobs", list);
    report_put(o, "next", json_integer(next));
    return o;
}

json_t *report_events(const struct report *r, const struct request *in, struct err *err)
{
    size_t limit = bounded(in->limit, 50, MAX_EVENTS);
    struct queue_job j = {0};
    if (in->job && report_find(r, in->job, &j, err)) {
        return NULL;
    }
    json_t *o = json_object();
    if (put_job_events(o, r, in->has_after ? in->after : -(int64_t)limit, j.name, limit,
                       err)) {
        json_decref(o);
        return NULL;
    }
    return o;
}
