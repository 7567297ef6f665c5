#include "stages/extraction.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/data/cube_covariance.h"
#include "common/data/dq.h"
#include "common/data/cube_file.h"
#include "common/math/robust.h"
#include "stages/extract_optimal.h"

/*
 * The sums of extract_1d, plane by plane (stages/extract_1d.c says what they are).
 */

enum { CLIP_ROUNDS = 5, PLANES_PER_PIECE = 16 };

/* An aperture with less of the source's light than this says nothing of its flux. */
#define LEAST_LIGHT 0.05
#define MOST_CORRECTION (1.0 / LEAST_LIGHT)

/* The spatial plan of one plane, and scratch: one per thread. */
struct scratch {
    struct aperture *source, *annulus;
    struct extraction_radii
        r; /* what they were made for; r.aperture < 0: nothing yet */
    float *values, *sort;
    double *share,
        *edge; /* of the source's light on each spaxel; room to work it out */
};

struct work {
    const struct extraction *x;
    double solid_angle;      /* of a spaxel, sr */
    struct scratch *scratch; /* per thread */
    struct spectrum *s;
};

/* Sums of one plane over an aperture; cover: of the weights, without the weight map. */
struct sums {
    double area, flux, var, cover;
};

struct extraction_radii extraction_radii(const struct extraction *x, double um)
{
    const struct ref_extract1d *ref = x->ref;
    struct extraction_radii r = {ref_extract1d_at(ref, ref->radius, um) / x->scale,
                                 ref_extract1d_at(ref, ref->inner_bkg, um) / x->scale,
                                 ref_extract1d_at(ref, ref->outer_bkg, um) / x->scale};
    if (x->radius_arcsec > 0) {
        r.aperture = x->radius_arcsec / x->scale;
        if (r.inner > 0 && r.outer > r.inner && r.inner < r.aperture) {
            r.outer += r.aperture - r.inner; /* the same width, outside the aperture */
            r.inner = r.aperture;
        }
    }
    return r;
}

static float capped(float weight)
{
    return weight > 1.0f ? 1.0f : weight;
}

/* Spaxels without weight, and those with values outside low..high, are left out.
 * NaN bounds leave nothing out. */
static struct sums sum_over(const struct aperture *a, const struct extract_plane *v,
                            float low, float high)
{
    const float *sci = v->sci, *wmap = v->wmap;
    struct sums s = {0.0, 0.0, 0.0, 0.0};
    for (size_t i = 0; i < a->n; i++) {
        size_t p = a->index[i];
        if (wmap[p] == 0.0f || sci[p] < low || sci[p] > high) {
            continue;
        }
        s.area += (double)capped(wmap[p]) * a->weight[i];
        s.flux += (double)sci[p] * a->weight[i];
        s.var += extract_variance(v, p) * a->weight[i];
        s.cover += a->weight[i];
    }
    return s;
}

/*
 * Bounds of the background: values within `clip` standard deviations round the clipped
 * mean of the plane's spaxels with full weight. false if there is no such spaxel.
 */
static bool clip_bounds(const struct extraction *x, struct scratch *t,
                        const struct extract_plane *v, float *ret_low, float *ret_high)
{
    const float *sci = v->sci, *wmap = v->wmap;
    size_t plane = (size_t)x->c->nx * (size_t)x->c->ny, n = 0, covered = 0;
    for (size_t p = 0; p < plane; p++) {
        if (wmap[p] >= 1.0f) { /* 1 once capped */
            covered++;
            t->values[n] = sci[p];
            n += isfinite(sci[p]) ? 1 : 0;
        }
    }
    if (covered == 0) {
        return false;
    }
    /* In single precision from here, so that a spaxel on the bound falls as it does in
     * the peer. */
    struct robust_stats s = robust_clip(t->values, t->sort, n, x->clip, CLIP_ROUNDS);
    float reach = (float)x->clip * (float)s.std;
    *ret_low = (float)s.mean - reach;
    *ret_high = (float)s.mean + reach;
    return true;
}

/*
 * By how much the variance of a sum over `area` spaxels exceeds the sum of their variances:
 * spaxels share detector pixels.
 */
static double covariance(const struct extraction *x, double area)
{
    double factor = isfinite(x->covar)
                        ? x->covar
                        : cube_covariance_factor(x->c, sqrt(area / M_PI) * x->scale);
    return factor * factor;
}

