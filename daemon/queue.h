#ifndef IFUD_DAEMON_QUEUE_H
#define IFUD_DAEMON_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/err.h"
#include "daemon/lifecycle.h"

/*
 * The queue: what was accepted, what is to be done with it, and everything that ever
 * happened to it. The only file that speaks SQLite: WAL, synchronous FULL, one
 * connection that writes, STRICT tables exposure, job, job_input, product and event.
 * What a call has returned 0 for is on the disk (outside a transaction).
 *
 * Ownership: rows are returned in new arrays, each released with one free() unless said
 * otherwise; strings lie inside the rows.
 * Thread: the one that opened it. Test: tests/daemon/test_queue.c
 */
struct queue;

#define QUEUE_NAME 256

struct queue_exposure {
    int64_t id;
    char sha256[65];
    char name[QUEUE_NAME];  /* file name, also in the spool */
    char base[QUEUE_NAME];  /* name without "_rate" and extension */
    char state[16];         /* "accepted", or "superseded" by the same name rewritten */
    char role[16];          /* "science", "imprint", "background" */
    char group[QUEUE_NAME]; /* name of the spec3 product it belongs to */
    char program[16], observation[16], visit[16];
    char target[72], detector[8], filter[12], grating[12];
    int pattern_number, pattern_total; /* dither, 1..total */
    int64_t bytes;
    double accepted_at; /* seconds since 1970 */
};

struct queue_job {
    int64_t id;
    char name[2 * QUEUE_NAME]; /* "<recipe>-<base>-<version>" */
    char recipe[8];            /* "spec2" or "spec3" */
    char base[QUEUE_NAME];     /* of its products */
    char group[QUEUE_NAME];
    char program[16];
    int version;
    enum job_state state;
    int attempt;  /* counts starts */
    int failures; /* since it last succeeded or was retried by hand */
    double created_at, changed_at, not_before;
    char stage[40];     /* where it failed */
    char error[16];     /* err_name of the failure */
    char message[1024]; /* of the last change */
    int64_t exposure;   /* spec2: its exposure */
};

/* One exposure or job that a job reads. */
struct queue_input {
    int64_t job;       /* the job that reads */
    int64_t exposure;  /* or 0 */
    int64_t input_job; /* or 0: its products */
};

struct queue_product {
    char path[4096];
    char suffix[40];
    char sha256[65];
    int64_t bytes;
};

struct queue_event {
    int64_t id;
    double at;
    char exposure[QUEUE_NAME]; /* "" if none */
    char job[2 * QUEUE_NAME];  /* "" if none */
    char from[16], to[16];     /* states; "" if none */
    char message[1024];
};

/*
 * Open or create. The folder must exist. A newer schema, or a file that is no database
 * or fails its check, is refused (ERR_IO) and left alone.
 */
int queue_open(const char *path, struct queue **ret, struct err *err);
void queue_close(struct queue *q); /* NULL is fine */

/* Several changes at once; without them each call commits by itself. No nesting. */
int queue_begin(struct queue *q, struct err *err);
int queue_commit(struct queue *q, struct err *err); /* rolls back on failure */
void queue_rollback(struct queue *q);

/* ---- exposures ---- */

/* *ret_id = 0 if these bytes were never accepted. */
int queue_find_content(struct queue *q, const char *sha256, int64_t *ret_id,
                       struct err *err);
/* Insert (id, state and accepted_at are set here) and record it as accepted. */
int queue_add_exposure(struct queue *q, const struct queue_exposure *e, double now,
                       int64_t *ret_id, struct err *err);
int queue_get_exposure(struct queue *q, int64_t id, struct queue_exposure *ret,
                       struct err *err);
/* accepted -> superseded */
int queue_supersede_exposure(struct queue *q, int64_t id, double now,
                             const char *message, struct err *err);
/* An event about a file: to = "rejected", "duplicate". exposure: its row, or 0. */
int queue_note_file(struct queue *q, int64_t exposure, const char *to,
                    const char *message, double now, struct err *err);

