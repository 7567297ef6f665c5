#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "stages/flicker_gp.h"

#define EXACT_LAGS 16    /* lags that stand for themselves */
#define BIN 1.08         /* ratio of the ends of a bin of lags */
#define LEAST_PAIRS 1000 /* of a bin that counts */
#define SPECTRUM_BIN 1.2 /* ratio of the ends of a bin of frequencies */
#define FLAT 8           /* the first frequency that counts by itself */
#define LEAST 1e-3       /* of a spectrum, as a share of the white noise */
#define BLOCK 8192       /* frequencies of one piece */

/*
 * Covariance of 1/f noise sampled down to lag 0, from lags 1 and 2, where it falls as the
 * logarithm: C(0) - C(1) = 2 c Cin(pi), C(1) - C(2) = 2 c ln 2.
 */
#define STEP_TO_ZERO (1.6483 / 0.6931)

struct loop {
    const struct gp_readout *r;
    const struct fft *fft;
    const float *data;    /* n_outputs series */
    float *series;        /* the same length */
    float complex *halfs; /* n_outputs spectra */
};

static int forward(size_t c, int thread, void *arg, struct err *err)
{
    const struct loop *l = arg;
    const size_t n = l->r->n;
    (void)thread;
    (void)err;
    memcpy(l->series + c * n, l->data + c * n, n * sizeof *l->series);
    fft_forward(l->fft, l->series + c * n, l->halfs + c * gp_readout_stride(l->r));
    return 0;
}

/* Products of pairs: of one output into the first spectrum, of two into the second. */
static int multiply(size_t piece, int thread, void *arg, struct err *err)
{
    const struct loop *l = arg;
    const size_t m = l->r->n / 2 + 1, stride = gp_readout_stride(l->r);
    (void)thread;
    (void)err;
    for (size_t k = piece * BLOCK; k < m && k < (piece + 1) * BLOCK; k++) {
        float complex sum = 0;
        float squares = 0;
        for (int c = 0; c < l->r->n_outputs; c++) {
            const float complex v = l->halfs[(size_t)c * stride + k];
            sum += v;
            squares += crealf(v) * crealf(v) + cimagf(v) * cimagf(v);
        }
        l->halfs[k] = squares;
        if (l->r->n_outputs > 1) {
            l->halfs[stride + k] =
                crealf(sum) * crealf(sum) + cimagf(sum) * cimagf(sum) - squares;
        }
    }
    return 0;
}

static int inverse(size_t c, int thread, void *arg, struct err *err)
{
    const struct loop *l = arg;
    (void)thread;
    (void)err;
    fft_inverse(l->fft, l->halfs + c * gp_readout_stride(l->r),
                l->series + c * l->r->n);
    return 0;
}

/* Sums over the bins of lags of the products of pairs of `data`. */
static int sum_bins(const struct stage_env *env, struct loop *l, const size_t *edges,
                    size_t n_bins, double *within, double *between, struct err *err)
{
    const struct gp_readout *r = l->r;
    const size_t n = r->n, spectra = r->n_outputs > 1 ? 2 : 1;
    int code = par_for(env->par, (size_t)r->n_outputs, forward, l, env->cancel, err);
    code = code ? code
                : par_for(env->par, (n / 2 + BLOCK) / BLOCK, multiply, l, env->cancel,
                          err);
    code = code ? code : par_for(env->par, spectra, inverse, l, env->cancel, err);
    for (size_t i = 0; i < n_bins && !code; i++) {
        within[i] = between[i] = 0;
        for (size_t t = edges[i]; t < edges[i + 1]; t++) {
            within[i] += (double)l->series[t] / (double)n;
            between[i] += spectra > 1 ? (double)l->series[n + t] / (double)n : 0;
        }
    }
    return code;
}

/* Ends of the bins; the number of bins. */
static size_t bins(size_t n, size_t *edges)
{
    size_t i = 0, lag = 0;
    while (i < GP_NODES && lag < n / 2) {
        edges[i++] = lag;
        const double next = ceil((double)lag * BIN);
        lag = lag < EXACT_LAGS ? lag + 1 : (size_t)next;
    }
    edges[i] = lag < n / 2 ? lag : n / 2;
    return i;
}

/* The node at lag 0 without the white noise. */
static void split_white(struct gp_covariance *c)
{
    if (c->n_nodes == 0) {
        return;
    }
    const double step = c->within[1] - c->within[2];
    double zero = c->within[1] + (step > 0 ? STEP_TO_ZERO * step : 0);
    zero = zero < c->within[0] ? zero : c->within[0];
    zero = zero > 0 ? zero : 0;
    c->white = c->within[0] - zero;
    c->within[0] = zero;
}

