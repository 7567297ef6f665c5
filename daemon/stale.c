#include "daemon/stale.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "daemon/queue_stale.h"
#include "daemon/service_state.h"
#include "jobs/job_stale.h"

#define SLICE 20 /* jobs that cannot be described, at a time */

struct stale {
    struct service *service;
    bool wanted; /* a pass is asked for */
    bool busy;   /* one is under way */
    bool rescan; /* it begins: the references are listed first */
    bool
        readers; /* the rest of it: jobs that read stale products, until none is left */
    bool more;   /* one was found since they were last gone through */
    int64_t after; /* jobs up to this number have been looked at */
    size_t found;
    uv_work_t work;
    /* The piece that is on the thread, which holds the lock meanwhile; the loop passes
     * through it before and after, so that the handing over does not rest on libuv alone
     * (the thread sanitizer does not look into it). */
    pthread_mutex_t lock;
    struct references *references; /* borrowed */
    struct queue_job row;          /* id 0: none, only the references */
    struct job job;
    struct job_stale result;
    struct err err;
};

int stale_open(struct service *s, struct err *err)
{
    s->stale = mem_calloc(1, sizeof *s->stale, err);
    if (!s->stale) {
        return ERR_NOMEM;
    }
    s->stale->service = s;
    s->stale->references = s->references;
    s->stale->work.data = s->stale;
    pthread_mutex_init(&s->stale->lock, NULL);
    stale_look_anew(s);
    return 0;
}

void stale_look_anew(struct service *s)
{
    if (s->stale) {
        s->stale->wanted = !s->once; /* who runs it once waits for its end */
    }
}

bool stale_is_looking(const struct service *s)
{
    return s->stale && (s->stale->wanted || s->stale->busy);
}

void stale_close(struct service *s)
{
    if (s->stale) {
        pthread_mutex_destroy(&s->stale->lock);
    }
    free(s->stale);
    s->stale = NULL;
}

/* ---- on the thread ---- */

static void look(uv_work_t *work)
{
    struct stale *t = work->data;
    pthread_mutex_lock(&t->lock);
    int code = t->rescan ? references_rescan(t->references, &t->err) : 0;
    if (!code && t->row.id) {
        job_stale_look(&t->job, t->references, &t->result, &t->err);
    }
    pthread_mutex_unlock(&t->lock);
}

/* ---- on the loop ---- */

static void pass_lock(struct stale *t)
{
    pthread_mutex_lock(&t->lock);
    pthread_mutex_unlock(&t->lock);
}

/* What reads stale products is stale, too. */
static int look_at_inputs(struct stale *t, struct err *err)
{
    size_t n = 0;
    char first[2 * QUEUE_NAME];
    int code = queue_stale_inputs(t->service->queue, t->row.id, &n, first, err);
    if (!code && n && !t->result.stale) {
        t->result.stale = true;
        snprintf(t->result.step, sizeof t->result.step, "inputs");
        snprintf(t->result.why, sizeof t->result.why, "made from stale products: %s",
                 first);
        if (n > 1) {
            snprintf(t->result.why, sizeof t->result.why,
                     "made from stale products of %zu jobs: %s and others", n, first);
        }
    }
    return code;
}

static void keep(struct stale *t)
{
    struct service *s = t->service;
    struct err err = {0};
    bool news = false;
    int code = look_at_inputs(t, &err);
    if (!code && t->result.stale) {
        code = queue_set_stale(s->queue, t->row.id, t->result.step, t->result.why,
                               service_now(), &news, &err);
        t->found += !code;
    } else if (!code) {
        code = queue_unset_stale(s->queue, t->row.id, &err);
    }
    if (code) {
        service_trouble(s, "cannot record what is stale: %s", err.message);
    } else if (news) {
        log_event(LOG_LEVEL_INFO, NULL, &(struct log_fields){.job = t->row.name},
                  "job %s: its products are stale from %s on: %s", t->row.name,
                  t->result.step, t->result.why);
    }
}

static void next(struct stale *t);

static void on_looked(uv_work_t *work, int status)
{
    struct stale *t = work->data;
    struct service *s = t->service;
    pass_lock(t);
    job_done(&t->job);
    if (s->closing || s->stopping || status) {
        t->busy = false;
        return;
    }
    if (t->rescan && t->err.code) {
        service_trouble(s, "cannot list the references: %s", t->err.message);
        t->busy = false;
        return;
    }
    t->rescan = false;
    if (t->row.id && !t->err.code) { /* else it could not run now: nothing is known */
        keep(t);
    }
    next(t);
}

static void hand_over(struct stale *t)
{
    t->result = (struct job_stale){0};
    t->err = (struct err){0};
    pass_lock(t);
    if (uv_queue_work(&t->service->loop, &t->work, look, on_looked)) {
        job_done(&t->job);
        t->busy = false;
    }
}

static void end(struct stale *t)
{
    char at[40];
    struct err err = {0};
    t->busy = false;
    snprintf(at, sizeof at, "%.3f", service_now());
    if (queue_set_setting(t->service->queue, "stale_looked_at", at, &err)) {
        service_trouble(t->service, "cannot record what is stale: %s", err.message);
    }
    if (t->found) {
        log_info("the products of %zu job%s are stale; ifuctl stale lists them",
                 t->found, t->found == 1 ? "" : "s");
    }
}

/* A job may have been looked at before those that it reads: jobs of a group are planned in
 * any order, and those of a target before all of its groups. */
static void next_reader(struct stale *t)
{
    struct err err = {0};
    if (queue_next_reader(t->service->queue, t->after, &t->row, &err)) {
        service_trouble(t->service, "cannot look for stale products: %s", err.message);
        t->busy = false;
    } else if (!t->row.id && !t->more) {
        end(t);
    } else {
        const size_t before = t->found;
        t->after = t->row.id; /* 0: from the first again */
        t->result = (struct job_stale){0};
        if (t->row.id) {
            keep(t);
        }
        t->more = t->row.id && (t->more || t->found > before);
        t->row.id = 0; /* go on after other work of the loop */
        hand_over(t);
    }
}

/* The next job that can be described goes to the thread. */
static void next(struct stale *t)
{
    struct service *s = t->service;
    for (int i = 0; i < SLICE && !t->readers; i++) {
        struct err err = {0};
        int code = queue_next_done(s->queue, t->after, &t->row, &err);
        if (code) {
            service_trouble(s, "cannot look for stale products: %s", err.message);
            t->busy = false;
            return;
        }
        if (!t->row.id) {
            t->readers = true;
            t->after = 0;
            break;
        }
        t->after = t->row.id;
        code = work_describe(s->queue, s->spool, s->config, &s->place, &t->row, &t->job,
                             &err);
        if (!code && (code = work_reuse(s->queue, &t->row, &t->job, &err))) {
            job_done(&t->job);
        }
        if (!code) {
            hand_over(t);
            return;
        }
    }
    if (t->readers) {
        next_reader(t);
    } else {
        t->row.id = 0;
        hand_over(t);
    }
}

void stale_tick(struct service *s)
{
    struct stale *t = s->stale;
    if (!t->wanted || t->busy || s->stopping || !care_is_done(s)) {
        return;
    }
    t->wanted = false;
    t->busy = t->rescan = true;
    t->readers = false;
    t->after = 0;
    t->found = 0;
    t->row.id = 0;
    hand_over(t);
}
