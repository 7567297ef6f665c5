#include "stages/stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/data/ref_extract1d.h"
#include "common/math/aperture.h"
#include "common/math/robust.h"
#include "stages/extract_1d_center.h"

/*
 * extract_1d: a spectrum from a cube.
 *
 * Inputs:  the cube (SCI, ERR, WMAP, WCS), the extract1d reference.
 * Outputs: the spectrum; the cube is not changed.
 * POINT:   in each plane the sum over a circle of the reference's radius at that
 *          wavelength, less the mean over an annulus, clipped at bkg_sigma_clip round the
 *          plane's well-covered spaxels. Areas are sums of the weight map capped at 1, so
 *          partly covered spaxels count in part; spaxels without weight are left out.
 * EXTENDED: the sum over the whole cube; nothing is subtracted, and the BACKGROUND
 *          columns hold the clipped mean over the cube.
 * Errors:  the spaxels' variances summed as if independent, times ifu_covar_scale; but what
 *          spaxels have in common (cube.h) is summed as such. The
 *          cube has no separate variances, so the VAR columns are 0 as in the peer.
 * Agreement: jwst 3.0.0 extract_1d for NIRSpec IFU cubes; aperture correction and
 *          residual fringes have no part there. Where the aperture misses the cube at a
 *          wavelength the peer writes NaN, this DO_NOT_USE and 0.
 */

enum { CLIP_ROUNDS = 5, PLANES_PER_PIECE = 16 };

/* The spatial plan of one plane, and scratch: one per thread. */
struct scratch {
    struct aperture *source, *annulus;
    double r, r_in, r_out; /* what the apertures were made for; r < 0: nothing yet */
    float *values, *sort;
};

struct extraction {
    const struct cube *c;
    const struct ref_extract1d *ref;
    bool extended;
    double x, y;             /* aperture centre, spaxels */
    double scale;            /* arcsec per spaxel */
    int subtract_until;      /* planes before this one are background subtracted */
    double clip;             /* bkg_sigma_clip */
    double solid_angle;      /* of a spaxel, sr */
    double covar;            /* ifu_covar_scale */
    double overlap;          /* of apertures in exposures that share a background */
    struct scratch *scratch; /* per thread */
    struct spectrum *s;
};

/* Values of one plane. */
struct plane {
    const float *sci, *err, *wmap;
    const float *shared; /* what exposures share of a background's noise; may be NULL */
    double overlap;      /* how much of it the aperture takes in more than once */
    double common;       /* error common to all spaxels, MJy/sr */
};

/* Sums of one plane over an aperture; cover: of the weights, without the weight map. */
struct sums {
    double area, flux, var, cover;
};

static float capped(float weight)
{
    return weight > 1.0f ? 1.0f : weight;
}

/* Spaxels without weight, and those with values outside low..high, are left out.
 * NaN bounds leave nothing out. */
static struct sums sum_over(const struct aperture *a, const struct plane *v, float low,
                            float high)
{
    const float *sci = v->sci, *err = v->err, *wmap = v->wmap;
    struct sums s = {0.0, 0.0, 0.0, 0.0};
    for (size_t i = 0; i < a->n; i++) {
        size_t p = a->index[i];
        if (wmap[p] == 0.0f || sci[p] < low || sci[p] > high) {
            continue;
        }
        s.area += (double)capped(wmap[p]) * a->weight[i];
        s.flux += (double)sci[p] * a->weight[i];
        double var = (double)(err[p] * err[p]);
        if (v->common > 0) { /* what is common adds up, and not in quadrature */
            var = fmax(var - v->common * v->common, 0);
        }
        var += v->shared ? v->overlap * (double)v->shared[p] : 0.0;
        s.var += var * a->weight[i];
        s.cover += a->weight[i];
    }
    return s;
}

/*
 * Bounds of the background: values within `clip` standard deviations round the clipped
 * mean of the plane's spaxels with full weight. false if there is no such spaxel.
 */
static bool clip_bounds(const struct extraction *x, struct scratch *t,
                        const struct plane *v, float *ret_low, float *ret_high)
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

