#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "daemon/queue_find.h"
#include "daemon/report_parts.h"
#include "daemon/service_state.h"

#define SHOWN_PROBLEMS 20
#define SHOWN_GROUPS 20
#define SHOWN_PROGRAMS 20
#define COUNTED 1000
#define LATELY (24 * 3600.0) /* s: a file that was rejected since then is news */

static void put_running(json_t *o, const struct report *r)
{
    json_t *list = json_array();
    size_t n = r->live ? (size_t)executor_workers(r->live->executor) : 0;
    struct executor_state *states = n ? mem_calloc(n, sizeof *states, NULL) : NULL;
    n = states ? executor_running(r->live->executor, states, n) : 0;
    for (size_t i = 0; i < n; i++) {
        struct queue_job j = {0};
        json_t *job = json_object();
        queue_get_job(r->queue, states[i].id, &j, NULL);
        report_put(job, "job", report_text(states[i].job));
        report_put(job, "stage", report_text(states[i].stage));
        report_put(job, "stage_index", json_integer(states[i].index));
        report_put(job, "stages", json_integer(states[i].count));
        report_put(job, "share", json_real(states[i].share));
        report_put(job, "seconds", json_real(states[i].seconds));
        report_put(job, "quiet_seconds", json_real(states[i].quiet));
        report_put(job, "isolated", json_boolean(states[i].isolated));
        report_put(job, "suspect", json_boolean(states[i].suspect));
        report_put(job, "stuck", json_boolean(states[i].stuck));
        report_put(job, "attempt", json_integer(j.attempt));
        report_put(job, "wish", report_text(j.wish));
        report_put(job, "estimate_bytes", json_integer(j.estimate_bytes));
        json_array_append_new(list, job);
    }
    free(states);
    report_put(o, "running", list);
}

/* Jobs of some states with what can be done about each. */
static void put_jobs(json_t *o, const struct report *r, const char *key,
                     const enum job_state *states, int n_states)
{
    json_t *list = json_array();
    for (int k = 0; k < n_states; k++) {
        struct queue_job *jobs;
        size_t n;
        if (queue_jobs(r->queue, states[k], SHOWN_PROBLEMS, &jobs, &n, NULL)) {
            continue;
        }
        for (size_t i = 0; i < n && json_array_size(list) < SHOWN_PROBLEMS; i++) {
            char why[1024];
            json_t *job = report_job(&jobs[i]);
            report_why(r, &jobs[i], why, sizeof why);
            report_put(job, "why", report_text(why));
            json_array_append_new(list, job);
        }
        free(jobs);
    }
    report_put(o, key, list);
}

static void put_waiting(json_t *o, const struct report *r)
{
    json_t *list = json_array();
    struct queue_waiting *waits;
    size_t n;
    if (!queue_waiting(r->queue, SHOWN_GROUPS, &waits, &n, NULL)) {
        for (size_t i = 0; i < n; i++) {
            char what[700];
            json_t *w = json_object();
            double due = report_waits_for(r, &waits[i], what, sizeof what);
            report_put(w, "group", report_text(waits[i].group));
            report_put(w, "waits_for", report_text(what));
            report_members_wait(&waits[i], what, sizeof what);
            report_put(w, "members_wait", report_text(what));
            due = waits[i].plan.look_at > 0 ? waits[i].plan.look_at : due;
            report_put(w, "due_at", due > 0 ? json_real(due) : json_null());
            json_array_append_new(list, w);
        }
        free(waits);
    }
    report_put(o, "waiting", list);
}

/* Backgrounds that exist and are not used, and what has no leakage exposure. */
static void put_offers(json_t *o, const struct report *r)
{
    json_t *list = json_array();
    struct queue_waiting *offers;
    size_t n, bare = 0;
    if (!queue_offers(r->queue, SHOWN_GROUPS, &offers, &n, NULL)) {
        for (size_t i = 0; i < n; i++) {
            json_t *w = json_object();
            report_put(w, "group", report_text(offers[i].group));
            report_put(w, "offer", report_text(offers[i].plan.offer));
            json_array_append_new(list, w);
        }
        free(offers);
    }
    queue_without_imprint(r->queue, &bare, NULL);
    report_put(o, "unused_backgrounds", list);
    report_put(o, "without_imprint", json_integer((json_int_t)bare));
}

