#include "daemon/executor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/par.h"
#include "daemon/executor_worker.h"

#define CLOCK_MS 50

/* ---- what a job tells ---- */

void executor_on_stage(void *worker, const char *stage, int index, int count,
                       double share)
{
    struct executor_worker *w = worker;
    struct executor *ex = w->ex;
    pthread_mutex_lock(&ex->lock);
    struct executor_state *s = &w->state;
    bool fresh = strcmp(s->stage, stage) != 0 || s->index != index;
    snprintf(s->stage, sizeof s->stage, "%s", stage);
    s->index = index;
    s->count = count;
    s->share = share;
    w->told_at = clock_steady();
    bool say = fresh || share >= w->said + 0.25 || (share >= 1.0 && w->said < 1.0);
    if (say) {
        w->said = share;
    }
    pthread_mutex_unlock(&ex->lock);
    if (fresh && atomic_load(&w->stop_at_stage)) {
        atomic_store(&w->cancel, true);
    }
    if (say && ex->o.progress) {
        ex->o.progress(ex->o.user, w->job.id, stage, index, count, share);
    }
}

void executor_on_note(void *worker, int is_warning, const char *stage, const char *line)
{
    struct executor_worker *w = worker;
    if (is_warning) {
        pthread_mutex_lock(&w->ex->lock);
        struct executor_report *r = &w->report;
        if (r->warnings++ == 0) {
            snprintf(r->warning, sizeof r->warning, "%s: %s", stage, line);
        }
        pthread_mutex_unlock(&w->ex->lock);
    }
    if (w->ex->o.note) {
        w->ex->o.note(w->ex->o.user, w->job.id, stage, is_warning != 0, line);
    }
}

void executor_finish(struct executor_worker *w)
{
    struct executor *ex = w->ex;
    w->report.seconds = clock_steady() - w->started;
    pthread_mutex_lock(&ex->lock);
    w->on_thread = false;
    w->has_report = true;
    if (!ex->closing) {
        uv_async_send(&ex->wake);
    }
    pthread_mutex_unlock(&ex->lock);
}

/* ---- time limits and cancellations ---- */

static bool has_report(struct executor_worker *w)
{
    pthread_mutex_lock(&w->ex->lock);
    bool yes = w->has_report;
    pthread_mutex_unlock(&w->ex->lock);
    return yes;
}

/* It does not end although it was asked to. */
static void kill_worker(struct executor_worker *w)
{
    struct executor *ex = w->ex;
    w->killed = true;
    if (w->child) {
        executor_child_signal(w, SIGKILL);
    } else {
        pthread_mutex_lock(&ex->lock);
        w->state.stuck = true;
        pthread_mutex_unlock(&ex->lock);
    }
}

/* Pass a cancellation on, and after the grace make an end. */
static void watch(struct executor_worker *w, double now)
{
    if (w->how.time_limit > 0 && !w->timed_out && !w->cancelled &&
        now >= w->started + w->how.time_limit) {
        w->timed_out = true;
        atomic_store(&w->cancel, true);
    }
    if (!w->cancelled && atomic_load(&w->cancel)) {
        w->cancelled = true;
        w->cancelled_at = now;
        if (w->child) {
            executor_child_signal(w, SIGTERM);
        }
    }
    if (w->cancelled && !w->killed && now >= w->cancelled_at + w->how.grace) {
        kill_worker(w);
    }
}

static void on_clock(uv_timer_t *clock)
{
    struct executor *ex = clock->data;
    double now = clock_steady();
    for (int i = 0; i < ex->n; i++) {
        struct executor_worker *w = &ex->workers[i];
        if (w->has_job && !has_report(w)) {
            watch(w, now);
        }
    }
    if (executor_idle(ex) == ex->n) {
        uv_timer_stop(clock);
    }
}

void executor_cancel(struct executor *ex, int64_t id, bool at_stage_end)
{
    for (int i = 0; i < ex->n; i++) {
        struct executor_worker *w = &ex->workers[i];
        if (w->has_job && (id == 0 || w->state.id == id)) {
            atomic_store(at_stage_end ? &w->stop_at_stage : &w->cancel, true);
        }
    }
}

/* ---- jobs ---- */

static void on_wake(uv_async_t *wake)
{
    struct executor *ex = wake->data;
    ex->o.wake(ex->o.user);
}

int executor_idle(const struct executor *ex)
{
    int idle = 0;
    for (int i = 0; i < ex->n; i++) {
        idle += !ex->workers[i].has_job; /* changed by this thread only */
    }
    return idle;
}

int executor_workers(const struct executor *ex)
{
    return ex->n;
}

