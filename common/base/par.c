#include "common/base/par.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/mem.h"

struct loop {
    size_t n;
    atomic_size_t next;
    par_body body;
    void *arg;
    const atomic_bool *cancel;
    pthread_mutex_t *lock;
    size_t failed_at; /* lowest failing piece, n if none; under lock */
    struct err err;   /* of that piece; under lock */
    int code;
};

struct member {
    struct par *par;
    int index;
    pthread_t thread;
};

struct par {
    int n_threads;
    int n_started;
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    unsigned long round; /* counts loops; a member wakes when it changes */
    int busy;            /* members still in the current loop */
    int stop;
    struct loop *loop;
    struct member *members;
};

static void run_pieces(struct loop *loop, int thread)
{
    for (;;) {
        size_t i = atomic_fetch_add(&loop->next, 1);
        if (i >= loop->n) {
            return;
        }
        struct err err = {0};
        int code;
        if (loop->cancel && atomic_load(loop->cancel)) {
            code = err_set(&err, ERR_CANCELLED, "cancelled");
        } else {
            code = loop->body(i, thread, loop->arg, &err);
        }
        if (code) {
            pthread_mutex_lock(loop->lock);
            if (i < loop->failed_at) {
                loop->failed_at = i;
                loop->err = err;
                loop->code = code;
            }
            pthread_mutex_unlock(loop->lock);
            atomic_store(&loop->next, loop->n);
            return;
        }
    }
}

static void *member_main(void *arg)
{
    struct member *me = arg;
    struct par *par = me->par;
    unsigned long seen = 0;
    pthread_mutex_lock(&par->lock);
    for (;;) {
        while (!par->stop && par->round == seen) {
            pthread_cond_wait(&par->work, &par->lock);
        }
        if (par->stop) {
            break;
        }
        seen = par->round;
        struct loop *loop = par->loop;
        pthread_mutex_unlock(&par->lock);
        run_pieces(loop, me->index);
        pthread_mutex_lock(&par->lock);
        if (--par->busy == 0) {
            pthread_cond_signal(&par->idle);
        }
    }
    pthread_mutex_unlock(&par->lock);
    return NULL;
}

int par_new(int n_threads, struct par **ret_par, struct err *err)
{
    if (n_threads < 1 || n_threads > 1024) {
        return err_set(err, ERR_PARAM, "%d threads: give 1 to 1024", n_threads);
    }
    struct par *par = mem_calloc(1, sizeof *par, err);
    if (!par) {
        return ERR_NOMEM;
    }
    par->members = mem_calloc(n_threads, sizeof *par->members, err);
    if (!par->members) {
        free(par);
        return ERR_NOMEM;
    }
    par->n_threads = n_threads;
    pthread_mutex_init(&par->lock, NULL);
    pthread_cond_init(&par->work, NULL);
    pthread_cond_init(&par->idle, NULL);
    for (int i = 1; i < n_threads; i++) {
        par->members[i] = (struct member){.par = par, .index = i};
        if (pthread_create(&par->members[i].thread, NULL, member_main,
                           &par->members[i])) {
            par_free(par);
            return err_set(err, ERR_NOMEM, "cannot start thread %d of %d", i,
                           n_threads);
        }
        par->n_started++;
    }
    *ret_par = par;
    return 0;
}

void par_free(struct par *par)
{
    if (!par) {
        return;
    }
    pthread_mutex_lock(&par->lock);
    par->stop = 1;
    pthread_cond_broadcast(&par->work);
    pthread_mutex_unlock(&par->lock);
    for (int i = 1; i <= par->n_started; i++) {
        pthread_join(par->members[i].thread, NULL);
    }
    pthread_cond_destroy(&par->work);
    pthread_cond_destroy(&par->idle);
    pthread_mutex_destroy(&par->lock);
    free(par->members);
    free(par);
}

int par_threads(const struct par *par)
{
    return par ? par->n_threads : 1;
}

int par_for(struct par *par, size_t n, par_body body, void *arg,
            const atomic_bool *cancel, struct err *err)
{
    pthread_mutex_t alone = PTHREAD_MUTEX_INITIALIZER;
    struct loop loop = {.n = n,
                        .body = body,
                        .arg = arg,
                        .cancel = cancel,
                        .lock = par ? &par->lock : &alone,
                        .failed_at = n};
    if (par && par->n_started > 0 && n > 1) {
        pthread_mutex_lock(&par->lock);
        par->loop = &loop; /* cppcheck-suppress autoVariables ; we wait for it below */
        par->busy = par->n_started;
        par->round++;
        pthread_cond_broadcast(&par->work);
        pthread_mutex_unlock(&par->lock);
        run_pieces(&loop, 0);
        pthread_mutex_lock(&par->lock);
        while (par->busy > 0) {
            pthread_cond_wait(&par->idle, &par->lock);
        }
        pthread_mutex_unlock(&par->lock);
    } else {
        run_pieces(&loop, 0);
    }
    if (loop.failed_at < n) {
        if (err) {
            *err = loop.err;
        }
        return loop.code;
    }
    return 0;
}
