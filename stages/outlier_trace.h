#ifndef IFUD_STAGES_OUTLIER_TRACE_H
#define IFUD_STAGES_OUTLIER_TRACE_H

#include <stddef.h>
#include <stdint.h>

/*
 * What a row of a slice leads one to expect of each of its pixels: light of a slice runs
 * along the rows, and what is not a line or a hit changes slowly from column to column,
 * whatever the sampling across.
 *
 * trace: the median of the pixels within `half` columns on the row that belong to the same
 * slice. sigma: ERR, or 1.4826 times the median distance of those pixels from their traces
 * where that is larger: where the trace bends or the errors are too small, so much more is
 * allowed. To that 0.3 of the distance between the window's quartiles is added, and more
 * at the ends of a run where the window lies to one side, up to all of it: where a trace
 * rises steeply it also bends, and the pixel at its crest has no neighbour as high.
 * Thread: any (pure). Test: tests/stages/test_outlier_trace.c
 */

#define OUTLIER_TRACE_HALF 60 /* most columns to each side */
#define OUTLIER_TRACE_LEAST 7 /* pixels with a value that a window needs */

/*
 * Given:     sci, err  float[n], slice uint8_t[n]: one row; NaN where bad, 0 between slices
 *            half      columns to each side, 1..OUTLIER_TRACE_HALF
 * Returned:  trace, sigma  float[n]; NaN where the window has too few values, or between
 *            slices, or where sci or err is NaN
 */
void outlier_trace_row(const float *sci, const float *err, const uint8_t *slice,
                       size_t n, int half, float *trace, float *sigma);

#endif
