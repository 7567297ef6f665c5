#ifndef IFUD_DAEMON_QUEUE_FIND_H
#define IFUD_DAEMON_QUEUE_FIND_H

#include "daemon/queue.h"

/*
 * Looking into the queue for those who ask: each call reads a bounded number of rows,
 * however many there are. Ownership and thread: as queue.h.
 * Test: tests/daemon/test_queue_find.c
 */

struct queue_filter {
    enum job_state state;        /* JOB_STATES: any */
    const char *program, *group; /* NULL: any */
    bool newest_first;           /* by number; else the oldest first */
};
/*
 * One page of the jobs that pass a filter: up to `limit` of them, among the next 5000
 * numbers. from: 0 for the first page, then *ret_next of the last, until that is 0. A page
 * may be empty.
 */
int queue_select(struct queue *q, const struct queue_filter *filter, int64_t from,
                 size_t limit, struct queue_job **ret, size_t *ret_n, int64_t *ret_next,
                 struct err *err);

/* The newest exposure of a file's name or base name; ERR_INPUT if there is none. */
int queue_find_exposure(struct queue *q, const char *name, struct queue_exposure *ret,
                        struct err *err);
/* The jobs that reduce it and those that read it beside their own, at most `limit`. */
int queue_jobs_of_exposure(struct queue *q, int64_t exposure, size_t limit,
                           struct queue_job **ret, size_t *ret_n, struct err *err);
/* The last events of an exposure as a file, oldest first; not those of its jobs. */
int queue_exposure_events(struct queue *q, int64_t exposure, size_t limit,
                          struct queue_event **ret, size_t *ret_n, struct err *err);

/* The job whose name begins most like this one; "" if none does for at least half. */
int queue_near_job(struct queue *q, const char *name, char ret[2 * QUEUE_NAME],
                   struct err *err);

/* How many jobs of its program and priority run before a queued job, and how many jobs of
 * a program are queued; counted up to `limit`. */
int queue_ahead(struct queue *q, const struct queue_job *job, size_t limit,
                size_t *ret_n, struct err *err);
int queue_program_queued(struct queue *q, const char *program, size_t limit,
                         size_t *ret_n, struct err *err);

/* What a group waits for; empty if it does not. */
int queue_group_waiting(struct queue *q, const char *group, struct queue_waiting *ret,
                        struct err *err);

#endif
