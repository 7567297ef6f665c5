#include "daemon/service.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/path.h"
#include "daemon/lock.h"
#include "config/check.h"
#include "daemon/messages.h"
#include "daemon/machine.h"
#include "daemon/plan.h"
#include "daemon/rules.h"
#include "daemon/service_state.h"
#include "daemon/stale.h"

#define TICK_MS 200
#define TICK_ONCE_MS 20   /* whoever runs it once waits for its end */
#define LOCK_SECONDS 30   /* for the last job of a daemon that died */
#define PLAN_SECONDS 0.05 /* at a time */

double service_now(void)
{
    return clock_date();
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
    log_event(LOG_LEVEL_ERROR, message_id(MESSAGE_TROUBLE), NULL, "%s", message);
}

/* ---- start and end ---- */

void service_close(struct service *s)
{
    if (s->closing) {
        return;
    }
    s->closing = true;
    status_close(s->status);
    intake_close(s);
    executor_close(s->executor);
    s->status = NULL;
    s->executor = NULL;
    for (int i = 0; i < SERVICE_SIGNALS; i++) {
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
    /* symbolic links are followed by now */
    static const char *const names[] = {"inbox_folder", "spool_folder",
                                        "products_folder", "rejected_folder",
                                        "references_folder"};
    const char *const paths[] = {s->inbox_folder, s->spool_folder, s->products_folder,
                                 s->rejected_folder, s->references_folder};
    if ((code = config_apart(names, paths, 5, err))) {
        return code;
    }
    s->manifests_folder = path_join(s->spool_folder, "jobs", err);
    char *lock = path_join(s->spool_folder, "lock", err);
    if (!s->manifests_folder || !lock) {
        free(lock);
        return ERR_NOMEM;
    }
    code = path_make_folder(s->manifests_folder, 0700, err);
    code = code ? code : lock_take(lock, LOCK_SECONDS, &s->lock, err);
    free(lock);
    return code;
}

static bool plan(struct service *s, const struct plan_rules *rules)
{
    struct err err = {0};
    bool all = false;
    double begin = service_now();
    if (plan_groups(s->queue, rules, begin, PLAN_SECONDS, &all, &err)) {
        service_trouble(s, "planning failed, trying again: %s", err.message);
    }
    double end = service_now();
    s->plan_after = end + 4.0 * (end > begin ? end - begin : 0.0);
    return all;
}

bool service_plan(struct service *s)
{
    double now = service_now();
    if (now < s->plan_after && s->plan_after - now < 60.0) { /* the clock may be set */
        return false;
    }
    struct plan_rules rules;
    rules_of(s->config, &rules);
    return plan(s, &rules);
}

bool service_combine(struct service *s)
{
    struct plan_rules rules;
    rules_of(s->config, &rules);
    rules.quiet_seconds = rules.wait_seconds = 0;
    return plan(s, &rules);
}

static int open_queue(struct service *s, struct err *err)
{
    size_t n = 0;
    char *path = path_join(s->spool_folder, "queue.db", err);
    int code = path ? queue_open(path, QUEUE_WRITE, &s->queue, err) : ERR_NOMEM;
    free(path);
    char drain[8] = "";
    code = code ? code : queue_get_setting(s->queue, "drain", drain, sizeof drain, err);
    s->draining = *drain && !s->once;
    if (s->draining) {
        log_warning("nothing is started: it was drained; ifuctl resume ends that");
    }
    code = code ? code : queue_recover(s->queue, service_now(), &n, err);
    if (!code && n) {
        log_info("%zu jobs that ran when the daemon ended run again", n);
    }
    code = code ? code : rules_apply(s->queue, s->config, err);
    return code ? code
                : queue_wake_deferred(s->queue, service_now(), &s->next_retry, err);
}

static int open_workers(struct service *s, executor_run run, struct err *err)
{
    const struct params *v = s->config->values;
    const int cores = machine_cores();
    const int workers = config_workers(s->config, cores);
    s->place.threads = config_inner_threads(s->config, cores);
    s->place.products = s->products_folder;
    s->place.references = s->references_folder;
    s->place.manifests = s->manifests_folder;
    if (params_int(v, "workers") > workers ||
        params_int(v, "threads_per_worker") > s->place.threads) {
        log_warning(
            "workers = %ld and threads_per_worker = %ld are more than %d cores: "
            "%d and %d are used",
            params_int(v, "workers"), params_int(v, "threads_per_worker"), cores,
            workers, s->place.threads);
    }
    size_t bytes = (size_t)params_int(v, "references_memory_mb") << 20;
    int code = gate_open(&s->gate, workers, err);
    code =
        code ? code : references_open(s->references_folder, bytes, &s->references, err);
    if (!code && params_string(v, "crds_path")) {
        code = references_use_crds(s->references, params_string(v, "crds_path"),
                                   params_string(v, "crds_context"), err);
    }
    struct executor_options o = {.workers = workers,
                                 .threads = s->place.threads,
                                 .refs = s->references,
                                 .run = run,
                                 .wake = dispatch_on_report,
                                 .progress = dispatch_on_progress,
                                 .note = dispatch_on_note,
                                 .lock_fd = s->lock,
                                 .user = s};
    return code ? code : executor_open(&s->loop, &o, &s->executor, err);
}

static int open_doors(struct service *s, struct err *err)
{
    const struct params *v = s->config->values;
    struct status_options status = {
        .path = params_string(v, "socket_path"),
        .mode = (unsigned)strtoul(params_string(v, "socket_mode"), NULL, 8),
        .idle_seconds = 30,
        .request_seconds = 10,
        .answer_seconds = 30,
        .answer = report_on_request,
        .user = s};
    int code = config_socket_group(s->config, &status.group, err);
    code = code ? code : intake_open(s, err);
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
    stale_close(s);
    care_close(s);
    gate_close(&s->gate);
    queue_close(s->queue);
    references_close(s->references);
    for (size_t i = 0; i < s->n_unsaved; i++) {
        executor_report_done(&s->unsaved[i]);
    }
    if (s->lock >= 0) {
        close(s->lock);
    }
    reload_done(s);
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
    static const int numbers[SERVICE_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    struct service *s = mem_calloc(1, sizeof *s, err);
    if (!s) {
        return ERR_NOMEM;
    }
    s->config = config;
    s->once = once;
    s->lock = -1;
    s->started = service_now();
    s->reload.loaded_at = s->started;
    signal(SIGPIPE, SIG_IGN);
    health_start(s);
    uv_loop_init(&s->loop);
    uv_timer_init(&s->loop, &s->tick);
    s->tick.data = s;
    for (int i = 0; i < SERVICE_SIGNALS; i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], signals_on_signal, numbers[i]);
    }
    int code = open_folders(s, err);
    code = code ? code : make_socket_folder(s, err);
    code = code ? code : open_queue(s, err);
    code = code ? code : open_workers(s, run, err);
    code = code ? code : open_doors(s, err);
    code = code ? code : care_open(s, err);
    code = code ? code : stale_open(s, err);
    if (code) {
        service_close(s);
    } else {
        uint64_t tick = once ? TICK_ONCE_MS : TICK_MS;
        uv_timer_start(&s->tick, signals_on_tick, tick, tick);
        log_event(
            LOG_LEVEL_INFO, message_id(MESSAGE_READY), NULL,
            "ifud %s ready: inbox %s, products %s, workers %d, threads of each %d",
            IFUD_VERSION, s->inbox_folder, s->products_folder,
            executor_workers(s->executor), s->place.threads);
        health_ready(s);
        service_dispatch(s);
    }
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    struct queue_counts counts;
    if (!code && !(code = queue_count(s->queue, &counts, err))) {
        *ret_held = counts.jobs[JOB_HELD] + counts.jobs[JOB_QUARANTINED];
        log_event(LOG_LEVEL_INFO, message_id(MESSAGE_STOPPED), NULL,
                  "ifud stopped: %ld jobs queued, %ld waiting, %ld held",
                  counts.jobs[JOB_QUEUED], counts.jobs[JOB_WAITING], *ret_held);
    }
    release(s);
    return code;
}
