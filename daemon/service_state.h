#ifndef IFUD_DAEMON_SERVICE_STATE_H
#define IFUD_DAEMON_SERVICE_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>
#include "daemon/executor.h"
#include "daemon/gate.h"
#include "daemon/inbox.h"
#include "daemon/queue.h"
#include "daemon/reconcile.h"
#include "daemon/retention.h"
#include "daemon/spool.h"
#include "daemon/status.h"
#include "daemon/work.h"

/*
 * What the parts of the service share: service.c (the loop's start and end), signals.c
 * (signals and the tick), intake.c (settled file to row), dispatch.c (row to worker and
 * back), reload.c (the configuration read again), health.c (what the service manager
 * hears), plan.c (applying the planner) and report.c (answers of the status socket).
 * Thread: the loop's.
 */

#define SERVICE_TROUBLES 16
#define SERVICE_SIGNALS 4

struct
    service_trouble { /* something an operator should know that is no job's failure */
    double at;
    char message[512];
};

struct service {
    const struct config *config;
    uv_loop_t loop;
    char *inbox_folder, *spool_folder, *products_folder, *rejected_folder;
    char *references_folder, *manifests_folder;
    struct work_place place;
    struct queue *queue;
    struct inbox *inbox;
    struct spool *spool;
    struct intake *intake;
    struct executor *executor;
    struct gate gate;
    struct status *status;
    struct references *references;
    struct stale *stale; /* stale.c */
    uv_signal_t signals[SERVICE_SIGNALS];
    uv_timer_t tick;
    int lock;
    bool once, stopping, closing;
    bool draining; /* an operator wants nothing new to start; kept in the queue */
    int stop_requests;
    double started, stop_at;         /* s since 1970; stop_at: cancel what runs */
    double plan_after;               /* do not plan before */
    double next_retry;               /* when a deferred job is due; 0: none */
    struct executor_report *unsaved; /* ended, but the queue refused the row */
    size_t n_unsaved;
    struct service_trouble troubles[SERVICE_TROUBLES];
    size_t n_troubles; /* ever; the ring holds the last ones */
    struct err failure;
    struct {                   /* reload.c */
        struct config *config; /* read since the start, or NULL */
        double loaded_at;
        char *error;   /* why the file was refused, or NULL */
        char *restart; /* names of keys that wait for a restart, or NULL */
    } reload;
    struct { /* care.c */
        struct reconcile reconcile;
        char *exposures;      /* folder of copies */
        double next_prune;    /* s since 1970 */
        int64_t events_until; /* retention under way */
        struct retention_sum pruned;
    } care;
    struct {             /* health.c; s of the monotonic clock */
        double interval; /* of WATCHDOG=1; 0: nobody listens */
        double last_tick, next_pet, next_status, next_extension;
        bool stalled;
        char status[256]; /* the last STATUS= */
    } health;
};

double service_now(void); /* s since 1970 */

/* Remember and log; the same message again only updates its time. */
void service_trouble(struct service *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Plan what follows for groups in which something has changed, or that are quiet; takes no
 * more than a fifth of the loop's time. Returns true if none is left.
 */
bool service_plan(struct service *s);
/* The same at once, without waiting for quietness. */
bool service_combine(struct service *s);

/* ---- care.c ---- */

/* Before anything runs: dead part files go, and the comparison of queue and disk begins. */
int care_open(struct service *s, struct err *err);
/* The next slice of it, or of retention when that is due. */
void care_tick(struct service *s, double now);
bool care_is_done(const struct service *s); /* the comparison */
void care_close(struct service *s);

/* Close everything, so that the loop ends. */
void service_close(struct service *s);

/* ---- dispatch.c ---- */

/* Start jobs while workers are idle. */
void service_dispatch(struct service *s);
/* Why it starts none although workers are idle and jobs queued; "" if it would. */
const char *service_dispatch_blocked(const struct service *s);
/* Will it run in a process of its own? */
bool dispatch_isolates(const struct service *s, const struct queue_job *row);
/* Record ends of attempts that the queue has refused before. */
void dispatch_retry_unsaved(struct service *s);
/* For the executor; progress and notes come on its workers. */
void dispatch_on_report(void *service);
void dispatch_on_progress(void *service, const char *job, const char *stage, int index,
                          int count, double share);
void dispatch_on_note(void *service, const char *job, const char *stage,
                      bool is_warning, const char *line);

/* ---- intake.c: inbox, spool and the reserve of the disks ---- */

int intake_open(struct service *s, struct err *err);
void intake_close(struct service *s); /* the queue must still be open */
/* Look at the reserve, write down what became of files. */
void intake_tick(struct service *s);
/* Why files wait in the inbox; "" if nothing is in their way. */
const char *intake_blocked(const struct service *s);
/* Which disk is below its reserve, so that no job starts; "" if none is. */
const char *intake_reserve_low(const struct service *s);

/* ---- signals.c ---- */

void signals_on_signal(uv_signal_t *handle, int number);
void signals_on_tick(uv_timer_t *timer);

/* SIGTERM: the first ends jobs after their stage, the second at once. */
void signals_stop(struct service *s);

/* ---- reload.c ---- */

/* Read the configuration again; keep the old one if the file is not acceptable. */
void reload_configuration(struct service *s);
/* Of the status: file, loaded_at, error, restart_needed_for. A new reference. */
json_t *reload_status(const struct service *s);
void reload_done(struct service *s);

/* ---- health.c ---- */

void health_start(struct service *s); /* before anything can hang */
void health_ready(struct service *s); /* recovery is over */
/* Judge, tell the service manager; every tick. */
void health_tick(struct service *s);

/* ---- report.c ---- */

/* Answer one request of the status socket (report.h has the rest). */
char *report_on_request(void *service, const char *request, size_t n, bool is_owner);

#endif
