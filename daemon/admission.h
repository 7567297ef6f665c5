#ifndef IFUD_DAEMON_ADMISSION_H
#define IFUD_DAEMON_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which job may start beside those that run, by memory.
 *
 *     the estimates of all running jobs together stay within the budget
 *
 * The next job waits until there is room for it, and nothing that is behind it starts
 * meanwhile: a large job is never starved by small ones. A job that is larger than the
 * whole budget waits until nothing runs, then runs alone.
 *
 * Estimates (jobs/job_estimate.h) are corrected by what jobs of the recipe were measured
 * to need, and doubled each time that the job failed for want of memory.
 *
 * Thread: any (pure). Test: tests/daemon/test_admission.c
 */

/*
 * The budget, bytes: what memory_mb says, or, where that is 0, three quarters of what the
 * machine (or the service's control group) has; less the ceiling of the cache of
 * references. 0 if nothing is left: then every job runs alone.
 */
int64_t admission_budget(long memory_mb, int64_t machine, long references_mb);

/*
 * What a job will need, bytes.
 * Given:  estimate  bytes, as estimated
 *         ratio     the largest peak / estimate of the jobs that were measured; 0: none
 * A quarter is added to what was measured; the correction is 1/2 to 8.
 */
int64_t admission_need(int64_t estimate, double ratio);

/* The next estimate of a job that failed for want of memory: twice the larger. */
int64_t admission_more(int64_t estimate, int64_t peak);

/* What runs. Zeroed: nothing. */
struct admission {
    int64_t budget;
    int running;  /* jobs */
    int64_t used; /* sum of their needs */
};

/*
 * May a job of this need start now? Otherwise one line that says why not.
 * Returned: *ret_alone: it is larger than the budget, and nothing else may start beside it
 */
bool admission_fits(const struct admission *a, int64_t need, bool *ret_alone,
                    char *ret_why, size_t room);

void admission_start(struct admission *a, int64_t need);
void admission_end(struct admission *a, int64_t need);

#endif