/* ---- jobs ---- */

/*
 * Insert a job as `waiting`. Given: recipe, base, group, program and, for spec2,
 * exposure; version and name are made here. Returned: *ret, the row.
 */
int queue_add_job(struct queue *q, const struct queue_job *job, double now,
                  struct queue_job *ret, struct err *err);
/* What a spec3 job reads: the products of these jobs, in this order. */
int queue_set_inputs(struct queue *q, int64_t job, const int64_t *input_jobs, size_t n,
                     struct err *err);

struct queue_change { /* what goes with a move; all may be empty */
    const char *message, *error, *stage;
    double not_before;  /* deferred: when to try again */
    bool count_failure; /* failures + 1; else unchanged, except: done sets it to 0 */
};
/*
 * Move a job along the table of lifecycle.c and record it; to JOB_RUNNING counts the
 * attempt. Any other move is ERR_BUG and changes nothing. change may be NULL.
 */
int queue_move(struct queue *q, int64_t job, enum job_state to,
               const struct queue_change *change, double now, struct err *err);
/* The oldest queued job; ret->id = 0 if there is none. */
int queue_next(struct queue *q, struct queue_job *ret, struct err *err);
/* deferred -> queued where not_before has passed. *ret_next: when the next is due, 0 if
 * none. */
int queue_wake_deferred(struct queue *q, double now, double *ret_next, struct err *err);
/* After a start: running -> queued. *ret_n: how many. */
int queue_recover(struct queue *q, double now, size_t *ret_n, struct err *err);
int queue_get_job(struct queue *q, int64_t id, struct queue_job *ret, struct err *err);
/* By name, or by number; ERR_INPUT if unknown. */
int queue_find_job(struct queue *q, const char *name, struct queue_job *ret,
                   struct err *err);
/* Jobs of one state (JOB_STATES: any), the last changed first, at most `limit`. */
int queue_jobs(struct queue *q, enum job_state state, size_t limit,
               struct queue_job **ret, size_t *ret_n, struct err *err);
int queue_inputs(struct queue *q, int64_t job, struct queue_input **ret, size_t *ret_n,
                 struct err *err);
/* Replace the list of what a job published. */
int queue_set_products(struct queue *q, int64_t job, const struct queue_product *p,
                       size_t n, struct err *err);
int queue_products(struct queue *q, int64_t job, struct queue_product **ret,
                   size_t *ret_n, struct err *err);

/* ---- groups and sums ---- */

/* All of one group: exposures, jobs, and what the jobs read; three arrays. */
struct queue_group {
    struct queue_exposure *exposures;
    size_t n_exposures;
    struct queue_job *jobs;
    size_t n_jobs;
    struct queue_input *inputs;
    size_t n_inputs;
};
int queue_load_group(struct queue *q, const char *group, struct queue_group *ret,
                     struct err *err);
void queue_group_done(struct queue_group *g);

/* Names of all groups, or of those with a job in `waiting`; at most `limit`, by name. */
int queue_groups(struct queue *q, bool waiting, size_t limit, char (**ret)[QUEUE_NAME],
                 size_t *ret_n, struct err *err);

struct queue_counts {
    long jobs[JOB_STATES];
    long accepted, superseded;         /* exposures */
    long science, imprint, background; /* of the accepted ones */
    long rejected, duplicates;         /* files, as often as they came */
};
int queue_count(struct queue *q, struct queue_counts *ret, struct err *err);

/* Events after `after`, oldest first; after < 0: the last -after ones. `job` (or "")
 * limits them to one job. */
int queue_events(struct queue *q, int64_t after, const char *job, size_t limit,
                 struct queue_event **ret, size_t *ret_n, struct err *err);
/* The last rejected files, newest first. */
int queue_rejections(struct queue *q, size_t limit, struct queue_event **ret,
                     size_t *ret_n, struct err *err);

#endif
