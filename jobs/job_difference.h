#ifndef IFUD_JOBS_JOB_DIFFERENCE_H
#define IFUD_JOBS_JOB_DIFFERENCE_H

#include "common/data/spectrum.h"
#include "jobs/job.h"

/*
 * How a spectrum differs from the one that it replaces, in FLUX.
 * Given:    was, is  the first of each list is compared
 * Returned: *ret. Rows are compared where both have a flux that is not flagged DO_NOT_USE and the
 *           old one an error; the old flux is taken linearly between its rows where the
 *           wavelengths are others. Shares
 *           of the flux are of rows where the old flux is above JOB_DIFFERENCE_SNR of its errors, sigma
 *           is the old error. NaN: there are no such rows. compared = 0: nothing is.
 * Errors:   ERR_NOMEM
 * Thread:   any. Test: tests/jobs/test_job_difference.c
 */
#define JOB_DIFFERENCE_SNR 3.0

int job_difference(const struct spectrum *was, const struct spectrum *is,
                   struct job_difference *ret, struct err *err);

/*
 * What is compared, for each row of the new spectrum.
 * Returned: ret_old, ret_sigma: is->n values, flux and error of the old one there (Jy), NaN
 *           where nothing is compared; how many are
 */
size_t job_difference_rows(const struct spectrum *was, const struct spectrum *is,
                           double *ret_old, double *ret_sigma);

/* "941 rows compared: at most +2.2 sigma at 4.0520 um; flux +0.12 % in the median, ..." */
void job_difference_text(const struct job_difference *d, char *ret, size_t size);

#endif
