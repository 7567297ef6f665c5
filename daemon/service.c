#include "daemon/service.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/path.h"
#include "daemon/notify.h"
#include "daemon/service_state.h"

#define TICK_MS 200
#define RETRY_INTAKE_SECONDS 10.0

double service_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void service_trouble(struct service *s, const char *fmt, ...)
{
    char message[sizeof s->troubles[0].message];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    size_t first =
        s->n_troubles > SERVICE_TROUBLES ? s->n_troubles - SERVICE_TROUBLES : 0;
    for (size_t i = first; i < s->n_troubles; i++) {
        struct service_trouble *t = &s->troubles[i % SERVICE_TROUBLES];
        if (!strcmp(t->message, message)) {
            t->at = service_now();
            return;
        }
    }
    struct service_trouble *t = &s->troubles[s->n_troubles++ % SERVICE_TROUBLES];
    t->at = service_now();
    memcpy(t->message, message, sizeof message);
    log_error("%s", message);
}

/* ---- jobs ---- */

/* Where a failed attempt goes. */
static enum job_state after_failure(const struct service *s, const struct queue_job *j,
                                    int code, double *ret_not_before)
{
    if (code == ERR_CANCELLED) {
        return JOB_QUEUED;
    }
    if ((code != ERR_IO && code != ERR_NOMEM) ||
        j->failures >= params_int(s->config->values, "retry_limit")) {
        return JOB_HELD;
    }
    double wait = params_real(s->config->values, "retry_seconds") *
                  pow(2.0, j->failures < 20 ? j->failures : 20);
    *ret_not_before = service_now() + (wait < 86400.0 ? wait : 86400.0);
    return JOB_DEFERRED;
}

/* Record the end of an attempt and plan what follows, in one commit. */
static int record(struct service *s, const struct executor_report *r,
                  struct queue_job *ret_job, struct err *err)
{
    int code = queue_begin(s->queue, err);
    if (code) {
        return code;
    }
    if ((code = queue_get_job(s->queue, r->id, ret_job, err))) {
        goto out;
    }
    struct queue_change change = {0};
    enum job_state to = JOB_DONE;
    if (r->code) {
        to = after_failure(s, ret_job, r->code, &change.not_before);
        change.message = r->code == ERR_CANCELLED ? "stopped" : r->err.message;
        change.error = err_name(r->code);
        change.stage = r->result.failed_stage;
        change.count_failure = r->code != ERR_CANCELLED;
    } else if ((code = work_keep_products(s->queue, r->id, &r->result, err))) {
        goto out;
    }
    if ((code = queue_move(s->queue, r->id, to, &change, service_now(), err))) {
        goto out;
    }
    ret_job->state = to;
    if (to == JOB_DEFERRED &&
        (s->next_retry == 0 || change.not_before < s->next_retry)) {
        s->next_retry = change.not_before;
    }
    code = service_plan_group(
        s, ret_job->group, params_real(s->config->values, "group_quiet_seconds"), err);
out:
    if (code) {
        queue_rollback(s->queue);
        return code;
    }
    return queue_commit(s->queue, err);
}

/* False if the queue refused: the report must be kept. */
static bool ended(struct service *s, struct executor_report *r)
{
    struct queue_job job = {0};
    struct err err = {0};
    if (record(s, r, &job, &err)) {
        service_trouble(s, "cannot record the end of a job, trying again: %s",
                        err.message);
        return false;
    }
    if (job.state == JOB_DONE) {
        log_info("job %s done in %.1f s, %zu products", job.name, r->seconds,
                 r->result.n_products);
    } else if (r->code == ERR_CANCELLED) {
        log_info("job %s stopped, will run again", job.name);
    } else {
        log_error("job %s %s at stage %s: %s", job.name, job_state_name(job.state),
                  *r->result.failed_stage ? r->result.failed_stage : "-",
                  r->err.message);
    }
    executor_report_done(r);
    return true;
}

