#ifndef IFUD_STAGES_FLICKER_FOURIER_H
#define IFUD_STAGES_FLICKER_FOURIER_H

#include <complex.h>

/*
 * The normal equations of Fourier vectors fitted to some of a line's pixels: Hermitian,
 * T[i][k] in matrix[i * n + k] for k <= i, most important vectors first.
 * Thread: any (pure). Test: tests/stages/test_clean_flicker_noise.c
 */

/*
 * Solve T a = r by Cholesky for as many leading vectors as T is positive definite to
 * working precision (1e-10 of its first element).
 * Given: matrix (destroyed), r, n >= 1. Returned: a (0 for the vectors that were left
 * out); how many were fitted.
 */
int flicker_fourier_solve(double complex *matrix, const double complex *r, int n,
                          double complex *a);

#endif
