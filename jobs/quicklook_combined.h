#ifndef IFUD_JOBS_QUICKLOOK_COMBINED_H
#define IFUD_JOBS_QUICKLOOK_COMBINED_H

#include "common/base/err.h"
#include "common/data/spectrum.h"

/*
 * A picture of spectra and of what they were combined to: 1600 x 900 pixels, PNG. Above each
 * spectrum in a colour of its own under the mean, below the mean's signal to noise. The
 * ranges do not follow single bad wavelengths.
 *
 * Ownership: all is borrowed. Of lists of spectra the first is shown.
 * Thread:    any. Test: tests/jobs/test_quicklook_combined.c
 */
struct quicklook_combined {
    const struct spectrum *mean; /* at least one row */
    struct spectrum *const *inputs;
    size_t n;         /* inputs */
    const char *file; /* of the product */
};

/* path: the file to make, replaced if it is there. ERR_IO or ERR_NOMEM: no file is left. */
int quicklook_combined_write(const struct quicklook_combined *q, const char *path,
                             struct err *err);

#endif
