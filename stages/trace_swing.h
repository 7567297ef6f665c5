#ifndef IFUD_STAGES_TRACE_SWING_H
#define IFUD_STAGES_TRACE_SWING_H

#include "common/base/err.h"
#include "stages/trace_slice.h"

/*
 * How much light at one position of a slice swings with the phase of the pixels: to the
 * values in windows of columns a parabola and two harmonics of the row's phase are fitted,
 * outliers clipped; the swing is half the range of the harmonics, over the mean.
 *
 * Given:    u        arcsec along the slice
 *           samples  nx values there, NaN: none
 * Returned: the largest swing of a window of pixels interpolated to u, and that of the
 *           samples in the same window; NaN where no window has values enough
 * Test: tests/stages/test_trace_sky.c
 */
int trace_swing(const struct exposure *e, const struct trace_slice *s, double u,
                const float *samples, double *ret_pixels, double *ret_samples,
                struct err *err);

#endif