/* Put flux, background (sums over its area) and errors of plane k into the table. */
static void put_row(const struct extraction *x, const struct plane *v, size_t k,
                    struct sums source, struct sums background)
{
    struct spectrum *s = x->s;
    const double mega = 1e6;
    double area = source.area > 0.0 ? source.area : 1.0;
    double b_area = background.area > 0.0 ? background.area : 1.0;
    double common = fabs(source.cover) * v->common;
    double to_jy = x->solid_angle * mega;
    s->npixels[k] = source.area;
    s->flux[k] = source.flux * to_jy;
    s->surf_bright[k] = source.flux / area;
    s->background[k] = background.flux / b_area;
    s->flux_error[k] =
        hypot(sqrt(source.var * (x->solid_angle * x->solid_angle * 1e12)) * x->covar,
              common * to_jy);
    s->sb_error[k] = hypot(sqrt(source.var / area / area) * x->covar, common / area);
    s->bkgd_error[k] = hypot(sqrt(background.var / b_area / b_area) * x->covar,
                             background.cover * v->common / b_area);
}

static void extract_extended(const struct extraction *x, struct scratch *t, size_t k,
                             const struct plane *v)
{
    struct sums all = sum_over(t->source, v, NAN, NAN);
    if (all.area == 0.0) {
        x->s->dq[k] = DQ_DO_NOT_USE;
        all.area = t->source->full;
    }
    struct sums clipped = {0.0, 0.0, 0.0, 0.0};
    float low, high;
    if (clip_bounds(x, t, v, &low, &high)) {
        clipped = sum_over(t->source, v, low, high);
    }
    put_row(x, v, k, all, clipped);
}

static void extract_point(const struct extraction *x, struct scratch *t, size_t k,
                          const struct plane *v)
{
    const struct ref_extract1d *ref = x->ref;
    double um = x->c->wavelength[k];
    double r = ref_extract1d_at(ref, ref->radius, um) / x->scale;
    double r_in = ref_extract1d_at(ref, ref->inner_bkg, um) / x->scale;
    double r_out = ref_extract1d_at(ref, ref->outer_bkg, um) / x->scale;
    bool subtract = (int)k < x->subtract_until;
    if (r != t->r || r_in != t->r_in || r_out != t->r_out) {
        aperture_ring(t->source, x->x, x->y, 0.0, r, ref->method, ref->subpixels);
        if (subtract) {
            aperture_ring(t->annulus, x->x, x->y, r_in, r_out, ref->method,
                          ref->subpixels);
        }
        t->r = r;
        t->r_in = r_in;
        t->r_out = r_out;
    }
    struct sums source = sum_over(t->source, v, NAN, NAN);
    if (source.area == 0.0) {
        x->s->dq[k] = DQ_DO_NOT_USE;
        source.area = t->source->full;
    }
    if (!subtract) {
        put_row(x, v, k, source, (struct sums){0.0, 0.0, 0.0, 0.0});
        return;
    }
    struct sums ring = sum_over(t->annulus, v, NAN, NAN);
    ring.area = ring.area != 0.0 ? ring.area : t->annulus->full;
    double ratio = source.area / ring.area;
    float low = NAN, high = NAN;
    clip_bounds(x, t, v, &low, &high);
    struct sums kept = sum_over(t->annulus, v, low, high);
    /* As in the peer, area and variance are those of the whole ring, not of what the
     * clipping kept. */
    source.flux -= kept.flux * ratio;
    source.var += ring.var * ratio * ratio;
    source.cover -= kept.cover * ratio; /* what is common goes with the background */
    ring.flux = kept.flux;
    put_row(x, v, k, source, ring);
}

static int extract_planes(size_t piece, int thread, void *arg, struct err *err)
{
    (void)err;
    const struct extraction *x = arg;
    struct scratch *t = &x->scratch[thread];
    size_t plane = (size_t)x->c->nx * (size_t)x->c->ny;
    size_t end = (piece + 1) * PLANES_PER_PIECE;
    if (end > (size_t)x->c->nw) {
        end = (size_t)x->c->nw;
    }
    for (size_t k = piece * PLANES_PER_PIECE; k < end; k++) {
        const struct cube *c = x->c;
        const struct plane v = {
            c->sci + k * plane,
            c->err + k * plane,
            c->wmap + k * plane,
            c->var_background ? c->var_background + k * plane : NULL,
            x->overlap,
            c->common_error ? c->common_error[k] : 0.0};
        x->s->wavelength[k] = x->c->wavelength[k];
        if (!isfinite(x->c->wavelength[k])) {
            x->s->dq[k] |= DQ_DO_NOT_USE;
        } else if (x->extended) {
            extract_extended(x, t, k, &v);
        } else {
            extract_point(x, t, k, &v);
        }
    }
    return 0;
}

