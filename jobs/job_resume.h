#ifndef IFUD_JOBS_JOB_RESUME_H
#define IFUD_JOBS_JOB_RESUME_H

#include "jobs/job_context.h"

/*
 * Steps are not run again where nothing changed that they depend on: of what an earlier run
 * published in the output folder (job->reuse) the last product is taken that carries the fingerprints which this
 * job would give (job_fingerprint.h), and the run goes on after it:
 *
 *   all products    nothing runs
 *   _s3d            extract_1d and what follows, on the cube
 *   _cal  (spec2)   adaptive_trace_model and what follows, on the exposure; its WCS is built
 *                   anew from the headers
 *
 * The results are those of a run from the beginning, byte by byte but for dates. A file that
 * is not what was published (its hash) is never taken. Of products up to there none may be
 * missing; they stay as they are and are among this job's. Not offered is a cube with tabulated
 * wavelengths, with errors that exposures share (VAR_BKG) or a master background: the file does
 * not hold all that extract_1d needs of these.
 * Thread: that of job_run. Test: tests/e2e/test_resume.c
 */

/*
 * Choose what to go on from. Reads headers, and of what it chooses every byte, for the hash.
 * Returned: c->resumed, the last step that need not run again; -1: none
 * Errors:   ERR_NOMEM alone; a product that cannot be taken is none, with a note
 */
int job_resume_find(struct job_context *c, struct err *err);

/* Take it: data, provenance and products as they stand after that step. */
int job_resume_load(struct job_context *c, struct err *err);

/*
 * What a job may be given as job->reuse: the files of its output folder that stand in
 * <product>_<recipe>_products.json, which every run publishes (jobs/job_reuse.c).
 * Given:    job  pinned
 * Returned: job->reuse; none if there is no such list. ERR_INPUT: it is not of ours
 */
int job_reuse_published(struct job *job, struct err *err);

#endif
