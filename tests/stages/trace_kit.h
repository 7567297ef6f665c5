#ifndef IFUD_TESTS_TRACE_KIT_H
#define IFUD_TESTS_TRACE_KIT_H

#include "stages/trace_slice.h"
#include "tests/data/wcs_fixture.h"

/*
 * An exposure of some slices through the WCS of tests/data/wcs_fixture.h, whose traces are
 * tilted: a point source (a Gaussian integrated over each pixel) on a sky that is smooth,
 * the same errors everywhere.
 */
enum { TRACE_KIT_NX = 640, TRACE_KIT_NY = 130 };

struct trace_kit {
    struct wcs_fixture *fixture;
    struct exposure *e;
    struct trace_slice s; /* the slice with the source */
    double source, sigma; /* arcsec along the slice */
    double peak, sky, error;
};

void trace_kit_init(struct trace_kit *kit);
void trace_kit_done(struct trace_kit *kit);

/* Give the exposure its planes anew: the source at `peak`, noise drawn from `seed` (0: none
 * is drawn) with standard deviation `error`. */
void trace_kit_fill(struct trace_kit *kit, double peak, double error, unsigned seed);

/* What a pixel (or a sample of a pixel's height) at u holds, without noise. */
double trace_kit_light(const struct trace_kit *kit, double u);

#endif