/* Who has jobs in the queue, and how much each has had of the workers lately. */
static void put_programs(json_t *o, const struct report *r)
{
    json_t *list = json_array();
    struct queue_share *shares;
    size_t n;
    double all = 0,
           half_life = params_real(r->config->values, "share_half_life_seconds");
    if (!queue_shares(r->queue, service_now(), half_life, &shares, &n, NULL)) {
        for (size_t i = 0; i < n; i++) {
            all += shares[i].used_seconds;
        }
        for (size_t i = 0; i < n && json_array_size(list) < SHOWN_PROGRAMS; i++) {
            size_t queued = 0;
            queue_program_queued(r->queue, shares[i].program, COUNTED, &queued, NULL);
            if (!queued && !shares[i].running) {
                continue;
            }
            json_t *p = json_object();
            report_put(p, "program", report_text(shares[i].program));
            report_put(p, "queued", json_integer((json_int_t)queued));
            report_put(p, "more", json_boolean(queued == COUNTED));
            report_put(p, "running", json_integer(shares[i].running));
            report_put(p, "used_share",
                       json_real(all > 0 ? shares[i].used_seconds / all : 0));
            json_array_append_new(list, p);
        }
        free(shares);
    }
    report_put(o, "programs", list);
}

static void put_rejections(json_t *o, const struct report *r)
{
    json_t *list = json_array();
    struct queue_event *events;
    size_t n, lately = 0;
    queue_rejected_since(r->queue, service_now() - LATELY, COUNTED, &lately, NULL);
    report_put(o, "rejected_lately", json_integer((json_int_t)lately));
    if (!queue_rejections(r->queue, 5, &events, &n, NULL)) {
        for (size_t i = 0; i < n; i++) {
            json_array_append_new(list, report_event(&events[i]));
        }
        free(events);
    }
    report_put(o, "rejections", list);
}

static void put_warnings(json_t *o, const struct report *r)
{
    json_t *list = json_array();
    struct queue_job *jobs;
    size_t n;
    if (!queue_jobs_warned(r->queue, 5, &jobs, &n, NULL)) {
        for (size_t i = 0; i < n; i++) {
            json_t *w = json_object();
            report_put(w, "at", json_real(jobs[i].changed_at));
            report_put(w, "job", report_text(jobs[i].name));
            report_put(w, "message", report_text(jobs[i].message));
            json_array_append_new(list, w);
        }
        free(jobs);
    }
    report_put(o, "warnings", list);
}

static void put_troubles(json_t *o, const struct service *s)
{
    json_t *list = json_array();
    size_t n = s ? s->n_troubles : 0;
    size_t first = n > SERVICE_TROUBLES ? n - SERVICE_TROUBLES : 0;
    for (size_t i = n; i-- > first;) {
        const struct service_trouble *t = &s->troubles[i % SERVICE_TROUBLES];
        json_t *trouble = json_object();
        report_put(trouble, "at", json_real(t->at));
        report_put(trouble, "message", report_text(t->message));
        json_array_append_new(list, trouble);
    }
    report_put(o, "troubles", list);
}

static int put_counts(json_t *o, const struct report *r, struct err *err)
{
    struct queue_counts c;
    bool planned = false;
    int code = queue_count(r->queue, &c, err);
    code = code ? code : queue_is_planned(r->queue, &planned, err);
    if (code) {
        return code;
    }
    json_t *exposures = json_object(), *jobs = json_object();
    report_put(exposures, "accepted", json_integer(c.accepted));
    report_put(exposures, "science", json_integer(c.science));
    report_put(exposures, "imprint", json_integer(c.imprint));
    report_put(exposures, "background", json_integer(c.background));
    report_put(exposures, "superseded", json_integer(c.superseded));
    report_put(exposures, "gone", json_integer(c.gone));
    report_put(exposures, "duplicates", json_integer(c.duplicates));
    report_put(exposures, "rejected", json_integer(c.rejected));
    report_put(o, "exposures", exposures);
    for (int i = JOB_WAITING; i < JOB_STATES; i++) {
        report_put(jobs, job_state_name((enum job_state)i), json_integer(c.jobs[i]));
    }
    report_put(o, "jobs", jobs);
    report_put(o, "planned", json_boolean(planned));
    return 0;
}

