#ifndef IFUD_DAEMON_QUEUE_STALE_H
#define IFUD_DAEMON_QUEUE_STALE_H

#include "daemon/queue.h"
#include "jobs/job.h"

/*
 * What is stale: done jobs that would make something else now (daemon/stale.h finds them).
 * A row goes when its job is no longer done. A job that a newer version is about to follow is
 * not counted any more. Ownership and thread: as queue.h.
 * Test: tests/daemon/test_queue_stale.c
 */
struct queue_stale {
    struct queue_job job;
    double since;   /* s since 1970 */
    char step[40];  /* the first step that would give something else */
    char why[1024]; /* one or more reasons */
};

struct queue_stale_filter {
    int64_t job;                 /* 0: any */
    const char *program, *group; /* NULL: any */
};

/* The done job of the lowest number above `after` that no newer version follows; ret->id =
 * 0: none. */
int queue_next_done(struct queue *q, int64_t after, struct queue_job *ret,
                    struct err *err);

/* The same of those that are not stale and read products of a job that is. */
int queue_next_reader(struct queue *q, int64_t after, struct queue_job *ret,
                      struct err *err);

/* *ret_news: it was not stale before, or for other reasons. */
int queue_set_stale(struct queue *q, int64_t job, const char *step, const char *why,
                    double now, bool *ret_news, struct err *err);
int queue_unset_stale(struct queue *q, int64_t job, struct err *err);

/* By number, at most `limit` of those above `after` (the number of the last one of the page
 * before; 0 at first). */
int queue_stale(struct queue *q, const struct queue_stale_filter *filter, int64_t after,
                size_t limit, struct queue_stale **ret, size_t *ret_n, struct err *err);
/* How many there are, counted up to `limit`. */
int queue_stale_count(struct queue *q, size_t limit, size_t *ret, struct err *err);

/* Of what a job reads, the jobs that are stale: how many, and the first one's name. */
int queue_stale_inputs(struct queue *q, int64_t job, size_t *ret_n,
                       char ret_first[2 * QUEUE_NAME], struct err *err);
/* Its input jobs that are stale. */
int queue_stale_input_jobs(struct queue *q, int64_t job, struct queue_stale **ret,
                           size_t *ret_n, struct err *err);
/* Are all jobs that it reads done? */
int queue_inputs_done(struct queue *q, int64_t job, bool *ret, struct err *err);

bool queue_is_group(struct queue *q, const char *name);

/*
 * How the spectrum that a job published differs from the one that it replaced (jobs/job.h), and
 * an event that says so. queue_difference: compared = 0 if there is none.
 */
int queue_set_difference(struct queue *q, int64_t job, const struct job_difference *d,
                         const char *text, double now, struct err *err);
int queue_difference(struct queue *q, int64_t job, struct job_difference *ret,
                     struct err *err);

/* What was last published under the names of a job: by itself, or by an earlier version. */
int queue_earlier_products(struct queue *q, const struct queue_job *job,
                           struct queue_product **ret, size_t *ret_n, struct err *err);

#endif
