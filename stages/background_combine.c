#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/interp.h"
#include "stages/background_spectrum.h"

/* One of the spectra that are combined. Borrows the columns. */
struct input {
    const struct spectrum *s;
    const double *value, *error;
    double low, high; /* half a row beyond the first and last wavelength */
    double weight;
};

/* The sky in a source's spectrum is BACKGROUND, in that of a sky exposure everything;
 * but extended sources have no aperture, and BACKGROUND is their clipped mean. */
static bool wants_background(const struct spectrum *s)
{
    bool is_sky = false;
    return !strcmp(s->source_type, "EXTENDED") ||
           (header_get_bool(&s->primary, "BKGDTARG", &is_sky) && !is_sky);
}

static bool good(const struct input *in, size_t i)
{
    return !(in->s->dq[i] & DQ_DO_NOT_USE) && isfinite(in->s->flux[i]) &&
           isfinite(in->value[i]);
}

static bool is_monotonic(const struct spectrum *s)
{
    bool rises = s->n > 1, falls = s->n > 1;
    for (size_t i = 1; i < s->n; i++) {
        rises &= s->wavelength[i] > s->wavelength[i - 1];
        falls &= s->wavelength[i] < s->wavelength[i - 1];
    }
    return rises || falls;
}

/* What can be used of the spectra. Returns how many. */
static size_t take(const struct stage_env *env, struct spectrum *const *spectra,
                   size_t n, struct input *ret)
{
    size_t used = 0;
    for (size_t k = 0; k < n; k++) {
        const struct spectrum *s = spectra[k];
        const bool background = wants_background(s);
        struct input in = {.s = s,
                           .value = background ? s->background : s->surf_bright,
                           .error = background ? s->bkgd_error : s->sb_error,
                           .weight = s->meta.exposure_time};
        size_t rows = 0;
        for (size_t i = 0; i < s->n; i++) {
            rows += good(&in, i);
        }
        if (!rows || !is_monotonic(s)) {
            stage_warn(env, "%s is left out of the background: %s", s->filename,
                       rows ? "its wavelengths are not monotonic" : "no row is good");
            continue;
        }
        const double *w = s->wavelength, *end = w + s->n - 1;
        const double a = w[0] - 0.5 * (w[1] - w[0]), b = *end + 0.5 * (*end - end[-1]);
        in.low = fmin(a, b);
        in.high = fmax(a, b);
        if (!(in.weight > 0)) {
            stage_warn(env, "%s has no EFFEXPTM: it counts as 1 s", s->filename);
            in.weight = 1;
        }
        ret[used++] = in;
    }
    return used;
}

/* ---- wavelengths of the result ---- */

static int by_value(const void *a, const void *b)
{
    const double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

static double mean_of(const double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += v[i];
    }
    return sum / (double)n;
}

static double deviation_of(const double *v, size_t n)
{
    const double mean = mean_of(v, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (v[i] - mean) * (v[i] - mean);
    }
    return sqrt(sum / (double)n);
}

/* All wavelengths of the inputs in order, and how many inputs cover each. */
struct pool {
    size_t n;
    double *um, *sigma, *mean, *out; /* out: 0 where there is no output wavelength */
    size_t *covered;
};

static int fill_pool(const struct input *in, size_t n, struct pool *p, struct err *err)
{
    for (size_t k = 0; k < n; k++) {
        p->n += in[k].s->n;
    }
    p->um = mem_alloc(p->n, sizeof *p->um, err);
    p->sigma = mem_alloc(p->n, sizeof *p->sigma, err);
    p->mean = mem_alloc(p->n, sizeof *p->mean, err);
    p->out = mem_calloc(p->n, sizeof *p->out, err);
    p->covered = mem_calloc(p->n, sizeof *p->covered, err);
    if (!p->um || !p->sigma || !p->mean || !p->out || !p->covered) {
        return ERR_NOMEM;
    }
    for (size_t k = 0, at = 0; k < n; at += in[k++].s->n) {
        memcpy(p->um + at, in[k].s->wavelength, in[k].s->n * sizeof *p->um);
    }
    qsort(p->um, p->n, sizeof *p->um, by_value);
    for (size_t i = 0; i < p->n; i++) {
        for (size_t k = 0; k < n; k++) {
            p->covered[i] += p->um[i] >= in[k].low && p->um[i] < in[k].high;
        }
        p->covered[i] += p->covered[i] == 0; /* its own, but for rounding */
    }
    return 0;
}

static void pool_done(struct pool *p)
{
    free(p->um);
    free(p->sigma);
    free(p->mean);
    free(p->out);
    free(p->covered);
}

/* Scatter of as many wavelengths round i as inputs cover it: small in a clump. */
static void scatter(struct pool *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const size_t m = p->covered[i], end = i + m / 2 + 1;
        p->sigma[i] = 9999;
        if (m == 1) {
            p->sigma[i] = 0;
            p->out[i] = p->um[i];
        } else if (end >= m && end <= p->n) {
            p->sigma[i] = deviation_of(p->um + end - m, m);
            p->mean[i] = mean_of(p->um + end - m, m);
            p->out[i] = p->sigma[i] == 0 ? p->mean[i] : 0;
        }
    }
}

/* A clump is where the scatter is less than 0.8 of the neighbours'. */
static void find_clumps(struct pool *p)
{
    for (size_t i = 0; i < p->n && p->n > 1; i++) {
        const double left = p->sigma[i ? i - 1 : 1];
        const double right = p->sigma[i + 1 < p->n ? i + 1 : i - 1];
        if (p->sigma[i] > 0 && p->sigma[i] < 0.8 * (left + right) / 2) {
            p->out[i] = p->mean[i];
        }
    }
}

