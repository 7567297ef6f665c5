#ifndef IFUD_MATH_FFT_H
#define IFUD_MATH_FFT_H

#include <complex.h>
#include <stddef.h>
#include "common/base/err.h"

/*
 * Fourier transforms by FFTW (single precision); the only room of that library.
 * Thread: any (planning, which FFTW does not protect, is locked inside).
 */

/*
 * Real series of a half spectrum, not normalised: out[t] = sum_k in[k] exp(2 pi i k t / n)
 * over all n frequencies, those above n / 2 being the conjugates.
 * Given:     n >= 2; in: n / 2 + 1 values, destroyed
 * Returned:  out: n values
 * Test:      tests/math/test_rng.c
 */
int fft_to_real(size_t n, float complex *in, float *out, struct err *err);

#endif