/* What only a running daemon knows; without one, what it would begin with. */
static void put_service(json_t *o, const struct report *r)
{
    const struct service *s = r->live;
    json_t *inbox = json_object();
    size_t incomplete = 0;
    char drain[8] = "";
    queue_get_setting(r->queue, "drain", drain, sizeof drain, NULL);
    report_put(o, "state",
               report_text(!s            ? "down"
                           : s->stopping ? "stopping"
                           : s->draining ? "draining"
                                         : "running"));
    report_put(o, "draining", json_boolean(s ? s->draining : *drain != 0));
    report_put(o, "pid", s ? json_integer(getpid()) : json_null());
    report_put(o, "uptime_seconds",
               s ? json_real(service_now() - s->started) : json_null());
    report_put(o, "workers",
               json_integer(s ? executor_workers(s->executor)
                              : params_int(r->config->values, "workers")));
    report_put(o, "threads_per_worker", json_integer(r->place.threads));
    report_put(inbox, "folder", report_text(r->inbox_folder));
    if (s) {
        inbox_drain(s->inbox); /* what the kernel knows, we know */
        size_t files = inbox_count(s->inbox, &incomplete);
        report_put(inbox, "files", json_integer((json_int_t)files));
        report_put(inbox, "incomplete", json_integer((json_int_t)incomplete));
        report_put(inbox, "taking_in", json_integer((json_int_t)spool_busy(s->spool)));
    }
    report_put(o, "inbox", inbox);
}

static void block(json_t *list, const char *what, const char *why)
{
    if (*why) {
        json_array_append_new(
            list, json_pack("{s:s,s:o}", "what", what, "why", report_text(why)));
    }
}

static void put_blocked(json_t *o, const struct report *r)
{
    json_t *list = json_array();
    if (r->live) {
        block(list, "intake", intake_blocked(r->live));
        block(list, "dispatch", service_dispatch_blocked(r->live));
    }
    report_put(o, "blocked", list);
}

/* What is promised to jobs that run, of what there is for them. */
static void put_memory(json_t *o, const struct report *r)
{
    const struct service *s = r->live;
    report_put(o, "memory",
               s ? json_pack("{s:I,s:I,s:I}", "reserved_bytes",
                             (json_int_t)s->gate.admission.used, "budget_bytes",
                             (json_int_t)gate_budget(s), "machine_bytes",
                             (json_int_t)s->gate.machine)
                 : json_null());
}

json_t *report_status(const struct report *r, const struct request *in, struct err *err)
{
    static const enum job_state bad[] = {JOB_HELD, JOB_QUARANTINED, JOB_DEFERRED},
                                suspect[] = {JOB_SUSPECT};
    (void)in;
    json_t *o = json_object();
    report_put(o, "version", report_text(IFUD_VERSION));
    report_put(o, "now", json_real(service_now()));
    put_service(o, r);
    if (put_counts(o, r, err)) {
        json_decref(o);
        return NULL;
    }
    put_blocked(o, r);
    put_memory(o, r);
    put_running(o, r);
    put_programs(o, r);
    put_waiting(o, r);
    put_offers(o, r);
    report_put(o, "stale", report_stale_sum(r));
    put_jobs(o, r, "problems", bad, 3);
    put_jobs(o, r, "suspects", suspect, 1);
    put_warnings(o, r);
    put_rejections(o, r);
    put_troubles(o, r->live);
    report_put(o, "config", r->live ? reload_status(r->live) : json_null());
    report_put(o, "products_folder", report_text(r->place.products));
    report_put(o, "rejected_folder", report_text(r->rejected_folder));
    return o;
}