/* Where there are no clumps: means of as many as inputs cover them. */
static void fill_gaps(struct pool *p)
{
    size_t step;
    for (size_t i = 0; i < p->n; i += step) {
        step = p->covered[i];
        const size_t middle = i + step / 2;
        if (middle >= p->n) {
            continue;
        }
        step = p->covered[middle];
        if (i + step >= p->n) {
            continue;
        }
        const size_t from = i ? i - 1 : 0;
        const size_t to = i + step + 1 < p->n - 1 ? i + step + 1 : p->n - 1;
        double largest = 0;
        for (size_t j = from; j < to; j++) {
            largest = fmax(largest, p->out[j]);
        }
        if (largest <= 0) {
            p->out[i] = mean_of(p->um + i, step);
        }
    }
}

/* ---- values of the result ---- */

/* Row of the result nearest to a wavelength; false outside. */
static bool nearest(const struct spectrum *s, double um, size_t *ret)
{
    const double *w = s->wavelength;
    if (!(um >= w[0] && um <= w[s->n - 1])) {
        return false;
    }
    size_t i = s->n - 1;
    double share = 0;
    if (um < w[s->n - 1]) {
        i = interp_search(w, s->n, um);
        share = (um - w[i]) / (w[i + 1] - w[i]);
    }
    *ret = (size_t)rint((double)i + share);
    return true;
}

/* The last good row of an input that falls on a row of the result counts. */
static void accumulate(const struct input *in, struct spectrum *s, double *weight,
                       bool *has, double *value, double *error)
{
    memset(has, 0, s->n * sizeof *has);
    for (size_t i = 0; i < in->s->n; i++) {
        size_t k;
        if (good(in, i) && nearest(s, in->s->wavelength[i], &k)) {
            has[k] = true;
            value[k] = in->value[i];
            error[k] = isfinite(in->error[i]) ? in->error[i] : 0;
            s->dq[k] |= in->s->dq[i];
        }
    }
    for (size_t k = 0; k < s->n; k++) {
        if (has[k]) {
            const double e = error[k] * in->weight;
            s->surf_bright[k] += value[k] * in->weight;
            s->sb_error[k] += e * e;
            s->npixels[k] += 1;
            weight[k] += in->weight;
        }
    }
}

static int combine_values(const struct input *in, size_t n, struct spectrum *s,
                          struct err *err)
{
    size_t kept = 0;
    double *weight = mem_calloc(s->n, sizeof *weight, err);
    double *value = mem_alloc(s->n, sizeof *value, err);
    double *error = mem_alloc(s->n, sizeof *error, err);
    bool *has = mem_alloc(s->n, sizeof *has, err);
    int code = weight && value && error && has ? 0 : ERR_NOMEM;
    for (size_t k = 0; k < n && !code; k++) {
        accumulate(&in[k], s, weight, has, value, error);
    }
    for (size_t k = 0; k < s->n && !code; k++) {
        if (weight[k] > 0) { /* rows without data go */
            s->wavelength[kept] = s->wavelength[k];
            s->surf_bright[kept] = s->surf_bright[k] / weight[k];
            s->sb_error[kept] = sqrt(s->sb_error[k]) / weight[k];
            s->npixels[kept] = s->npixels[k];
            s->dq[kept++] = s->dq[k];
        }
    }
    s->n = kept;
    free(weight);
    free(value);
    free(error);
    free(has);
    if (!code && kept < 2) {
        code = err_set(err, ERR_NODATA,
                       "background spectra: %zu good rows in all; two at least are "
                       "needed",
                       kept);
    }
    return code;
}

/* From the wavelengths in the pool to rows. */
static int rows_of(struct pool *p, struct spectrum **ret, struct err *err)
{
    size_t n = 0, kept = 0;
    qsort(p->out, p->n, sizeof *p->out, by_value);
    for (size_t i = 0; i < p->n; i++) {
        n += p->out[i] > 0;
    }
    struct spectrum *s = spectrum_new(n, err);
    if (!s) {
        return ERR_NOMEM;
    }
    for (size_t i = p->n - n; i < p->n; i++) {
        if (!kept || p->out[i] > s->wavelength[kept - 1]) {
            s->wavelength[kept++] = p->out[i];
        }
    }
    s->n = kept;
    *ret = s;
    return kept > 1 ? 0
                    : err_set(err, ERR_NODATA,
                              "background spectra: no wavelengths to combine");
}

int background_spectrum_combine(const struct stage_env *env,
                                struct spectrum *const *spectra, size_t n,
                                struct spectrum **ret, struct err *err)
{
    struct pool pool = {0};
    struct spectrum *s = NULL;
    struct input *in = mem_calloc(n, sizeof *in, err);
    if (!in) {
        return ERR_NOMEM;
    }
    const size_t used = take(env, spectra, n, in);
    int code = used ? fill_pool(in, used, &pool, err)
                    : err_set(err, ERR_NODATA,
                              "none of %zu background spectra can be used (first: %s)",
                              n, spectra[0]->filename);
    if (!code) {
        scatter(&pool);
        find_clumps(&pool);
        fill_gaps(&pool);
        code = rows_of(&pool, &s, err);
    }
    code = code ? code : combine_values(in, used, s, err);
    pool_done(&pool);
    free(in);
    if (code) {
        spectrum_free(s);
        return code;
    }
    *ret = s;
    return 0;
}
