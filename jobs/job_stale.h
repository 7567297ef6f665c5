#ifndef IFUD_JOBS_JOB_STALE_H
#define IFUD_JOBS_JOB_STALE_H

#include "jobs/job.h"

/*
 * Would a job make something else now than it did? Its fingerprints (job_fingerprint.h) are
 * compared with those in its products, and its manifest with that beside them, for the reasons.
 * No pixel is read; files that references_hash knows are not hashed again.
 * Thread: any. Test: tests/e2e/test_stale.c
 */
struct job_stale {
    bool stale;
    char step[40];  /* the first step that would give something else */
    char why[1024]; /* "photom: b.fits, was a.fits; cube_build.scalexy = 0.1, was 0" */
};

/*
 * Given:    job  as it would run now, with job->reuse the products that it published; it is
 *                pinned here
 * Returned: *ret; not stale if no product is there to be compared
 * Errors:   those of job_pin: it cannot be run now, so nothing is known
 */
int job_stale_look(struct job *job, struct references *refs, struct job_stale *ret,
                   struct err *err);

#endif
