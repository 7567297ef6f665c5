#include "jobs/quicklook_range.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/math/robust.h"

/* Median of the finite values at i and two to each side; NaN if there are none. */
static float median_of_five(const double *y, size_t n, size_t i)
{
    float v[5];
    size_t m = 0;
    for (size_t k = i < 2 ? 0 : i - 2; k < n && k <= i + 2; k++) {
        if (isfinite(y[k])) {
            v[m++] = (float)y[k];
        }
    }
    return m ? robust_median(v, m) : NAN;
}

/* y drawn towards `centre` to at most twice as far as its neighbourhood is: the peak of
 * a line stays, a single bad wavelength goes. */
static double believable(double y, double neighbours, double centre)
{
    double d = y - centre, most = 2.0 * (neighbours - centre);
    if (d * most <= 0.0) {
        return neighbours;
    }
    return fabs(d) < fabs(most) ? y : centre + most;
}

int quicklook_range(const double *y, const double *error, size_t n, double *ret_low,
                    double *ret_high, struct err *err)
{
    float *v = mem_alloc(n, sizeof *v, err), *scratch = mem_alloc(n, sizeof *v, err);
    if (!v || !scratch) {
        free(v);
        free(scratch);
        return ERR_NOMEM;
    }
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(y[i]) && isfinite(error[i])) {
            v[m++] = (float)error[i];
        }
    }
    double most_error = m ? 6.0 * (double)robust_median(v, m) : (double)INFINITY;
    m = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(y[i])) {
            v[m++] = (float)y[i];
        }
    }
    double centre = m ? (double)robust_median(v, m) : 0.0;
    m = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(y[i]) && !(error[i] > most_error)) {
            double near = (double)median_of_five(y, n, i);
            v[m++] = (float)believable(y[i], near, centre);
        }
    }
    double low = 0.0, high = 1.0;
    if (m) {
        robust_sort(v, scratch, m);
        low = (double)v[0];
        high = (double)v[m - 1];
    }
    free(v);
    free(scratch);
    if (!(high > low)) {
        high = low + (fabs(low) > 0.0 ? 0.1 * fabs(low) : 1.0);
    }
    /* Zero is worth seeing unless it would flatten the curve. */
    if (low > 0.0 && low < 0.4 * high) {
        low = 0.0;
    }
    double pad = 0.07 * (high - low);
    *ret_low = low - (low == 0.0 ? 0.3 : 1.0) * pad;
    *ret_high = high + pad;
    return 0;
}
