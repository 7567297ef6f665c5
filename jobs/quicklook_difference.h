#ifndef IFUD_JOBS_QUICKLOOK_DIFFERENCE_H
#define IFUD_JOBS_QUICKLOOK_DIFFERENCE_H

#include "common/base/err.h"
#include "common/data/spectrum.h"
#include "jobs/job.h"

/*
 * A picture of how a spectrum differs from the one that it replaces: 1600 x 900 pixels, PNG.
 * Above both spectra in FLUX, below their difference in units of the old error, row by row
 * as job_difference.h compares them. The ranges do not follow single bad wavelengths; what
 * lies outside them is marked at the edge.
 *
 * Ownership: all is borrowed. Of a list of spectra the first is shown.
 * Thread:    any. Test: tests/jobs/test_quicklook_difference.c
 */
struct quicklook_version {
    const struct spectrum *spectrum; /* any number of rows, on any wavelengths */
    const char *name, *date;         /* of the job that made it, ISO 8601; may be "" */
    size_t inputs;                   /* exposures; 0: not known */
};

struct quicklook_difference {
    struct quicklook_version was, is;
    const char *file;              /* of the product, without its suffix */
    struct job_difference numbers; /* between the two */
};

/* path: the file to make, replaced if it is there. ERR_IO or ERR_NOMEM: no file is left. */
int quicklook_difference_write(const struct quicklook_difference *d, const char *path,
                               struct err *err);

#endif