static void scratch_done(struct scratch *t, size_t n)
{
    for (size_t i = 0; t && i < n; i++) {
        aperture_free(t[i].source);
        aperture_free(t[i].annulus);
        free(t[i].values);
        free(t[i].sort);
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
        t[i].r = -1.0;
        t[i].values = mem_alloc(plane, sizeof(float), err);
        t[i].sort = mem_alloc(plane, sizeof(float), err);
        code = t[i].values && t[i].sort ? 0 : ERR_NOMEM;
        if (!code) {
            code = aperture_new(c->nx, c->ny, &t[i].source, err);
        }
        if (!code) {
            code = aperture_new(c->nx, c->ny, &t[i].annulus, err);
            aperture_whole(t[i].source); /* EXTENDED keeps it */
        }
    }
    if (code) {
        scratch_done(t, n);
    } else {
        *ret = t;
    }
    return code;
}

/* Check the radii of every plane; where the annulus is void, the background is not
 * subtracted from there on. ERR_REFERENCE if a radius is not positive, ERR_PARAM if the
 * aperture misses the cube at every wavelength. */
static int plan_radii(const struct stage_env *env, struct extraction *x, bool subtract,
                      struct err *err)
{
    const struct ref_extract1d *ref = x->ref;
    bool meets = false;
    x->subtract_until = subtract ? x->c->nw : 0;
    for (int k = 0; k < x->c->nw; k++) {
        double um = x->c->wavelength[k];
        if (!isfinite(um)) {
            continue;
        }
        double r = ref_extract1d_at(ref, ref->radius, um) / x->scale;
        double r_in = ref_extract1d_at(ref, ref->inner_bkg, um) / x->scale;
        double r_out = ref_extract1d_at(ref, ref->outer_bkg, um) / x->scale;
        if (!(r > 0.0)) {
            return err_set(err, ERR_REFERENCE,
                           "extract1d reference: radius of %g spaxels at %g um; more "
                           "than 0 is right",
                           r, um);
        }
        meets = meets || (x->x + r > -0.5 && x->y + r > -0.5 &&
                          x->x - r < x->c->nx - 0.5 && x->y - r < x->c->ny - 0.5);
        if (x->subtract_until > k && !(r_in > 0.0 && r_out > r_in)) {
            x->subtract_until = k;
            stage_note(env, "no background annulus from %g um on: nothing subtracted",
                       um);
        }
    }
    if (!meets) {
        return err_set(err, ERR_PARAM,
                       "%s: an aperture at spaxel %g %g misses the cube of %d x %d "
                       "spaxels; center_xy must lie on the cube (0-based)",
                       x->c->filename, x->x, x->y, x->c->nx, x->c->ny);
    }
    return 0;
}

/*
 * Two exposures that look d apart see a background pixel within the aperture both if it lies
 * where two circles, d apart, overlap: that share of their area, mean over all pairs. Drizzle
 * spreads a pixel over about a slice's width, by which the circle is larger; the whole field
 * counts as a circle of its area.
 */
#define SLICE_ARCSEC 0.1
#define FIELD_RADIUS_ARCSEC 1.7

static double shared_overlap(const struct cube *c, double radius_arcsec)
{
    const double radius = radius_arcsec + SLICE_ARCSEC;
    double sum = 0;
    for (size_t i = 0; i < c->n_pairs; i++) {
        const double t = c->pair_arcsec[i] / (2 * radius);
        sum += t < 1 ? (acos(t) - t * sqrt(1 - t * t)) * M_2_PI : 0;
    }
    return c->n_pairs ? sum / (double)c->n_pairs : 1;
}

/* POINT: where the aperture goes and how large a spaxel is. */
static int place_aperture(const struct stage_env *env, const struct params *params,
                          struct extraction *x, struct extract_center *at,
                          struct err *err)
{
    const struct cube *c = x->c;
    const double *xy;
    size_t n = params_list(params, "center_xy", &xy);
    bool found = n > 0;
    if (found) {
        at->x = xy[0];
        at->y = xy[1];
        at->at_target = false;
        stage_note(env, "extracting at spaxel %g %g, from center_xy", at->x, at->y);
    } else if (params_bool(params, "ifu_autocen")) {
        int code = extract_center_brightest(env, c, &found, at, err);
        if (code) {
            return code;
        }
        if (!found) {
            stage_warn(env, "no source found by ifu_autocen; using the target");
        }
    }
    if (!found) {
        extract_center_target(env, c, at);
    }
    x->x = at->x;
    x->y = at->y;
    double i, j;
    if (at->at_target) {
        cube_sky_to_spaxel(c, c->meta.target_ra, c->meta.target_dec, &i, &j);
    } else {
        cube_sky_to_spaxel(c, c->crval1, c->crval2, &i, &j);
    }
    x->scale = extract_spaxel_arcsec(c, i, j);
    return 0;
}

