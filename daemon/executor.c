#include "daemon/executor.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/base/par.h"

struct worker {
    struct executor *ex;
    pthread_t thread;
    struct par *par;
    atomic_bool cancel, stop_at_stage;
    /* under ex->lock: */
    bool has_job, has_report;
    struct job job;
    struct executor_report report;
    struct executor_state state;
    double started;
    double said; /* share of the last line */
};

struct executor {
    struct executor_options o;
    struct worker *workers;
    int n, n_started;
    uv_async_t wake;
    pthread_mutex_t lock;
    pthread_cond_t more;
    bool stop; /* under lock */
    atomic_bool rescan;
};

static double clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- on the worker ---- */

static void on_stage(void *user, const char *stage, int index, int count, double share)
{
    struct worker *w = user;
    struct executor *ex = w->ex;
    pthread_mutex_lock(&ex->lock);
    struct executor_state *s = &w->state;
    bool fresh = strcmp(s->stage, stage) != 0 || s->index != index;
    snprintf(s->stage, sizeof s->stage, "%s", stage);
    s->index = index;
    s->count = count;
    s->share = share;
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

static void on_note(void *user, int is_warning, const char *stage, const char *line)
{
    struct worker *w = user;
    if (w->ex->o.note) {
        w->ex->o.note(w->ex->o.user, w->job.id, stage, is_warning != 0, line);
    }
}

static void run(struct worker *w)
{
    struct executor *ex = w->ex;
    struct executor_report *r = &w->report;
    struct job_events events = {.stage = on_stage, .note = on_note, .user = w};
    if (atomic_exchange(&ex->rescan, false) && ex->o.refs) {
        r->code = references_rescan(ex->o.refs, &r->err);
    }
    if (!r->code) {
        r->code = ex->o.run(&w->job, ex->o.refs, w->par, &w->cancel, &events,
                            &r->result, &r->err);
    }
    r->seconds = clock_s() - w->started;
}

static void *thread_main(void *arg)
{
    struct worker *w = arg;
    struct executor *ex = w->ex;
    pthread_mutex_lock(&ex->lock);
    for (;;) {
        while (!ex->stop && (!w->has_job || w->has_report)) {
            pthread_cond_wait(&ex->more, &ex->lock);
        }
        if (!w->has_job || w->has_report) {
            break;
        }
        pthread_mutex_unlock(&ex->lock);
        run(w);
        pthread_mutex_lock(&ex->lock);
        w->has_report = true;
        uv_async_send(&ex->wake);
    }
    pthread_mutex_unlock(&ex->lock);
    return NULL;
}

/* ---- on the loop ---- */

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

void executor_start(struct executor *ex, int64_t id, struct job *job)
{
    pthread_mutex_lock(&ex->lock);
    for (int i = 0; i < ex->n; i++) {
        struct worker *w = &ex->workers[i];
        if (w->has_job) {
            continue;
        }
        w->has_job = true;
        w->job = *job;
        *job = (struct job){0};
        w->report = (struct executor_report){.id = id};
        w->state = (struct executor_state){.id = id, .index = -1};
        snprintf(w->state.job, sizeof w->state.job, "%s", w->job.id);
        w->started = clock_s();
        w->said = 0;
        atomic_store(&w->cancel, false);
        atomic_store(&w->stop_at_stage, false);
        break;
    }
    pthread_cond_broadcast(&ex->more);
    pthread_mutex_unlock(&ex->lock);
}

bool executor_poll(struct executor *ex, struct executor_report *ret)
{
    bool found = false;
    pthread_mutex_lock(&ex->lock);
    for (int i = 0; i < ex->n && !found; i++) {
        struct worker *w = &ex->workers[i];
        if (w->has_report) {
            found = true;
            *ret = w->report;
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

void executor_cancel(struct executor *ex, int64_t id, bool at_stage_end)
{
    for (int i = 0; i < ex->n; i++) {
        struct worker *w = &ex->workers[i];
        if (w->has_job && (id == 0 || w->state.id == id)) {
            atomic_store(at_stage_end ? &w->stop_at_stage : &w->cancel, true);
        }
    }
}

size_t executor_running(struct executor *ex, struct executor_state *ret, size_t room)
{
    size_t n = 0;
    double now = clock_s();
    pthread_mutex_lock(&ex->lock);
    for (int i = 0; i < ex->n && n < room; i++) {
        if (ex->workers[i].has_job) {
            ret[n] = ex->workers[i].state;
            ret[n++].seconds = now - ex->workers[i].started;
        }
    }
    pthread_mutex_unlock(&ex->lock);
    return n;
}

void executor_rescan_references(struct executor *ex)
{
    atomic_store(&ex->rescan, true);
}

static void release(struct executor *ex)
{
    for (int i = 0; i < ex->n; i++) {
        struct worker *w = &ex->workers[i];
        if (w->has_job) {
            executor_report_done(&w->report);
            job_done(&w->job);
        }
        par_free(w->par);
    }
    pthread_mutex_destroy(&ex->lock);
    pthread_cond_destroy(&ex->more);
    free(ex->workers);
    free(ex);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
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
    for (int i = 0; i < ex->n_started; i++) {
        pthread_join(ex->workers[i].thread, NULL);
    }
    uv_close((uv_handle_t *)&ex->wake, on_closed);
}

int executor_open(uv_loop_t *loop, const struct executor_options *options,
                  struct executor **ret, struct err *err)
{
    struct executor *ex = mem_calloc(1, sizeof *ex, err);
    if (!ex) {
        return ERR_NOMEM;
    }
    ex->o = *options;
    pthread_mutex_init(&ex->lock, NULL);
    pthread_cond_init(&ex->more, NULL);
    ex->workers = mem_calloc((size_t)options->workers, sizeof *ex->workers, err);
    if (!ex->workers) {
        release(ex);
        return ERR_NOMEM;
    }
    ex->n = options->workers;
    uv_async_init(loop, &ex->wake, on_wake);
    ex->wake.data = ex;
    for (int i = 0; i < ex->n; i++) {
        struct worker *w = &ex->workers[i];
        w->ex = ex;
        int code = par_new(options->threads, &w->par, err);
        if (!code && pthread_create(&w->thread, NULL, thread_main, w)) {
            code =
                err_set(err, ERR_NOMEM, "cannot start worker %d of %d", i + 1, ex->n);
        }
        if (code) {
            executor_close(ex);
            return code;
        }
        ex->n_started++;
    }
    *ret = ex;
    return 0;
}