/* Put flux, background (sums over its area) and errors of plane k into the table. */
static void put_row(const struct work *w, const struct extract_plane *v, size_t k,
                    struct sums source, struct sums background)
{
    struct spectrum *s = w->s;
    const double mega = 1e6;
    double area = source.area > 0.0 ? source.area : 1.0;
    double b_area = background.area > 0.0 ? background.area : 1.0;
    double common = fabs(source.cover) * v->common;
    double to_jy = w->solid_angle * mega;
    s->npixels[k] = source.area;
    s->flux[k] = source.flux * to_jy;
    s->surf_bright[k] = source.flux / area;
    s->background[k] = background.flux / b_area;
    s->flux_error[k] = hypot(
        sqrt(source.var * (w->solid_angle * w->solid_angle * 1e12)), common * to_jy);
    s->sb_error[k] = hypot(sqrt(source.var / area / area), common / area);
    s->bkgd_error[k] = hypot(sqrt(background.var / b_area / b_area),
                             background.cover * v->common / b_area);
}

static void extract_region(const struct work *w, struct scratch *t, size_t k,
                           const struct extract_plane *v)
{
    const struct extraction *x = w->x;
    struct sums all = sum_over(x->region, v, NAN, NAN);
    if (all.area == 0.0) {
        w->s->dq[k] = DQ_DO_NOT_USE;
        all.area = x->region->full;
    }
    struct sums clipped = {0.0, 0.0, 0.0, 0.0};
    float low, high;
    if (clip_bounds(x, t, v, &low, &high)) {
        clipped = sum_over(x->region, v, low, high);
    }
    all.var *= covariance(x, all.area);
    clipped.var *= covariance(x, clipped.area);
    put_row(w, v, k, all, clipped);
}

/* Share of the source's light in an aperture, of the spaxels that are summed. */
static double light_in(const struct aperture *a, const struct extract_plane *v,
                       const double *share)
{
    double light = 0;
    for (size_t i = 0; i < a->n; i++) {
        light += v->wmap[a->index[i]] == 0.0f ? 0 : a->weight[i] * share[a->index[i]];
    }
    return light;
}

/* Put the light that the aperture misses back: in the columns that the peer corrects. */
static void correct_row(const struct work *w, size_t k, double factor)
{
    struct spectrum *s = w->s;
    if (!(factor > 0 && factor < MOST_CORRECTION)) { /* next to nothing of the source */
        s->dq[k] |= DQ_DO_NOT_USE;
        return;
    }
    s->flux[k] *= factor;
    s->flux_error[k] *= factor;
    s->surf_bright[k] *= factor;
    s->sb_error[k] *= factor;
}

/*
 * The sums of a source by its profile instead of those over its aperture; of the ring,
 * whose variance is complete, nothing is subtracted if it has no area.
 */
static struct sums by_profile(const struct work *w, const struct scratch *t, size_t k,
                              const struct extract_plane *v, struct sums source,
                              const struct sums *ring)
{
    struct extract_level level = {0, 0};
    double level_var = 0;
    if (ring->area > 0) {
        level.value = ring->flux / ring->area;
        level.share = light_in(t->annulus, v, t->share) / ring->area;
        level_var = ring->var / (ring->area * ring->area);
    }
    struct extract_optimal o = extract_optimal(t->source, v, t->share, &level);
    if (!(o.light > LEAST_LIGHT)) {
        w->s->dq[k] |= DQ_DO_NOT_USE;
    }
    source.flux = o.flux;
    source.var = o.var * covariance(w->x, o.spaxels) + o.cover * o.cover * level_var;
    source.cover = ring->area > 0 ? 0 : o.cover; /* it goes with the background */
    return source;
}

static void extract_point(const struct work *w, struct scratch *t, size_t k,
                          const struct extract_plane *v)
{
    const struct extraction *x = w->x;
    const struct ref_extract1d *ref = x->ref;
    struct extraction_radii r = extraction_radii(x, x->c->wavelength[k]);
    bool subtract = (int)k < x->subtract_until;
    if (r.aperture != t->r.aperture || r.inner != t->r.inner || r.outer != t->r.outer) {
        aperture_ring(t->source, x->x, x->y, 0.0, r.aperture, ref->method,
                      ref->subpixels);
        if (subtract) {
            aperture_ring(t->annulus, x->x, x->y, r.inner, r.outer, ref->method,
                          ref->subpixels);
        }
        t->r = r;
    }
    struct sums source = sum_over(t->source, v, NAN, NAN);
    if (source.area == 0.0) {
        w->s->dq[k] = DQ_DO_NOT_USE;
        source.area = t->source->full;
    }
    if (x->psf) {
        psf_spaxels(&x->psf->psf, x->c->wavelength[k], x->psf->x, x->psf->y, x->scale,
                    x->c->nx, x->c->ny, t->edge, t->share);
    }
    struct sums ring = {0.0, 0.0, 0.0, 0.0}, kept = ring;
    double ratio = 0.0, light = x->psf ? light_in(t->source, v, t->share) : 1.0;
    if (subtract) {
        ring = sum_over(t->annulus, v, NAN, NAN);
        ring.area = ring.area != 0.0 ? ring.area : t->annulus->full;
        ring.var *= covariance(x, ring.area);
        float low = NAN, high = NAN;
        clip_bounds(x, t, v, &low, &high);
        kept = sum_over(t->annulus, v, low, high);
        /* As in the peer, area and variance are those of the whole ring, not of what the
         * clipping kept. */
        ring.flux = kept.flux;
        ratio = source.area / ring.area;
    }
    if (x->optimal) {
        source = by_profile(w, t, k, v, source, &ring);
    } else {
        source.var *= covariance(x, source.area);
        source.flux -= kept.flux * ratio;
        source.var += ring.var * ratio * ratio;
        source.cover -= kept.cover * ratio; /* what is common goes with it */
        light -= x->psf && subtract ? light_in(t->annulus, v, t->share) * ratio : 0.0;
    }
    put_row(w, v, k, source, ring);
    if (x->apcorr) {
        correct_row(
            w, k, ref_apcorr_at(x->apcorr, x->c->wavelength[k], r.aperture, x->scale));
    } else if (x->psf && !x->optimal) {
        correct_row(w, k, 1.0 / light);
    }
}