/* Rows before the first and after the last finite wavelength go. */
static void trim(struct spectrum *s)
{
    size_t first = 0, end = s->n;
    while (first < end && !isfinite(s->wavelength[first])) {
        first++;
    }
    while (end > first && !isfinite(s->wavelength[end - 1])) {
        end--;
    }
    double *columns[] = {s->wavelength,      s->flux,
                         s->flux_error,      s->flux_var_poisson,
                         s->flux_var_rnoise, s->flux_var_flat,
                         s->surf_bright,     s->sb_error,
                         s->sb_var_poisson,  s->sb_var_rnoise,
                         s->sb_var_flat,     s->background,
                         s->bkgd_error,      s->bkgd_var_poisson,
                         s->bkgd_var_rnoise, s->bkgd_var_flat,
                         s->npixels};
    for (size_t a = 0; first > 0 && a < sizeof columns / sizeof columns[0]; a++) {
        memmove(columns[a], columns[a] + first, (end - first) * sizeof(double));
    }
    memmove(s->dq, s->dq + first, (end - first) * sizeof *s->dq);
    s->n = end - first;
}

/* Cards of the primary header that describe a cube, not a spectrum. */
static const char *const of_cubes[] = {"FLUXEXT", "ERREXT", "MASKEXT", "ROIS",
                                       "ROIW",    "WTYPE",  "WPOWER"};

static int fill_header(const struct cube *c, const struct extraction *x,
                       const struct extract_center *at, struct err *err)
{
    struct spectrum *s = x->s;
    s->meta = c->meta;
    strcpy(s->source_type, x->extended ? "EXTENDED" : "POINT");
    s->extraction_x = x->x;
    s->extraction_y = x->y;
    if (!x->extended) {
        double um = c->wavelength[c->nw / 2];
        s->aperture_arcsec = ref_extract1d_at(x->ref, x->ref->radius, um);
        if (c->nw / 2 < x->subtract_until) {
            s->annulus_in_arcsec = ref_extract1d_at(x->ref, x->ref->inner_bkg, um);
            s->annulus_out_arcsec = ref_extract1d_at(x->ref, x->ref->outer_bkg, um);
        }
    }
    cube_spaxel_to_sky(c, c->nx / 2.0, c->ny / 2.0, &s->source_ra, &s->source_dec);
    const char *detector; /* MULTIPLE for a cube of both */
    int code = header_copy(&s->primary, &c->primary, err);
    for (size_t i = 0; i < sizeof of_cubes / sizeof of_cubes[0]; i++) {
        header_remove(&s->primary, of_cubes[i]);
    }
    if (!code && header_get_string(&c->primary, "DETECTOR", &detector)) {
        code = header_set_string(&s->table, "DETECTOR", detector,
                                 "Name of detector used to acquire the data", err);
    }
    if (!code && at->at_target) { /* a whole spaxel is written without a point */
        code = header_set_int(&s->table, "EXTR_X", lround(at->x),
                              "X center of extraction region", err);
    }
    if (!code && at->at_target) {
        code = header_set_int(&s->table, "EXTR_Y", lround(at->y),
                              "Y center of extraction region", err);
    }
    return code;
}

/* Without weight nowhere: nothing can come of it. */
static int check_cube(const struct cube *c, struct err *err)
{
    if (!c) {
        return err_set(err, ERR_INPUT,
                       "there is no cube; cube_build must "
                       "run before it");
    }
    size_t n = (size_t)c->nx * (size_t)c->ny * (size_t)c->nw;
    for (size_t p = 0; p < n; p++) {
        if (c->wmap[p] > 0.0f) {
            return 0;
        }
    }
    return err_set(err, ERR_NODATA, "%s: no voxel of the cube has weight in WMAP",
                   c->filename);
}