static void keep_unsaved(struct service *s, struct executor_report *r)
{
    struct executor_report *more =
        mem_realloc(s->unsaved, s->n_unsaved + 1, sizeof *more, NULL);
    if (!more) { /* it is still `running` in the queue: the next start runs it again */
        executor_report_done(r);
        return;
    }
    s->unsaved = more;
    s->unsaved[s->n_unsaved++] = *r;
}

static void retry_unsaved(struct service *s)
{
    while (s->n_unsaved && ended(s, &s->unsaved[s->n_unsaved - 1])) {
        s->n_unsaved--;
    }
}

/* Commit the attempt, make the manifest, hand it to a worker. */
static int start_job(struct service *s, const struct queue_job *next, struct err *err)
{
    struct queue_job row;
    struct job job;
    int code = queue_move(s->queue, next->id, JOB_RUNNING, NULL, service_now(), err);
    code = code ? code : queue_get_job(s->queue, next->id, &row, err);
    if (code) {
        return code;
    }
    struct executor_report failed = {.id = row.id};
    failed.code =
        work_prepare(s->queue, s->spool, s->config, &s->place, &row, &job, &failed.err);
    if (failed.code) {
        if (!ended(s, &failed)) {
            keep_unsaved(s, &failed);
        }
        return 0;
    }
    log_info("job %s started, attempt %d", row.name, row.attempt);
    executor_start(s->executor, row.id, &job);
    return 0;
}

void service_dispatch(struct service *s)
{
    struct err err = {0};
    while (!s->stopping && executor_idle(s->executor) > 0) {
        struct queue_job next;
        int code = queue_next(s->queue, &next, &err);
        if (!code && !next.id) {
            return;
        }
        code = code ? code : start_job(s, &next, &err);
        if (code) {
            service_trouble(s, "cannot start a job, trying again: %s", err.message);
            return;
        }
    }
}

static void close_all(struct service *s);

static void on_report(void *user)
{
    struct service *s = user;
    struct executor_report r;
    while (executor_poll(s->executor, &r)) {
        if (!ended(s, &r)) {
            keep_unsaved(s, &r);
        }
    }
    service_dispatch(s);
}

static void on_progress(void *user, const char *job, const char *stage, int index,
                        int count, double share)
{
    (void)user;
    log_info("job %s stage %s (%d of %d) %3.0f %%", job, stage, index + 1, count,
             100.0 * share);
}

static void on_note(void *user, const char *job, const char *stage, bool is_warning,
                    const char *line)
{
    (void)user;
    log_at(is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "job %s stage %s: %s", job,
           stage, line);
}

/* ---- intake ---- */

static bool on_settled(void *user, const struct inbox_file *file)
{
    struct service *s = user;
    return !s->stopping &&
           spool_submit(s->spool, file->name, &file->st, file->last_chance);
}

static void on_trouble(void *user, const char *message)
{
    struct service *s = user;
    service_trouble(s, "inbox %s: %s", s->inbox_folder, message);
}

/* One commit: the exposure (or that it came again) and the jobs that follow. */
static int accept_exposure(struct service *s, const struct spool_result *r,
                           bool *ret_twice, struct err *err)
{
    const struct queue_exposure *e = &r->exposure;
    struct queue_exposure known = {0};
    int64_t id = 0;
    int code = queue_begin(s->queue, err);
    if (code) {
        return code;
    }
    code = queue_find_content(s->queue, e->sha256, &id, err);
    if (!code && id) {
        code = queue_get_exposure(s->queue, id, &known, err);
        char message[2 * QUEUE_NAME + 32];
        snprintf(message, sizeof message, "%s has the bytes of %s", e->name,
                 known.name);
        code = code ? code
                    : queue_note_file(s->queue, id, "duplicate", message, service_now(),
                                      err);
    } else if (!code) {
        code = queue_add_exposure(s->queue, e, service_now(), &id, err);
        code = code ? code
                    : service_plan_group(
                          s, e->group,
                          params_real(s->config->values, "group_quiet_seconds"), err);
    }
    if (code) {
        queue_rollback(s->queue);
        return code;
    }
    if (!(code = queue_commit(s->queue, err))) {
        *ret_twice = known.id != 0;
        if (known.id && strcmp(known.name, e->name) != 0) {
            spool_forget(s->spool, e->sha256, e->name);
        }
    }
    return code;
}

