#include "common/math/fft.h"

#include <fftw3.h>
#include <limits.h>
#include <pthread.h>

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