static int extract(const struct stage_env *env, const struct params *params,
                   const struct ref_extract1d *ref, struct dataset *data,
                   struct err *err)
{
    const struct cube *c = data->cube;
    struct extraction x = {.c = c, .ref = ref};
    struct extract_center at = {(c->nx - 1) / 2.0, (c->ny - 1) / 2.0, false};
    size_t threads = env->par ? (size_t)par_threads(env->par) : 1;
    bool point = !strcmp(c->meta.source_type, "POINT");
    bool subtract = params_is_none(params, "subtract_background")
                        ? ref->subtract_background
                        : params_bool(params, "subtract_background");
    x.extended = !point;
    x.clip = params_real(params, "bkg_sigma_clip");
    x.covar = params_real(params, "ifu_covar_scale");
    x.solid_angle = cube_spaxel_sr(c);
    if (!point && strcmp(c->meta.source_type, "EXTENDED")) {
        stage_warn(env, "source type is '%s'; extracting as EXTENDED",
                   c->meta.source_type);
    }
    int code = 0;
    x.overlap = shared_overlap(c, FIELD_RADIUS_ARCSEC);
    if (point) {
        const double um = c->wavelength[c->nw / 2];
        x.overlap = shared_overlap(c, ref_extract1d_at(ref, ref->radius, um));
        code = place_aperture(env, params, &x, &at, err);
        if (!code) {
            code = plan_radii(env, &x, subtract, err);
        }
    } else {
        x.x = at.x;
        x.y = at.y;
    }
    if (!code) {
        x.s = spectrum_new((size_t)c->nw, err);
        code = x.s ? scratch_new(c, threads, &x.scratch, err) : ERR_NOMEM;
    }
    if (!code) {
        size_t pieces = ((size_t)c->nw + PLANES_PER_PIECE - 1) / PLANES_PER_PIECE;
        code = par_for(env->par, pieces, extract_planes, &x, env->cancel, err);
    }
    if (!code) {
        code = fill_header(c, &x, &at, err);
    }
    if (!code) {
        trim(x.s);
        if (x.s->n == 0) {
            code = err_set(err, ERR_NODATA, "%s: no plane of the cube has a wavelength",
                           c->filename);
        }
    }
    scratch_done(x.scratch, threads);
    if (code) {
        spectrum_free(x.s);
    } else {
        spectrum_free(data->spectrum);
        data->spectrum = x.s;
        stage_progress(env, 1.0);
    }
    return code;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    int code = check_cube(data->cube, err);
    const double *xy;
    size_t n = params_list(params, "center_xy", &xy);
    if (!code && n != 0 && n != 2) {
        code = err_set(err, ERR_PARAM,
                       "extract_1d.center_xy has %zu values; two, x and y in 0-based "
                       "spaxels, are right",
                       n);
    }
    if (code) {
        return code;
    }
    if (!params_is_none(params, "ifu_set_srctype")) {
        stage_warn(env, "ifu_set_srctype concerns MIRI alone, as in the peer; "
                        "srctype.source_type sets that of NIRSpec");
    }
    if (!params_is_none(params, "ifu_rscale")) {
        stage_warn(env, "ifu_rscale concerns MIRI alone, as in the peer: the radius is "
                        "that of the extract1d reference");
    }
    struct reference *ref = NULL;
    const void *object;
    code = stage_reference(env, &data->cube->meta, "extract1d", &ref, &object, err);
    if (!code) {
        code = extract(env, params, object, data, err);
    }
    reference_release(ref);
    return code;
}

static const char *const reference_types_used[] = {"extract1d", NULL};

static const struct param parameters[] = {
    {"subtract_background", PARAM_BOOL, "none", 0, 0, NULL, "",
     "Subtract the annulus of a point source; none: as the reference says", true},
    {"bkg_sigma_clip", PARAM_REAL, "3.0", 1e-6, 1e6, NULL, "sigma",
     "Clip the background at so many standard deviations", false},
    {"center_xy", PARAM_LIST, "none", -1e6, 1e6, NULL, "spaxel",
     "Centre x,y of the aperture, 0-based; none: the target or ifu_autocen", true},
    {"ifu_autocen", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Centre the aperture on the brightest source of the cube", false},
    {"ifu_set_srctype", PARAM_STRING, "none", 0, 0, "POINT|EXTENDED", "",
     "MIRI alone, as in the peer: use srctype.source_type", true},
    {"ifu_rscale", PARAM_REAL, "none", 0.5, 3.0, NULL, "FWHM",
     "MIRI alone, as in the peer: radius in units of the PSF", true},
    {"ifu_covar_scale", PARAM_REAL, "1.0", 0, 1e6, NULL, "",
     "Factor on the errors for the covariance between spaxels", false},
};

const struct stage stage_extract_1d = {
    .name = "extract_1d",
    .status_keyword = "S_EXTR1D",
    .suffix = "x1d",
    .summary = "Extract a spectrum from the cube, by an aperture or as a whole",
    .reference_types = reference_types_used,
    .params = parameters,
    .n_params = sizeof parameters / sizeof parameters[0],
    .run = run,
};