int gp_covariance_estimate(const struct stage_env *env, const struct gp_readout *r,
                           const struct fft *fft, const float *y, const float *used,
                           struct gp_covariance *ret, struct err *err)
{
    size_t edges[GP_NODES + 1];
    double sums[4][GP_NODES];
    const size_t n = r->n, n_bins = bins(n, edges), outputs = (size_t)r->n_outputs;
    struct loop l = {.r = r, .fft = fft, .data = y};
    l.series = mem_alloc(outputs * n, sizeof *l.series, err);
    l.halfs = mem_alloc(outputs * gp_readout_stride(r), sizeof *l.halfs, err);
    int code = l.series && l.halfs ? 0 : ERR_NOMEM;
    code = code ? code : sum_bins(env, &l, edges, n_bins, sums[0], sums[1], err);
    l.data = used;
    code = code ? code : sum_bins(env, &l, edges, n_bins, sums[2], sums[3], err);
    free(l.series);
    free(l.halfs);
    *ret = (struct gp_covariance){0};
    for (size_t i = 0; i < n_bins && !code; i++) {
        if (sums[2][i] < LEAST_PAIRS ||
            (r->n_outputs > 1 && sums[3][i] < LEAST_PAIRS)) {
            continue;
        }
        const size_t k = ret->n_nodes++;
        ret->lag[k] = (double)(edges[i] + edges[i + 1] - 1) / 2;
        ret->within[k] = sums[0][i] / sums[2][i];
        ret->between[k] = r->n_outputs > 1 ? sums[1][i] / sums[3][i] : 0;
    }
    if (ret->n_nodes < 3 || ret->lag[2] > 2) {
        ret->n_nodes = 0;
    }
    split_white(ret);
    return code;
}

/* Covariance in a combination of outputs at all lags, as a periodic series. */
static void fill(const struct gp_covariance *c, double share, size_t n, float *series)
{
    size_t k = 0;
    for (size_t t = 0; t <= n / 2; t++) {
        while (k + 2 < c->n_nodes && c->lag[k + 1] < (double)t) {
            k++;
        }
        double v = c->within[k] + share * c->between[k];
        if (k + 1 < c->n_nodes) {
            const double next = c->within[k + 1] + share * c->between[k + 1];
            const double u = ((double)t - c->lag[k]) / (c->lag[k + 1] - c->lag[k]);
            v += (u < 0 ? 0 : u > 1 ? 1 : u) * (next - v);
        }
        series[t] = (float)v;
        if (t > 0) {
            series[n - t] = (float)v;
        }
    }
}

/*
 * Means over bins of frequency, joined by lines; a mean that is not positive is taken from
 * the bin before it, falling as 1/f. The lowest frequencies, of which there are few, are one
 * bin, and flat.
 */
static void smooth(const float complex *half, size_t m, double floor, float *spectrum)
{
    double last_at = 0, last = 0;
    size_t k = 0;
    for (size_t first = 1, end; first < m; first = end) {
        end = (size_t)ceil((double)first * SPECTRUM_BIN);
        end = end > FLAT ? end : FLAT;
        end = end < m ? end : m;
        double sum = 0;
        for (size_t i = first; i < end; i++) {
            sum += (double)crealf(half[i]);
        }
        const double at = (double)(first + end - 1) / 2;
        double mean = sum / (double)(end - first);
        mean = fmax(mean > 0 ? mean : last * last_at / at, floor);
        const double slope = first > 1 ? (mean - last) / (at - last_at) : 0;
        /* from the middle of the bin before on */
        for (; k < m && (double)k <= at; k++) {
            spectrum[k] = (float)(mean + slope * ((double)k - at));
        }
        last_at = at;
        last = mean;
    }
    for (; k < m; k++) {
        spectrum[k] = (float)last;
    }
}

int gp_covariance_spectra(const struct gp_covariance *c, const struct gp_readout *r,
                          const struct fft *fft, float *differences, float *mean,
                          struct err *err)
{
    const size_t n = r->n;
    float *series = mem_alloc(n, sizeof *series, err);
    float complex *half = mem_alloc(n / 2 + 1, sizeof *half, err);
    const int code = series && half ? 0 : ERR_NOMEM;
    for (int i = 0; i < 2 && !code; i++) {
        float *spectrum = i ? mean : differences;
        fill(c, i ? r->n_outputs - 1 : -1, n, series);
        fft_forward(fft, series, half);
        smooth(half, n / 2 + 1, LEAST * c->white, spectrum);
    }
    free(series);
    free(half);
    return code;
}
