#ifndef IFUD_DAEMON_EXECUTOR_WORKER_H
#define IFUD_DAEMON_EXECUTOR_WORKER_H

#include <pthread.h>
#include "daemon/executor.h"

/*
 * A worker of the executor, as its three files share it: executor.c hands out jobs and
 * watches the clock, executor_thread.c and executor_child.c run one.
 */

struct executor_child;

struct executor_worker {
    struct executor *ex;
    bool has_job; /* changed on the loop's thread only */
    struct executor_how how;
    struct job job;
    double started;
    /* loop's thread: */
    bool timed_out, cancelled; /* cancelled: asked to end now, at cancelled_at */
    double cancelled_at;
    bool killed; /* or, of a thread, said to be stuck */
    struct executor_child *child;
    /* the thread: */
    pthread_t thread;
    bool has_thread;
    struct par *par;
    atomic_bool cancel, stop_at_stage;
    /* under ex->lock: */
    bool on_thread; /* the thread has the job */
    bool has_report;
    struct executor_report report;
    struct executor_state state;
    double said;    /* share of the last line */
    double told_at; /* when the job last told something */
};

struct executor {
    struct executor_options o;
    char *ifurun;
    struct executor_worker *workers;
    int n;
    uv_loop_t *loop;
    uv_async_t wake;
    uv_timer_t clock; /* runs while a job does */
    int handles;      /* that the loop has not closed yet, children's included */
    pthread_mutex_t lock;
    pthread_cond_t more;
    bool stop; /* under lock */
    bool closing;
    atomic_bool rescan;
};

/* ---- executor.c, for the two others ---- */

/* What a job tells, as job_events have it. Thread: any. */
void executor_on_stage(void *worker, const char *stage, int index, int count,
                       double share);
void executor_on_note(void *worker, int is_warning, const char *stage,
                      const char *line);
/* worker->report is complete. Thread: any. */
void executor_finish(struct executor_worker *w);
/* A handle of the loop is closed. Thread: the loop's. */
void executor_closed(struct executor *ex);

/* ---- executor_thread.c ---- */

/* Begin the worker's job; on failure nothing runs. */
int executor_thread_start(struct executor_worker *w, struct err *err);
/* The thread ends after its job; ex->stop is set. */
void executor_thread_join(struct executor_worker *w);

/* ---- executor_child.c ---- */

int executor_child_start(struct executor_worker *w, struct err *err);
/* Send a signal; nothing to do if it is dead. */
void executor_child_signal(struct executor_worker *w, int number);
/* The path of ifurun: beside our own executable, else the name, for PATH. */
char *executor_child_program(struct err *err);

#endif
