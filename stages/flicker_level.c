#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "stages/flicker.h"
#include "stages/flicker_stats.h"

#define STATISTICS_SIGMA 3.0
#define ROUNDS 5

enum { HISTOGRAM = 2000, MOST_STEPS = 200 };
#define HISTOGRAM_SIGMA 4.0 /* on both sides of the center */

struct level {
    double center, sigma;
};

/* ---- a Gaussian fitted to a histogram ---- */

struct histogram {
    double from, width; /* of the first bin */
    double count[HISTOGRAM];
};

static void count_value(struct histogram *h, double value)
{
    const double at = (value - h->from) / h->width;
    if (at >= 0 && at <= HISTOGRAM) {
        h->count[at < HISTOGRAM ? (int)at : HISTOGRAM - 1]++;
    }
}

/* Values of the mask, or those up to the center and their mirror images. */
static void count_values(const float *image, const uint8_t *mask, size_t n,
                         const struct level *l, bool lower_half, struct histogram *h)
{
    for (size_t i = 0; i < n; i++) {
        const double v = (double)image[i];
        if (mask[i] && (!lower_half || v <= l->center)) {
            count_value(h, v);
            if (lower_half) {
                count_value(h, 2 * l->center - v);
            }
        }
    }
}

/*
 * Sum of squares of count - g[0] * exp(-0.5 * ((x - g[1]) / g[2])^2), with the normal
 * equations of a step: a * step = b.
 */
static double residuals(const struct histogram *h, const double g[3], double a[3][3],
                        double b[3])
{
    double squares = 0;
    for (int i = 0; i < 3; i++) {
        b[i] = a[i][0] = a[i][1] = a[i][2] = 0;
    }
    for (int k = 0; k < HISTOGRAM; k++) {
        const double t = (h->from + (k + 0.5) * h->width - g[1]) / g[2];
        const double e = exp(-0.5 * t * t), r = h->count[k] - g[0] * e;
        const double d[3] = {e, g[0] * e * t / g[2], g[0] * e * t * t / g[2]};
        squares += r * r;
        for (int i = 0; i < 3; i++) {
            b[i] += d[i] * r;
            for (int j = 0; j < 3; j++) {
                a[i][j] += d[i] * d[j];
            }
        }
    }
    return squares;
}

/* a * x = b of three unknowns with the diagonal raised by a share, by Cramer's rule. */
static bool solve_raised(double a[3][3], const double b[3], double raise, double x[3])
{
    double m[3][3];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            m[i][j] = a[i][j] * (i == j ? 1 + raise : 1);
        }
    }
    double c[3][3]; /* cofactors; m is symmetric */
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            const int i1 = (i + 1) % 3, i2 = (i + 2) % 3, j1 = (j + 1) % 3,
                      j2 = (j + 2) % 3;
            c[i][j] = m[i1][j1] * m[i2][j2] - m[i1][j2] * m[i2][j1];
        }
    }
    const double det = m[0][0] * c[0][0] + m[0][1] * c[0][1] + m[0][2] * c[0][2];
    for (int i = 0; i < 3; i++) {
        x[i] = (c[i][0] * b[0] + c[i][1] * b[1] + c[i][2] * b[2]) / det;
    }
    return isfinite(x[0]) && isfinite(x[1]) && isfinite(x[2]);
}

