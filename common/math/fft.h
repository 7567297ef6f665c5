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

/*
 * A plan for many transforms of one length. n >= 2. The caller frees with fft_free.
 * Thread: made and freed by any one; transforms by any number at once.
 */
struct fft;
int fft_new(size_t n, struct fft **ret, struct err *err);
/* The same, twice as fast, for arrays that all begin at a multiple of 16 bytes, as those of
 * mem_alloc do. */
int fft_new_aligned(size_t n, struct fft **ret, struct err *err);
void fft_free(struct fft *fft); /* NULL is fine */
/* out[k] = sum_t in[t] exp(-2 pi i k t / n), k = 0..n/2; n values in, destroyed. */
void fft_forward(const struct fft *fft, float *in, float complex *out);
/* As fft_to_real: not normalised; in is destroyed. */
void fft_inverse(const struct fft *fft, float complex *in, float *out);

#endif
