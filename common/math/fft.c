#include "common/math/fft.h"

#include <fftw3.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/mem.h"

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
};

int fft_new(size_t n, struct fft **ret, struct err *err)
{
    if (n < 2 || n > INT_MAX) {
        return err_set(err, ERR_PARAM, "a transform of %zu values: give 2 to %d", n,
                       INT_MAX);
    }
    const unsigned flags = FFTW_ESTIMATE | FFTW_UNALIGNED | FFTW_DESTROY_INPUT;
    struct fft *fft = mem_calloc(1, sizeof *fft, err);
    float *series = mem_calloc(n, sizeof *series, err);
    float complex *half = mem_calloc(n / 2 + 1, sizeof *half, err);
    int code = fft && series && half ? 0 : ERR_NOMEM;
    if (!code) {
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

void fft_forward(const struct fft *fft, float *in, float complex *out)
{
    fftwf_execute_dft_r2c(fft->forward, in, out);
}

void fft_inverse(const struct fft *fft, float complex *in, float *out)
{
    fftwf_execute_dft_c2r(fft->inverse, in, out);
}
