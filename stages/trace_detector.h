#ifndef IFUD_STAGES_TRACE_DETECTOR_H
#define IFUD_STAGES_TRACE_DETECTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/exposure.h"

/*
 * The peer's adaptive_trace_model: a model of compact sources by splines of each column
 * (trace_columns.h), and with `oversample` other than 1 rows that are so many times as many:
 * the model there plus the rest interpolated, and elsewhere the pixels interpolated.
 * Test: tests/stages/test_trace_detector.c
 */
struct trace_detector_settings {
    double fit_threshold; /* sigma above the mean of all pixels; <= 0: every slice */
    double oversample;    /* rows per row, >= 1 */
    double slope_limit;   /* of a normalised model; <= 0: the model everywhere */
    bool psf_optimal;     /* the model alone, everywhere */
};

/* More planes, wanted with save_intermediate_results; each as large as the exposure's
 * planes are then. Owned by the caller. */
struct trace_detector_planes {
    float *full, *linear, *residual; /* the last two NULL where oversample is 1 */
};

/*
 * Sets e->trace_model (NaN: no compact source) and, oversampled, replaces the planes. Bit-
 * identical for any number of threads. Returned: *ret_slices with a model
 */
int trace_detector_apply(struct exposure *e,
                         const struct trace_detector_settings *settings,
                         struct par *par, const atomic_bool *cancel,
                         struct trace_detector_planes *ret_planes, int *ret_slices,
                         struct err *err);

#endif
