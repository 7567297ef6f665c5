#ifndef IFUD_MATH_DECAY_H
#define IFUD_MATH_DECAY_H

#include <stddef.h>

/*
 * exp(-x) of many numbers at once, for weights that fall with distance: more than twice as
 * fast as exp() one by one, and the same bits on every machine.
 *
 * Given:      n     how many; the arrays must have room for n rounded up to a multiple
 *                   of 4, and what stands in the rest is of no account
 *             x     double[n]  0 or more
 * Returned:   ret   double[n]  exp(-x), relatively within 1e-13 up to x = 700 and below
 *                   1e-300 beyond
 * Algorithm:  exp(-x) = 2^-k exp(r), |r| <= ln 2 / 2, with the series of exp(r) up to r^11
 * Thread: any (pure). Test: tests/math/test_decay.c
 */
void decay(size_t n, const double *x, double *ret);

/* Squares of x, x + 1, .. x + n - 1, and exp(-rate square); rate 0 or more. */
void decay_squares(size_t n, double x, double rate, double *ret_square, double *ret);

#endif
