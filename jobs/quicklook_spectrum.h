#ifndef IFUD_JOBS_QUICKLOOK_SPECTRUM_H
#define IFUD_JOBS_QUICKLOOK_SPECTRUM_H

#include <cairo.h>
#include "common/base/err.h"
#include "common/data/spectrum.h"

/*
 * The right half of a quicklook: values of all spectra of a list with the error band of
 * the first, and below them its signal to noise. The first has a row at least.
 * Returned: 0 or ERR_NOMEM. Thread: that of the cairo_t. Test: tests/jobs/test_quicklook.c
 */
int quicklook_spectrum_draw(cairo_t *cr, const struct spectrum *s, struct err *err);

#endif