static int extract_planes(size_t piece, int thread, void *arg, struct err *err)
{
    (void)err;
    const struct work *w = arg;
    const struct extraction *x = w->x;
    const struct cube *c = x->c;
    struct scratch *t = &w->scratch[thread];
    size_t plane = (size_t)c->nx * (size_t)c->ny;
    size_t end = (piece + 1) * PLANES_PER_PIECE;
    if (end > (size_t)c->nw) {
        end = (size_t)c->nw;
    }
    for (size_t k = piece * PLANES_PER_PIECE; k < end; k++) {
        const struct extract_plane v = {
            c->sci + k * plane,
            c->err + k * plane,
            c->wmap + k * plane,
            c->var_background ? c->var_background + k * plane : NULL,
            x->overlap,
            c->common_error ? c->common_error[k] : 0.0};
        w->s->wavelength[k] = c->wavelength[k];
        if (!isfinite(c->wavelength[k])) {
            w->s->dq[k] |= DQ_DO_NOT_USE;
        } else if (x->region) {
            extract_region(w, t, k, &v);
        } else {
            extract_point(w, t, k, &v);
        }
    }
    cube_rest(c, (int)(piece * PLANES_PER_PIECE), (int)end);
    return 0;
}

static void scratch_done(struct scratch *t, size_t n)
{
    for (size_t i = 0; t && i < n; i++) {
        aperture_free(t[i].source);
        aperture_free(t[i].annulus);
        free(t[i].values);
        free(t[i].sort);
        free(t[i].share);
        free(t[i].edge);
    }
    free(t);
}

static int scratch_new(const struct cube *c, size_t n, struct scratch **ret,
                       struct err *err)
{
    size_t plane = (size_t)c->nx * (size_t)c->ny;
    struct scratch *t = mem_calloc(n, sizeof *t, err);
    int code = t ? 0 : ERR_NOMEM;
    for (size_t i = 0; !code && i < n; i++) {
        t[i].r.aperture = -1.0;
        t[i].values = mem_alloc(plane, sizeof(float), err);
        t[i].sort = mem_alloc(plane, sizeof(float), err);
        t[i].share = mem_alloc(plane, sizeof(double), err);
        t[i].edge = mem_alloc(2 * ((size_t)c->nx + (size_t)c->ny), sizeof(double), err);
        code = t[i].values && t[i].sort && t[i].share && t[i].edge ? 0 : ERR_NOMEM;
        if (!code) {
            code = aperture_new(c->nx, c->ny, &t[i].source, err);
        }
        if (!code) {
            code = aperture_new(c->nx, c->ny, &t[i].annulus, err);
        }
    }
    if (code) {
        scratch_done(t, n);
    } else {
        *ret = t;
    }
    return code;
}

int extraction_run(const struct extraction *x, struct par *par,
                   const atomic_bool *cancel, struct spectrum **ret, struct err *err)
{
    struct work w = {.x = x, .solid_angle = cube_spaxel_sr(x->c)};
    size_t threads = par ? (size_t)par_threads(par) : 1;
    size_t pieces = ((size_t)x->c->nw + PLANES_PER_PIECE - 1) / PLANES_PER_PIECE;
    w.s = spectrum_new((size_t)x->c->nw, err);
    int code = w.s ? scratch_new(x->c, threads, &w.scratch, err) : ERR_NOMEM;
    code = code ? code : par_for(par, pieces, extract_planes, &w, cancel, err);
    scratch_done(w.scratch, threads);
    if (code) {
        spectrum_free(w.s);
    } else {
        *ret = w.s;
    }
    return code;
}