/* Levenberg-Marquardt; false (g is worthless) if it does not converge within bounds. */
static bool fit_gaussian(const struct histogram *h, double g[3])
{
    double a[3][3], b[3], step[3], raise = 1e-3;
    const double low = h->from + 0.5 * h->width,
                 high = h->from + (HISTOGRAM - 0.5) * h->width;
    double squares = residuals(h, g, a, b);
    for (int k = 0; k < MOST_STEPS; k++) {
        if (!solve_raised(a, b, raise, step)) {
            return false;
        }
        double next[3], next_a[3][3], next_b[3];
        for (int i = 0; i < 3; i++) {
            next[i] = g[i] + step[i];
        }
        const bool within = next[0] > 0 && next[2] > 0 && next[2] <= high - low &&
                            next[1] >= low && next[1] <= high;
        const double then =
            within ? residuals(h, next, next_a, next_b) : (double)INFINITY;
        if (then > squares) {
            raise *= 10;
            if (raise > 1e12) { /* no step is better: at the minimum */
                return true;
            }
            continue;
        }
        const bool done =
            fabs(step[1]) + fabs(step[2]) < 1e-9 * g[2] && fabs(step[0]) < 1e-9 * g[0];
        squares = then;
        raise *= 0.1;
        for (int i = 0; i < 3; i++) {
            g[i] = next[i];
            b[i] = next_b[i];
            for (int j = 0; j < 3; j++) {
                a[i][j] = next_a[i][j];
            }
        }
        if (done) {
            return true;
        }
    }
    return false;
}

/* Center and sigma of the histogram's Gaussian; as they are if none can be fitted. */
static int refine(const float *image, const uint8_t *mask, size_t n, bool lower_half,
                  struct level *l, struct err *err)
{
    if (!(l->sigma > 0)) {
        return 0;
    }
    struct histogram *h = mem_calloc(1, sizeof *h, err);
    if (!h) {
        return ERR_NOMEM;
    }
    h->from = l->center - HISTOGRAM_SIGMA * l->sigma;
    h->width = 2 * HISTOGRAM_SIGMA * l->sigma / HISTOGRAM;
    count_values(image, mask, n, l, lower_half, h);
    int top = 0;
    for (int k = 1; k < HISTOGRAM; k++) {
        top = h->count[k] > h->count[top] ? k : top;
    }
    double g[3] = {h->count[top], h->from + (top + 0.5) * h->width, l->sigma};
    if (fit_gaussian(h, g)) {
        *l = (struct level){g[1], g[2]};
    }
    free(h);
    return 0;
}

/* ---- clipping ---- */

struct limits {
    struct flicker *f;
    double from, to;
};

static void narrow(void *arg, size_t first, size_t end)
{
    const struct limits *l = arg;
    for (size_t i = first; i < end; i++) {
        const double v = (double)l->f->image[i];
        l->f->mask[i] &= !(v < l->from) & !(v > l->to);
    }
}

void flicker_forget(struct flicker *f)
{
    flicker_stats_free(f->stats);
    f->stats = NULL;
}

static int remember(const struct stage_env *env, struct flicker *f, struct err *err)
{
    if (f->stats) {
        return 0;
    }
    f->low = -INFINITY;
    f->high = INFINITY;
    f->shift = 0;
    return flicker_stats_new(env, f->image, f->mask, exposure_pixels(f->exposure),
                             f->noise, &f->stats, err);
}

int flicker_clip(const struct stage_env *env, struct flicker *f,
                 const struct flicker_cut *cut, float *ret_median, struct err *err)
{
    const size_t n = exposure_pixels(f->exposure);
    int code = remember(env, f, err);
    if (code) {
        return code;
    }
    const struct flicker_stats *s = f->stats;
    const struct robust_stats r =
        flicker_stats_clip(s, f->low, f->high, STATISTICS_SIGMA, ROUNDS);
    if (r.n == 0) {
        *ret_median = 0;
        return 0;
    }
    struct level l = {cut->fit_histogram ? r.mean : r.median, r.std};
    if (cut->lower_half) {
        l.sigma = flicker_stats_below(s, f->low, l.center, STATISTICS_SIGMA, ROUNDS);
    }
    l.center -= f->shift;
    if (cut->fit_histogram) {
        code = refine(f->image, f->mask, n, cut->lower_half, &l, err);
    }
    struct limits limits = {f, l.center - cut->lower * l.sigma,
                            l.center + cut->upper * l.sigma};
    f->low = fmax(f->low, limits.from + f->shift);
    f->high = fmin(f->high, limits.to + f->shift);
    const float median = flicker_stats_median(s, f->low, f->high);
    *ret_median = isnan(median) ? 0 : (float)((double)median - f->shift);
    return code ? code : flicker_pixels(env, f, narrow, &limits, err);
}
