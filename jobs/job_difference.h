#ifndef IFUD_JOBS_JOB_DIFFERENCE_H
#define IFUD_JOBS_JOB_DIFFERENCE_H

#include "common/data/spectrum.h"
#include "jobs/job.h"

/*
 * How a spectrum differs from the one that it replaces, in FLUX.
 * Given:    was, is  the first of each list is compared
 * Returned: *ret. Rows are compared where both have a flux and the old one an error; the old
 *           flux is taken linearly between its rows where the wavelengths are others. Shares
 *           of the flux are of rows where the old flux is above JOB_DIFFERENCE_SNR of its errors, sigma
 *           is the old error. NaN: there are no such rows. compared = 0: nothing is.
 * Errors:   ERR_NOMEM
 * Thread:   any. Test: tests/jobs/test_job_difference.c
 */
#define JOB_DIFFERENCE_SNR 3.0

int job_difference(const struct spectrum *was, const struct spectrum *is,
                   struct job_difference *ret, struct err *err);

/* "flux +0.12 % (median of 941 rows), at most -3.1 % at 4.270 um and 2.2 sigma at ..." */
void job_difference_text(const struct job_difference *d, char *ret, size_t size);

#endif
