#ifndef IFUD_DAEMON_OUTCOME_H
#define IFUD_DAEMON_OUTCOME_H

#include "daemon/executor.h"
#include "daemon/queue.h"

/*
 * Where a job goes at the end of an attempt. Thread: any (pure).
 * Test: tests/daemon/test_outcome.c
 */

#define OUTCOME_CRASHES 2 /* so many deaths of its own process quarantine a job */

struct outcome_rules {
    double retry_seconds; /* before the first retry; doubles with each failure */
    long retry_limit;
};

struct outcome {
    enum job_state to;
    double wait; /* deferred: s until it is tried again */
    bool count_failure, count_crash;
};

/*
 * Given:  r    what the executor reports
 *         job  its row, as it ran: failures and crashes before this attempt, wish
 */
struct outcome outcome_of(const struct executor_report *r, const struct queue_job *job,
                          const struct outcome_rules *rules);

/*
 * Seconds before a retry: retry_seconds doubled `failures` times, at most a day, times
 * 0.5 to 1.5, which depends on `seed` only: jobs that failed together come back apart.
 */
double outcome_wait(double retry_seconds, int failures, uint64_t seed);

#endif