static void take(struct service *s, const struct spool_result *r)
{
    struct err err = {0};
    bool twice = false;
    if (accept_exposure(s, r, &twice, &err)) {
        service_trouble(s, "cannot accept %s, trying again: %s", r->name, err.message);
        inbox_again(s->inbox, r->name, RETRY_INTAKE_SECONDS);
        return;
    }
    log_info(twice ? "exposure %s came again (%s, %.12s)"
                   : "exposure %s accepted (%s, %.12s)",
             r->name, r->exposure.role, r->exposure.sha256);
    if (spool_clear(s->spool, r->name, &r->st)) {
        inbox_gone(s->inbox, r->name);
    } else {
        inbox_again(s->inbox, r->name, 0);
    }
}

static void on_spooled(void *user, const struct spool_result *r)
{
    struct service *s = user;
    struct err err = {0};
    switch (r->outcome) {
    case SPOOL_STORED:
        take(s, r);
        break;
    case SPOOL_CHANGED:
        inbox_again(s->inbox, r->name, 0);
        break;
    case SPOOL_GONE:
        inbox_gone(s->inbox, r->name);
        break;
    case SPOOL_INCOMPLETE:
        log_info("%s is not complete yet: %s", r->name, r->err.message);
        inbox_incomplete(s->inbox, r->name);
        break;
    case SPOOL_REJECTED:
        log_warning("rejected: %s", r->err.message);
        if (queue_note_file(s->queue, 0, "rejected", r->err.message, service_now(),
                            &err)) {
            service_trouble(s, "cannot record that %s was rejected: %s", r->name,
                            err.message);
        }
        inbox_gone(s->inbox, r->name);
        break;
    case SPOOL_TROUBLE:
        service_trouble(s, "cannot take in %s, trying again: %s", r->name,
                        r->err.message);
        inbox_again(s->inbox, r->name, RETRY_INTAKE_SECONDS);
        break;
    }
    service_dispatch(s);
}

/* ---- time and signals ---- */

/* Nothing to take in, nothing to run. */
static bool is_idle(struct service *s)
{
    struct queue_counts c;
    inbox_drain(s->inbox);
    return inbox_count(s->inbox, NULL) == 0 && spool_busy(s->spool) == 0 &&
           s->n_unsaved == 0 &&
           executor_idle(s->executor) == executor_workers(s->executor) &&
           queue_count(s->queue, &c, NULL) == 0 && c.jobs[JOB_QUEUED] == 0 &&
           c.jobs[JOB_RUNNING] == 0 && c.jobs[JOB_DEFERRED] == 0;
}

static void stop(struct service *s)
{
    if (s->stop_requests++ > 0) {
        log_info("stopping at once");
        executor_cancel(s->executor, 0, false);
        return;
    }
    s->stopping = true;
    s->stop_at = service_now() + params_real(s->config->values, "stop_seconds");
    notify("STOPPING=1");
    log_info("stopping after the running stages");
    executor_cancel(s->executor, 0, true);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct service *s = handle->data;
    if (number != SIGHUP) {
        stop(s);
        return;
    }
    log_info("listing the inbox and the references anew");
    executor_rescan_references(s->executor);
    inbox_rescan(s->inbox);
}

