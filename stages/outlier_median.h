#ifndef IFUD_STAGES_OUTLIER_MEDIAN_H
#define IFUD_STAGES_OUTLIER_MEDIAN_H

#include "common/base/err.h"
#include "common/base/par.h"

/*
 * Median of the values that are not NaN in a box about each pixel; beyond the plane's edges
 * there are zeros (as in the peer's medfilt). The mean of the middle two where their number
 * is even, NaN where there are none.
 *
 * A row is gone through with a sorted window: the column that leaves it and the one that
 * enters, sorted too, are merged into it, so that a step costs one pass over the window.
 * Given:     plane  float[ny * nx]; box_x, box_y odd, >= 1
 * Returned:  ret    double[ny * nx]; also where plane is NaN
 * Thread:    rows are shared out over `par` (NULL: one thread)
 * Test:      tests/stages/test_outlier_median.c
 */
int outlier_median(const float *plane, int nx, int ny, int box_x, int box_y,
                   struct par *par, const atomic_bool *cancel, double *ret,
                   struct err *err);

#endif
