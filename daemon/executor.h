#ifndef IFUD_DAEMON_EXECUTOR_H
#define IFUD_DAEMON_EXECUTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#include "common/base/err.h"
#include "jobs/job.h"

/*
 * The executor: start, poll, cancel. Each worker runs one job at a time, on a thread of
 * the daemon (executor_thread.c) or isolated in a process of its own (executor_child.c).
 * Threads are the executor's own (libuv's pool is shared with file operations); each has
 * its team of inner threads, and all share one cache of reference files.
 *
 * A job beyond its time limit is cancelled. What does not end within the grace after a
 * cancellation is killed; a thread cannot be, so its state says that it is stuck, and the
 * daemon has to end.
 *
 * Thread: all functions on the loop's thread; jobs run on the workers.
 * Test: tests/daemon/test_executor.c, test_executor_child.c
 */
struct executor;

/* Pin and run one job: job_pin and job_run, or a test's own. */
typedef int (*executor_run)(struct job *job, struct references *refs, struct par *par,
                            const atomic_bool *cancel, const struct job_events *events,
                            struct job_result *ret, struct err *err);

struct executor_options {
    int workers, threads;    /* threads: inside each job */
    struct references *refs; /* borrowed; may be NULL */
    executor_run run;        /* on a thread */
    const char *ifurun;      /* the program of isolated jobs; NULL: beside our own */
    int lock_fd;             /* inherited by isolated jobs; 0: none */
    /* A report is there: call executor_poll until it says no. */
    void (*wake)(void *user);
    /* A stage has advanced (a new one, another quarter, its end), or says something.
     * On the worker's thread, of an isolated job on the loop's. May be NULL. */
    void (*progress)(void *user, const char *job, const char *stage, int index,
                     int count, double share);
    void (*note)(void *user, const char *job, const char *stage, bool is_warning,
                 const char *line);
    void *user;
};

struct executor_how {
    bool isolated;
    double time_limit; /* s of wall time; 0: no limit */
    double grace;      /* s between a cancellation and a kill */
    /* isolated only; 0: no limit */
    int64_t memory_bytes, file_bytes;
    double cpu_limit;
    const char *manifest; /* isolated only: path of the job's manifest */
    bool suspect;         /* the report has it again */
};

struct executor_report { /* an attempt has ended */
    int64_t id;
    int code; /* of the run; ERR_CANCELLED after executor_cancel */
    struct err err;
    struct job_result result;
    double seconds;
    bool isolated, suspect; /* as it was started */
    bool timed_out;         /* it was cancelled by its time limit */
    /* Isolated: the process did not come to an end of its own; code is ERR_NOMEM if it
     * was killed from outside, as the kernel does when memory is short, else ERR_BUG. */
    bool died;
    int signal;           /* that it died of; 0: none */
    int warnings;         /* that its stages gave ... */
    char warning[500];    /* ... the first one, "stage: line" */
    int64_t peak_bytes;   /* isolated: most memory; 0: unknown */
    char backtrace[8192]; /* where it crashed; "" if unknown */
};

struct executor_state { /* an attempt that runs */
    int64_t id;
    char job[512];
    char stage[40];   /* "" before the first */
    int index, count; /* as job_events.stage counts */
    double share;     /* of the stage, 0..1 */
    double seconds;   /* since the start */
    double quiet;     /* since it last told that it has advanced */
    bool isolated, suspect;
    bool stuck; /* on a thread, cancelled, and the grace is over */
};

int executor_open(uv_loop_t *loop, const struct executor_options *options,
                  struct executor **ret, struct err *err);
/* Waits for threads that run (cancel first to hurry), kills isolated jobs; freed once
 * the loop has closed its handles. */
void executor_close(struct executor *ex); /* NULL is fine */

/* Workers without a job. */
int executor_idle(const struct executor *ex);
int executor_workers(const struct executor *ex);

/* Give a job to an idle worker (there must be one). The job is taken over. A failure to
 * start is a report like any other. */
void executor_start(struct executor *ex, int64_t id, struct job *job,
                    const struct executor_how *how);
/* One report, released with executor_report_done; false if there is none. */
bool executor_poll(struct executor *ex, struct executor_report *ret);
void executor_report_done(struct executor_report *report);
/*
 * Ask jobs to end: id 0 means all. at_stage_end: when the running stage is done;
 * otherwise between two pieces of it.
 */
void executor_cancel(struct executor *ex, int64_t id, bool at_stage_end);
/* What runs: up to `room` states; returns how many. */
size_t executor_running(struct executor *ex, struct executor_state *ret, size_t room);
/* Index the reference folder again before the next job. */
void executor_rescan_references(struct executor *ex);

#endif
