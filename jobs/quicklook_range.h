#ifndef IFUD_JOBS_QUICKLOOK_RANGE_H
#define IFUD_JOBS_QUICKLOOK_RANGE_H

#include <stddef.h>
#include "common/base/err.h"

/*
 * The range of a curve to show: lines keep their peaks, but one or two bad wavelengths,
 * and those with an error far above the typical one, do not stretch the axis.
 *
 * Given:     y, error   n values each (any unit); NaN where there is nothing to show
 * Returned:  *ret_low < *ret_high with a margin; 0 and 1 with a margin if all are NaN
 * Algorithm: a value counts at most twice as far from the median of all as the median of
 *            it and its four neighbours is; errors beyond six times the median error do
 *            not count. Zero is included if that costs little.
 * Thread:    any. Test: tests/jobs/test_quicklook.c
 */
int quicklook_range(const double *y, const double *error, size_t n, double *ret_low,
                    double *ret_high, struct err *err);

#endif
