#ifndef IFUD_JOBS_QUICKLOOK_CURVE_H
#define IFUD_JOBS_QUICKLOOK_CURVE_H

#include "jobs/quicklook_plot.h"

/*
 * Curves with gaps, for pictures of spectra. Thread: that of the cairo_t.
 * Test: tests/jobs/test_quicklook.c
 */
struct curve {
    size_t n;
    const double *x;   /* ascending; any value where y is NaN */
    double *y, *error; /* NaN where there is nothing to show; error may be NULL */
};

/* Stretches without a value, as a veil over the panel. */
void curve_veil(cairo_t *cr, const struct panel *p, const struct curve *q);

/* The curve inside the panel, `width` pixels wide, over a band of its errors. */
void curve_draw(cairo_t *cr, const struct panel *p, const struct curve *q,
                struct rgb colour, double width);

/* The unit in which flux densities up to `high` (Jy) are neither long nor tiny, and what
 * to multiply Jy with. Returns a static text. */
const char *curve_flux_unit(double high, double *ret_factor);

#endif
