#ifndef IFUD_MATH_ROBUST_H
#define IFUD_MATH_ROBUST_H

#include <stddef.h>
#include <stdint.h>

/*
 * Statistics that outliers do not spoil. Values that are not finite must be left out by
 * the caller. Thread: any (pure, apart from the caller's scratch).
 * Test: tests/math/test_robust.c
 */

/* Median; of an even number the mean of the middle two, in single precision.
 * Reorders `values`. n >= 1. */
float robust_median(float *values, size_t n);

/* The value of rank k (0-based, k < n) of the values in ascending order; reorders. */
float robust_select(float *values, size_t n, size_t k);

/* Sort ascending (radix sort on the bits); scratch has room for n. */
void robust_sort(float *values, float *scratch, size_t n);

/* In double precision: sort ascending; and the median, of an even number the mean of the
 * middle two, which sorts (n >= 1). */
void robust_sort_doubles(double *values, size_t n);
double robust_median_doubles(double *values, size_t n);

struct robust_stats {
    double mean, median, std; /* of the values kept; NaN if there are none */
    size_t n;                 /* values kept */
};

/*
 * Sigma clipping round the median: up to max_rounds times, values farther than
 * sigma * (standard deviation) from the median are left out.
 * Given: values n (sorted on return), scratch room for n, sigma > 0, max_rounds >= 1.
 * The standard deviation divides by n. Reference: astropy.stats.sigma_clip.
 */
struct robust_stats robust_clip(float *values, float *scratch, size_t n, double sigma,
                                int max_rounds);

#endif
