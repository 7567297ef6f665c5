#include "jobs/job_difference.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/robust.h"

/* A row, or a place between two rows: the second counts by `share`. */
struct place {
    size_t k;
    double share;
};

/* Where a wavelength lies in a spectrum, looking from row *from on; false: outside. */
static bool find(const struct spectrum *s, size_t *from, double um, struct place *ret)
{
    size_t k = *from;
    while (k + 1 < s->n && s->wavelength[k + 1] <= um) {
        k++;
    }
    if (k >= s->n || !(s->wavelength[k] <= um)) {
        return false;
    }
    *from = k;
    *ret = (struct place){k, 0};
    if (s->wavelength[k] < um) {
        if (k + 1 == s->n || !(s->wavelength[k + 1] > um)) {
            return false;
        }
        ret->share =
            (um - s->wavelength[k]) / (s->wavelength[k + 1] - s->wavelength[k]);
    }
    return true;
}

static double at(const double *values, struct place p)
{
    return p.share > 0 ? values[p.k] + p.share * (values[p.k + 1] - values[p.k])
                       : values[p.k];
}

static bool is_used(const struct spectrum *s, struct place p)
{
    const uint32_t flags = s->dq[p.k] | (p.share > 0 ? s->dq[p.k + 1] : 0);
    return !(flags & DQ_DO_NOT_USE);
}

size_t job_difference_rows(const struct spectrum *was, const struct spectrum *is,
                           double *ret_old, double *ret_sigma)
{
    size_t n = 0, k = 0;
    for (size_t i = 0; i < is->n; i++) {
        struct place p;
        ret_old[i] = ret_sigma[i] = (double)NAN;
        if (!find(was, &k, is->wavelength[i], &p) || !is_used(was, p) ||
            !is_used(is, (struct place){i, 0})) {
            continue;
        }
        const double old = at(was->flux, p), sigma = at(was->flux_error, p);
        if (isfinite(is->flux[i] - old) && sigma > 0 && isfinite(sigma)) {
            ret_old[i] = old;
            ret_sigma[i] = sigma;
            n++;
        }
    }
    return n;
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
    double *old = mem_alloc(is->n + 1, sizeof *old, err),
           *sigma = mem_alloc(is->n + 1, sizeof *sigma, err);
    int code = percent && old && sigma ? 0 : ERR_NOMEM;
    size_t n = 0;
    if (!code) {
        d.compared = job_difference_rows(was, is, old, sigma);
    }
    for (size_t i = 0; i < is->n && !code; i++) {
        if (!isfinite(old[i])) {
            continue;
        }
        const double change = is->flux[i] - old[i];
        if (!(fabs(change / sigma[i]) <= fabs(d.largest_sigma))) {
            d.largest_sigma = change / sigma[i];
            d.largest_sigma_um = is->wavelength[i];
        }
        if (old[i] > JOB_DIFFERENCE_SNR * sigma[i]) {
            const double in_percent = 100 * change / old[i];
            percent[n] = (float)in_percent;
            if (!(fabs(in_percent) <= fabs(d.largest_percent))) {
                d.largest_percent = in_percent;
                d.largest_percent_um = is->wavelength[i];
            }
            n++;
        }
    }
    if (!code && n) {
        d.median_percent = (double)robust_median(percent, n);
    }
    free(percent);
    free(old);
    free(sigma);
    if (!code) {
        *ret = d;
    }
    return code;
}

/* Three digits; of a large number all that stand before the point. */
static const char *number(double value, char ret[40])
{
    snprintf(ret, 40, fabs(value) >= 1000 && fabs(value) < 1e7 ? "%+.0f" : "%+.3g",
             value);
    return ret;
}

void job_difference_text(const struct job_difference *d, char *ret, size_t size)
{
    char a[40], b[40];
    int n = snprintf(ret, size, "%zu rows compared", d->compared);
    if (d->compared && n > 0 && (size_t)n < size) {
        n += snprintf(ret + n, size - (size_t)n, ": at most %s sigma at %.4f um",
                      number(d->largest_sigma, a), d->largest_sigma_um);
    }
    if (isfinite(d->median_percent) && n > 0 && (size_t)n < size) {
        snprintf(ret + n, size - (size_t)n,
                 "; flux %s %% in the median, at most %s %% at %.4f um",
                 number(d->median_percent, a), number(d->largest_percent, b),
                 d->largest_percent_um);
    }
}
