#ifndef IFUD_STAGES_TRACE_SKY_H
#define IFUD_STAGES_TRACE_SKY_H

#include <stdatomic.h>
#include "common/base/err.h"
#include "common/base/par.h"
#include "common/data/exposure.h"
#include "stages/trace_fit.h"

/*
 * An exposure sampled at positions that are fixed on the sky.
 *
 * Rows of the detector slide over the sky along a tilted trace, so a compact source falls
 * now on the middle of a pixel, now between two, and single spaxels swing with wavelength.
 * Where the trace model (trace_fit.h) shows that this matters, the pixels of a slice give
 * way to cells of one pixel's height at fixed positions:
 *
 *     sample = model(cell) + mean of (pixel - model(pixel)) over the pixels it overlaps
 *
 * so that the weight of each sample in a voxel no longer changes with wavelength. Other
 * pixels stay what they are, cut where the cells begin.
 * Test: tests/stages/test_trace_sky.c
 */
struct trace_sky_result {
    int slices, cells;    /* with cells; cells of all slices */
    double before, after; /* largest modulation with the phase of the pixels, at the
                             brightest cell: half-amplitude over the mean; NaN: unknown */
};

/*
 * Replace the planes of an exposure by samples; where nothing needs them it stays as it
 * is, and ret->cells is 0. Bit-identical for any number of threads.
 */
int trace_sky_apply(struct exposure *e, const struct trace_settings *settings,
                    struct par *par, const atomic_bool *cancel,
                    struct trace_sky_result *ret, struct err *err);

#endif
