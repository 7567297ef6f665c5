#ifndef IFUD_DAEMON_WORK_H
#define IFUD_DAEMON_WORK_H

#include "common/base/err.h"
#include "config/config.h"
#include "daemon/queue.h"
#include "daemon/spool.h"
#include "jobs/job.h"

/*
 * From a row of the queue to the manifest that is run.
 * Thread: the loop's. Test: tests/e2e/test_daemon.c
 */

struct work_place {                    /* absolute paths, borrowed */
    const char *products, *references; /* references may be NULL */
    const char *manifests; /* of every attempt: <job>.json, to repeat it by hand */
    int threads;
};

/*
 * The job of a row: inputs (the exposure in the spool, or the _cal products of the jobs
 * that it reads), settings, output folder. Writes nothing.
 * Returned: *ret, released with job_done.
 */
int work_describe(struct queue *q, const struct spool *spool,
                  const struct config *config, const struct work_place *place,
                  const struct queue_job *row, struct job *ret, struct err *err);

/* Set job->reuse to what was last published under its names. */
int work_reuse(struct queue *q, const struct queue_job *row, struct job *job,
               struct err *err);

/*
 * The same, with what was published before where the configuration says so
 * (reuse_products) and the spectrum that it replaces, and make its output folder and write its manifest.
 * Given:    row: its attempt is the one that is about to run.
 */
int work_prepare(struct queue *q, const struct spool *spool,
                 const struct config *config, const struct work_place *place,
                 const struct queue_job *row, struct job *ret, struct err *err);

/* Set job->settings and job->n_settings to the configuration's settings of a recipe. */
int work_settings(const struct config *config, const char *recipe, struct job *job,
                  struct err *err);

/* Where its manifest is. The caller frees. */
char *work_manifest(const struct work_place *place, const struct queue_job *row,
                    struct err *err);

/* Record what a run published. */
int work_keep_products(struct queue *q, int64_t job, const struct job_result *result,
                       struct err *err);

/* Where the products of a job go: <products>/<program>/<group>. The caller frees. */
char *work_folder(const struct work_place *place, const struct queue_job *row,
                  struct err *err);

#endif
