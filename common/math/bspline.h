#ifndef IFUD_MATH_BSPLINE_H
#define IFUD_MATH_BSPLINE_H

#include <stddef.h>

/*
 * Cubic B-splines.
 * Thread: any (pure). Reference: de Boor 1978, A Practical Guide to Splines.
 * Test: tests/math/test_banded.c
 */

/*
 * The four splines that are not 0 at x.
 * Given:    knots t[0..n+3] of n coefficients, not decreasing, t[3] < t[n]; outside
 *           t[3]..t[n] the outermost polynomial goes on
 * Returned: values of coefficients *ret_first .. *ret_first + 3
 */
void bspline_basis(const double *t, size_t n, double x, size_t *ret_first,
                   double ret[4]);

/* The same for knots that are equally spaced: t[3] = start, n - 3 intervals of `step`. */
void bspline_uniform(double start, double step, size_t n, double x, size_t *ret_first,
                     double ret[4]);

#endif
