#include <pthread.h>

#include "common/base/par.h"
#include "daemon/executor_worker.h"

/* Jobs on threads of the daemon: one thread for each worker, from its first job on. */

static void run(struct executor_worker *w)
{
    struct executor *ex = w->ex;
    struct executor_report *r = &w->report;
    struct job_events events = {
        .stage = executor_on_stage, .note = executor_on_note, .user = w};
    if (atomic_exchange(&ex->rescan, false) && ex->o.refs) {
        r->code = references_rescan(ex->o.refs, &r->err);
    }
    if (!r->code) {
        r->code = ex->o.run(&w->job, ex->o.refs, w->par, &w->cancel, &events,
                            &r->result, &r->err);
    }
}

static void *thread_main(void *arg)
{
    struct executor_worker *w = arg;
    struct executor *ex = w->ex;
    pthread_mutex_lock(&ex->lock);
    for (;;) {
        while (!ex->stop && !w->on_thread) {
            pthread_cond_wait(&ex->more, &ex->lock);
        }
        if (!w->on_thread) {
            break;
        }
        pthread_mutex_unlock(&ex->lock);
        run(w);
        executor_finish(w); /* not on_thread any more: the next job may come */
        pthread_mutex_lock(&ex->lock);
    }
    pthread_mutex_unlock(&ex->lock);
    return NULL;
}

static int make_thread(struct executor_worker *w, struct err *err)
{
    int code = w->par ? 0 : par_new(w->ex->o.threads, &w->par, err);
    if (!code && pthread_create(&w->thread, NULL, thread_main, w)) {
        code = err_set(err, ERR_NOMEM, "cannot start a worker's thread");
    }
    w->has_thread = !code;
    return code;
}

int executor_thread_start(struct executor_worker *w, struct err *err)
{
    int code = w->has_thread ? 0 : make_thread(w, err);
    if (!code) {
        pthread_mutex_lock(&w->ex->lock);
        w->on_thread = true;
        pthread_cond_broadcast(&w->ex->more);
        pthread_mutex_unlock(&w->ex->lock);
    }
    return code;
}

void executor_thread_join(struct executor_worker *w)
{
    if (w->has_thread) {
        pthread_join(w->thread, NULL);
        w->has_thread = false;
    }
}