static void on_tick(uv_timer_t *timer)
{
    struct service *s = timer->data;
    struct err err = {0};
    double now = service_now();
    retry_unsaved(s);
    if (s->stopping) {
        if (now >= s->stop_at) {
            executor_cancel(s->executor, 0, false);
        }
        if (executor_idle(s->executor) == executor_workers(s->executor) &&
            (s->n_unsaved == 0 || now >= s->stop_at)) {
            close_all(s);
        }
        return;
    }
    int code = 0;
    if (s->next_quiet > 0 && now >= s->next_quiet) {
        code = service_plan_all(
            s, true, params_real(s->config->values, "group_quiet_seconds"), &err);
    }
    if (!code && s->next_retry > 0 && now >= s->next_retry) {
        code = queue_wake_deferred(s->queue, now, &s->next_retry, &err);
    }
    if (!code && s->once && is_idle(s)) {
        code = service_plan_all(s, true, 0.0, &err);
        if (!code && is_idle(s)) {
            stop(s);
        }
    }
    if (code) {
        service_trouble(s, "planning failed, trying again: %s", err.message);
    }
    service_dispatch(s);
}

/* ---- start and end ---- */

static void close_all(struct service *s)
{
    if (s->closing) {
        return;
    }
    s->closing = true;
    status_close(s->status);
    inbox_close(s->inbox);
    spool_close(s->spool);
    executor_close(s->executor);
    s->status = NULL;
    s->inbox = NULL;
    s->spool = NULL;
    s->executor = NULL;
    for (int i = 0; i < 3; i++) {
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    }
    uv_close((uv_handle_t *)&s->tick, NULL);
}

/* A folder of the configuration, created, as an absolute path. */
static int folder(const struct service *s, const char *key, mode_t mode, char **ret,
                  struct err *err)
{
    const char *path = params_string(s->config->values, key);
    if (!path) {
        return 0;
    }
    int code = path_make_folder(path, mode, err);
    if (!code && !(*ret = realpath(path, NULL))) {
        code = err_set(err, ERR_IO, "%s %s: %s", key, path, strerror(errno));
    }
    return code;
}

static int open_folders(struct service *s, struct err *err)
{
    int code;
    if ((code = folder(s, "inbox_folder", 0770, &s->inbox_folder, err)) ||
        (code = folder(s, "spool_folder", 0700, &s->spool_folder, err)) ||
        (code = folder(s, "products_folder", 0755, &s->products_folder, err)) ||
        (code = folder(s, "rejected_folder", 0750, &s->rejected_folder, err)) ||
        (code = folder(s, "references_folder", 0755, &s->references_folder, err))) {
        return code;
    }
    s->manifests_folder = path_join(s->spool_folder, "jobs", err);
    char *lock = path_join(s->spool_folder, "lock", err);
    if (!s->manifests_folder || !lock) {
        free(lock);
        return ERR_NOMEM;
    }
    code = path_make_folder(s->manifests_folder, 0700, err);
    s->lock = code ? -1 : open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (!code && (s->lock < 0 || flock(s->lock, LOCK_EX | LOCK_NB))) {
        code = err_set(err, ERR_IO, "%s: %s", lock,
                       errno == EWOULDBLOCK ? "another ifud works in this spool"
                                            : strerror(errno));
    }
    free(lock);
    return code;
}

static int open_queue(struct service *s, struct err *err)
{
    size_t n = 0;
    char *path = path_join(s->spool_folder, "queue.db", err);
    int code = path ? queue_open(path, &s->queue, err) : ERR_NOMEM;
    free(path);
    code = code ? code : queue_recover(s->queue, service_now(), &n, err);
    if (!code && n) {
        log_info("%zu jobs that ran when the daemon ended are queued again", n);
    }
    code = code
               ? code
               : service_plan_all(s, false,
                                  params_real(s->config->values, "group_quiet_seconds"),
                                  err);
    return code ? code
                : queue_wake_deferred(s->queue, service_now(), &s->next_retry, err);
}

static int open_workers(struct service *s, executor_run run, struct err *err)
{
    const struct params *v = s->config->values;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    cores = cores < 1 ? 1 : cores;
    s->place.threads = config_inner_threads(s->config, (int)cores);
    s->place.products = s->products_folder;
    s->place.references = s->references_folder;
    s->place.manifests = s->manifests_folder;
    if (params_int(v, "workers") > cores) {
        log_warning("workers = %ld, but there are %ld cores", params_int(v, "workers"),
                    cores);
    }
    size_t bytes = (size_t)params_int(v, "references_memory_mb") << 20;
    int code = references_open(s->references_folder, bytes, &s->references, err);
    struct executor_options o = {.workers = (int)params_int(v, "workers"),
                                 .threads = s->place.threads,
                                 .refs = s->references,
                                 .run = run,
                                 .wake = on_report,
                                 .progress = on_progress,
                                 .note = on_note,
                                 .user = s};
    return code ? code : executor_open(&s->loop, &o, &s->executor, err);
}

