#include "stages/extract_optimal.h"

#include <math.h>
#include <stdbool.h>

double extract_variance(const struct extract_plane *v, size_t p)
{
    double var = (double)(v->err[p] * v->err[p]);
    if (v->common > 0) { /* what is common adds up, and not in quadrature */
        var = fmax(var - v->common * v->common, 0);
    }
    return var + (v->shared ? v->overlap * (double)v->shared[p] : 0.0);
}

static bool is_good(const struct extract_plane *v, size_t p)
{
    return v->wmap[p] != 0.0f && isfinite(v->sci[p]) && isfinite(v->err[p]);
}

/* The line of variances against the profile: at least the smallest, and rising. */
struct line {
    double least, slope;
};

static struct line fit_variances(const struct aperture *a,
                                 const struct extract_plane *v, const double *share)
{
    double n = 0, sp = 0, spp = 0, sv = 0, spv = 0, least = INFINITY;
    for (size_t i = 0; i < a->n; i++) {
        size_t p = a->index[i];
        if (is_good(v, p)) {
            double var = extract_variance(v, p), w = a->weight[i];
            n += w;
            sp += w * share[p];
            spp += w * share[p] * share[p];
            sv += w * var;
            spv += w * var * share[p];
            least = var > 0 ? fmin(least, var) : least;
        }
    }
    double det = n * spp - sp * sp;
    struct line l = {n > 0 ? sv / n : 0, 0};
    if (det > 1e-12 * n * spp) {
        l.slope = fmax((n * spv - sp * sv) / det, 0);
        l.least = (sv - l.slope * sp) / n;
    }
    if (!(l.least > least)) {
        l.least = isfinite(least) ? least : 1; /* no errors at all: all alike */
    }
    return l;
}

struct extract_optimal extract_optimal(const struct aperture *a,
                                       const struct extract_plane *v,
                                       const double *share,
                                       const struct extract_level *level)
{
    struct extract_optimal o = {0};
    struct line l = fit_variances(a, v, share);
    double norm = 0, sum = 0, var = 0, weights = 0, squares = 0;
    for (size_t i = 0; i < a->n; i++) {
        size_t p = a->index[i];
        if (is_good(v, p)) {
            double w = a->weight[i] * share[p] / (l.least + l.slope * share[p]);
            norm += w * (share[p] - level->share);
            sum += w * ((double)v->sci[p] - level->value);
            var += w * w * extract_variance(v, p);
            weights += w;
            squares += w * w;
            o.light += a->weight[i] * share[p];
        }
    }
    if (!(norm > 0)) {
        return (struct extract_optimal){0};
    }
    o.flux = sum / norm;
    o.var = var / (norm * norm);
    o.cover = weights / norm;
    o.spaxels = weights * weights / squares;
    return o;
}