static void take_over(struct executor_worker *w, int64_t id, struct job *job,
                      const struct executor_how *how)
{
    w->has_job = true;
    w->how = *how;
    w->job = *job;
    *job = (struct job){0};
    w->report = (struct executor_report){
        .id = id, .isolated = how->isolated, .suspect = how->suspect};
    w->state = (struct executor_state){
        .id = id, .index = -1, .isolated = how->isolated, .suspect = how->suspect};
    snprintf(w->state.job, sizeof w->state.job, "%s", w->job.id);
    w->started = w->told_at = clock_steady();
    w->said = 0;
    w->timed_out = w->cancelled = w->killed = false;
    atomic_store(&w->cancel, false);
    atomic_store(&w->stop_at_stage, false);
}

void executor_start(struct executor *ex, int64_t id, struct job *job,
                    const struct executor_how *how)
{
    struct executor_worker *w = ex->workers;
    while (w->has_job) {
        w++;
    }
    pthread_mutex_lock(&ex->lock);
    take_over(w, id, job, how);
    pthread_mutex_unlock(&ex->lock);
    struct err err = {0};
    int code =
        how->isolated ? executor_child_start(w, &err) : executor_thread_start(w, &err);
    if (code) {
        w->report.code = code;
        w->report.err = err;
        executor_finish(w);
    } else if (!uv_is_active((uv_handle_t *)&ex->clock)) {
        uv_timer_start(&ex->clock, on_clock, CLOCK_MS, CLOCK_MS);
    }
}

bool executor_poll(struct executor *ex, struct executor_report *ret)
{
    bool found = false;
    pthread_mutex_lock(&ex->lock);
    for (int i = 0; i < ex->n && !found; i++) {
        struct executor_worker *w = &ex->workers[i];
        if (w->has_report) {
            found = true;
            *ret = w->report;
            ret->timed_out = w->timed_out;
            w->report = (struct executor_report){0};
            job_done(&w->job);
            w->job = (struct job){0};
            w->has_job = w->has_report = false;
        }
    }
    pthread_mutex_unlock(&ex->lock);
    return found;
}

void executor_report_done(struct executor_report *report)
{
    job_result_done(&report->result);
    *report = (struct executor_report){0};
}

size_t executor_running(struct executor *ex, struct executor_state *ret, size_t room)
{
    size_t n = 0;
    double now = clock_steady();
    pthread_mutex_lock(&ex->lock);
    for (int i = 0; i < ex->n && n < room; i++) {
        const struct executor_worker *w = &ex->workers[i];
        if (w->has_job) {
            ret[n] = w->state;
            ret[n].seconds = now - w->started;
            ret[n++].quiet = now - w->told_at;
        }
    }
    pthread_mutex_unlock(&ex->lock);
    return n;
}

void executor_rescan_references(struct executor *ex)
{
    atomic_store(&ex->rescan, true);
}

/* ---- start and end ---- */

static void release(struct executor *ex)
{
    for (int i = 0; i < ex->n; i++) {
        struct executor_worker *w = &ex->workers[i];
        if (w->has_job) {
            executor_report_done(&w->report);
            job_done(&w->job);
        }
        par_free(w->par);
    }
    pthread_mutex_destroy(&ex->lock);
    pthread_cond_destroy(&ex->more);
    free(ex->workers);
    free(ex->ifurun);
    free(ex);
}

void executor_closed(struct executor *ex)
{
    if (--ex->handles == 0) {
        release(ex);
    }
}

static void on_closed(uv_handle_t *handle)
{
    executor_closed(handle->data);
}

void executor_close(struct executor *ex)
{
    if (!ex) {
        return;
    }
    pthread_mutex_lock(&ex->lock);
    ex->stop = true;
    pthread_cond_broadcast(&ex->more);
    pthread_mutex_unlock(&ex->lock);
    for (int i = 0; i < ex->n; i++) {
        if (ex->workers[i].child) {
            executor_child_signal(&ex->workers[i], SIGKILL);
        }
        executor_thread_join(&ex->workers[i]);
    }
    ex->closing = true;
    uv_close((uv_handle_t *)&ex->wake, on_closed);
    uv_close((uv_handle_t *)&ex->clock, on_closed);
}

int executor_open(uv_loop_t *loop, const struct executor_options *options,
                  struct executor **ret, struct err *err)
{
    struct executor *ex = mem_calloc(1, sizeof *ex, err);
    if (!ex) {
        return ERR_NOMEM;
    }
    ex->o = *options;
    ex->loop = loop;
    ex->ifurun = options->ifurun ? mem_strdup(options->ifurun, err)
                                 : executor_child_program(err);
    ex->workers = mem_calloc((size_t)options->workers, sizeof *ex->workers, err);
    pthread_mutex_init(&ex->lock, NULL);
    pthread_cond_init(&ex->more, NULL);
    if (!ex->workers || !ex->ifurun) {
        release(ex);
        return ERR_NOMEM;
    }
    ex->n = options->workers;
    for (int i = 0; i < ex->n; i++) {
        ex->workers[i].ex = ex;
    }
    uv_async_init(loop, &ex->wake, on_wake);
    uv_timer_init(loop, &ex->clock);
    ex->wake.data = ex->clock.data = ex;
    ex->handles = 2;
    *ret = ex;
    return 0;
}
