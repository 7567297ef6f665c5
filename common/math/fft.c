#include "common/math/fft.h"

#include <assert.h>
#include <fftw3.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/mem.h"

#define ALIGNMENT 16 /* bytes: what FFTW asks of arrays for SIMD, and malloc gives */

static pthread_mutex_t planning = PTHREAD_MUTEX_INITIALIZER;

int fft_to_real(size_t n, float complex *in, float *out, struct err *err)
{
    if (n < 2 || n > INT_MAX) {
        return err_set(err, ERR_PARAM, "a transform of %zu values: give 2 to %d", n,
                       INT_MAX);
    }
    pthread_mutex_lock(&planning);
    fftwf_plan plan = fftwf_plan_dft_c2r_1d((int)n, in, out, FFTW_ESTIMATE);
    pthread_mutex_unlock(&planning);
    if (!plan) {
        return err_set(err, ERR_NOMEM, "no plan for a transform of %zu values", n);
    }
    fftwf_execute(plan);
    pthread_mutex_lock(&planning);
    fftwf_destroy_plan(plan);
    pthread_mutex_unlock(&planning);
    return 0;
}

struct fft {
    fftwf_plan forward, inverse;
    bool aligned;
};

static int plan(size_t n, bool aligned, struct fft **ret, struct err *err)
{
    if (n < 2 || n > INT_MAX) {
        return err_set(err, ERR_PARAM, "a transform of %zu values: give 2 to %d", n,
                       INT_MAX);
    }
    const unsigned flags =
        FFTW_ESTIMATE | FFTW_DESTROY_INPUT | (aligned ? 0 : FFTW_UNALIGNED);
    struct fft *fft = mem_calloc(1, sizeof *fft, err);
    float *series = mem_alloc(n, sizeof *series, err);
    float complex *half = mem_alloc(n / 2 + 1, sizeof *half, err);
    int code = fft && series && half ? 0 : ERR_NOMEM;
    if (!code) {
        fft->aligned = aligned;
        pthread_mutex_lock(&planning);
        fft->forward = fftwf_plan_dft_r2c_1d((int)n, series, half, flags);
        fft->inverse = fftwf_plan_dft_c2r_1d((int)n, half, series, flags);
        pthread_mutex_unlock(&planning);
        if (!fft->forward || !fft->inverse) {
            code = err_set(err, ERR_NOMEM, "no plan for a transform of %zu values", n);
        }
    }
    free(series);
    free(half);
    if (code) {
        fft_free(fft);
    } else {
        *ret = fft;
    }
    return code;
}

int fft_new(size_t n, struct fft **ret, struct err *err)
{
    return plan(n, false, ret, err);
}

int fft_new_aligned(size_t n, struct fft **ret, struct err *err)
{
    return plan(n, true, ret, err);
}

void fft_free(struct fft *fft)
{
    if (fft) {
        pthread_mutex_lock(&planning);
        fftwf_destroy_plan(fft->forward);
        fftwf_destroy_plan(fft->inverse);
        pthread_mutex_unlock(&planning);
        free(fft);
    }
}

static bool suits(const struct fft *fft, const float *series, const float complex *half)
{
    return !fft->aligned ||
           ((uintptr_t)series % ALIGNMENT == 0 && (uintptr_t)half % ALIGNMENT == 0);
}

void fft_forward(const struct fft *fft, float *in, float complex *out)
{
    assert(suits(fft, in, out));
    fftwf_execute_dft_r2c(fft->forward, in, out);
}

void fft_inverse(const struct fft *fft, float complex *in, float *out)
{
    assert(suits(fft, out, in));
    fftwf_execute_dft_c2r(fft->inverse, in, out);
}
