#ifndef IFUD_STAGES_TRACE_PROFILE_H
#define IFUD_STAGES_TRACE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include "common/base/err.h"
#include "common/data/exposure.h"

/*
 * One slice as the peer's adaptive_trace_model sees it: what its pixels hold, and their
 * positions along the slice (alpha: metres on the slicer, growing with the row), in single
 * precision as there. Rows y0 .. y0 + rows - 1; index row * nx + x; NaN: not of the slice,
 * or bad.
 * Ownership: trace_profile_done. Thread: one at a time.
 * Test: tests/stages/test_trace_detector.c
 */
struct trace_profile {
    int slice, nx, y0, rows; /* rows 0: the slice is not there */
    float *flux, *err, *alpha;
    double step;  /* alpha from row to row, the median */
    float *light; /* nx: sum of each column */
};

/* `offset` is taken off the flux. */
int trace_profile_make(const struct exposure *e, int slice, float offset,
                       struct trace_profile *ret, struct err *err);
void trace_profile_done(struct trace_profile *p);

/*
 * Is the slice bright enough for a model, and what do its columns hold? Bins half a pixel
 * wide along the slice are made of all wavelengths; ends where they are noisy are cut off
 * (flux becomes NaN); the brightest bin has to exceed the threshold. NaN: any will do.
 */
int trace_profile_look(struct trace_profile *p, double threshold, bool *ret_bright,
                       struct err *err);

#endif