static int open_doors(struct service *s, struct err *err)
{
    const struct params *v = s->config->values;
    struct spool_options spool = {.folder = s->spool_folder,
                                  .inbox = s->inbox_folder,
                                  .rejected = s->rejected_folder,
                                  .done = on_spooled,
                                  .user = s};
    struct status_options status = {
        .path = params_string(v, "socket_path"),
        .mode = (unsigned)strtoul(params_string(v, "socket_mode"), NULL, 8),
        .idle_seconds = 30,
        .answer = report_answer,
        .user = s};
    struct inbox_options inbox = {.folder = s->inbox_folder,
                                  .settle_seconds = params_real(v, "settle_seconds"),
                                  .incomplete_seconds =
                                      params_real(v, "incomplete_seconds"),
                                  .rescan_seconds = params_real(v, "rescan_seconds"),
                                  .settled = on_settled,
                                  .trouble = on_trouble,
                                  .user = s};
    int code = spool_open(&s->loop, &spool, &s->spool, err);
    code = code ? code : inbox_open(&s->loop, &inbox, &s->inbox, err);
    return code ? code : status_open(&s->loop, &status, &s->status, err);
}

static int make_socket_folder(const struct service *s, struct err *err)
{
    char *path = path_folder(params_string(s->config->values, "socket_path"), err);
    int code = path ? path_make_folder(path, 0755, err) : ERR_NOMEM;
    free(path);
    return code;
}

static void release(struct service *s)
{
    queue_close(s->queue);
    references_close(s->references);
    for (size_t i = 0; i < s->n_unsaved; i++) {
        executor_report_done(&s->unsaved[i]);
    }
    if (s->lock >= 0) {
        close(s->lock);
    }
    free(s->unsaved);
    free(s->inbox_folder);
    free(s->spool_folder);
    free(s->products_folder);
    free(s->rejected_folder);
    free(s->references_folder);
    free(s->manifests_folder);
    free(s);
}

int service_run(const struct config *config, executor_run run, bool once,
                long *ret_held, struct err *err)
{
    static const int numbers[3] = {SIGTERM, SIGINT, SIGHUP};
    struct service *s = mem_calloc(1, sizeof *s, err);
    if (!s) {
        return ERR_NOMEM;
    }
    s->config = config;
    s->once = once;
    s->lock = -1;
    s->started = service_now();
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&s->loop);
    uv_timer_init(&s->loop, &s->tick);
    s->tick.data = s;
    for (int i = 0; i < 3; i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], on_signal, numbers[i]);
    }
    int code = open_folders(s, err);
    code = code ? code : make_socket_folder(s, err);
    code = code ? code : open_queue(s, err);
    code = code ? code : open_workers(s, run, err);
    code = code ? code : open_doors(s, err);
    if (code) {
        close_all(s);
    } else {
        uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
        log_info("ifud %s ready: inbox %s, products %s, workers %d, threads of each %d",
                 IFUD_VERSION, s->inbox_folder, s->products_folder,
                 executor_workers(s->executor), s->place.threads);
        notify("READY=1");
        service_dispatch(s);
    }
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    struct queue_counts counts;
    if (!code && !(code = queue_count(s->queue, &counts, err))) {
        *ret_held = counts.jobs[JOB_HELD] + counts.jobs[JOB_QUARANTINED];
        log_info("ifud stopped: %ld jobs queued, %ld waiting, %ld held",
                 counts.jobs[JOB_QUEUED], counts.jobs[JOB_WAITING], *ret_held);
    }
    release(s);
    return code;
}
