#include "jobs/job_difference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/math/robust.h"

/* A row between two others of the old spectrum: index and share of the second; n: none. */
static size_t find(const struct spectrum *s, size_t from, double um, double *ret_share)
{
    size_t k = from;
    while (k + 1 < s->n && s->wavelength[k + 1] <= um) {
        k++;
    }
    *ret_share = 0;
    if (!s->n || !(s->wavelength[k] <= um)) {
        return s->n;
    }
    if (s->wavelength[k] < um) {
        if (k + 1 == s->n) {
            return s->n;
        }
        *ret_share =
            (um - s->wavelength[k]) / (s->wavelength[k + 1] - s->wavelength[k]);
    }
    return k;
}

static double between(const double *values, size_t k, double share)
{
    return share > 0 ? values[k] + share * (values[k + 1] - values[k]) : values[k];
}

int job_difference(const struct spectrum *was, const struct spectrum *is,
                   struct job_difference *ret, struct err *err)
{
    struct job_difference d = {.median_percent = NAN,
                               .largest_percent = NAN,
                               .largest_percent_um = NAN,
                               .largest_sigma = NAN,
                               .largest_sigma_um = NAN};
    float *percent = mem_alloc(is->n + 1, sizeof *percent, err);
    size_t n = 0, k = 0;
    if (!percent) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < is->n; i++) {
        double share;
        size_t at = find(was, k, is->wavelength[i], &share);
        if (at == was->n) {
            continue;
        }
        k = at;
        const double old = between(was->flux, k, share),
                     sigma = between(was->flux_error, k, share),
                     change = is->flux[i] - old;
        if (!isfinite(change) || !(sigma > 0) || !isfinite(sigma)) {
            continue;
        }
        d.compared++;
        if (!(fabs(change / sigma) <= fabs(d.largest_sigma))) {
            d.largest_sigma = change / sigma;
            d.largest_sigma_um = is->wavelength[i];
        }
        if (old > JOB_DIFFERENCE_SNR * sigma) {
            const double in_percent = 100 * change / old;
            percent[n] = (float)in_percent;
            if (!(fabs(in_percent) <= fabs(d.largest_percent))) {
                d.largest_percent = in_percent;
                d.largest_percent_um = is->wavelength[i];
            }
            n++;
        }
    }
    if (n) {
        d.median_percent = (double)robust_median(percent, n);
    }
    free(percent);
    *ret = d;
    return 0;
}

void job_difference_text(const struct job_difference *d, char *ret, size_t size)
{
    int n = snprintf(ret, size, "%zu rows compared", d->compared);
    if (d->compared && n > 0 && (size_t)n < size) {
        n += snprintf(ret + n, size - (size_t)n, ": at most %+.3g sigma at %.4f um",
                      d->largest_sigma, d->largest_sigma_um);
    }
    if (isfinite(d->median_percent) && n > 0 && (size_t)n < size) {
        snprintf(ret + n, size - (size_t)n,
                 "; flux %+.3g %% in the median, at most %+.3g %% at %.4f um",
                 d->median_percent, d->largest_percent, d->largest_percent_um);
    }
}
