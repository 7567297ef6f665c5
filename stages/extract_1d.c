#include "stages/stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/ref_extract1d.h"
#include "common/math/aperture.h"
#include "stages/extract_1d_center.h"
#include "stages/extraction.h"

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
 * Errors:  the spaxels' variances summed as if independent, times the square of the cube's own
 *          covariance factor for an aperture of this area (ifu_covar_scale: of a given
 *          one); but what spaxels have in common (cube.h) is summed as such. The
 *          cube has no separate variances, so the VAR columns are 0 as in the peer.
 * Agreement: jwst 3.0.0 extract_1d for NIRSpec IFU cubes; aperture correction and
 *          residual fringes have no part there. Where the aperture misses the cube at a
 *          wavelength the peer writes NaN, this DO_NOT_USE and 0.
 */

/* Check the radii of every plane; where the annulus is void, the background is not
 * subtracted from there on. ERR_REFERENCE if a radius is not positive, ERR_PARAM if the
 * aperture misses the cube at every wavelength. */
static int plan_radii(const struct stage_env *env, struct extraction *x, bool subtract,
                      struct err *err)
{
    bool meets = false;
    x->subtract_until = subtract ? x->c->nw : 0;
    for (int k = 0; k < x->c->nw; k++) {
        double um = x->c->wavelength[k];
        if (!isfinite(um)) {
            continue;
        }
        struct extraction_radii radii = extraction_radii(x, um);
        double r = radii.aperture;
        if (!(r > 0.0)) {
            return err_set(err, ERR_REFERENCE,
                           "extract1d reference: radius of %g spaxels at %g um; more "
                           "than 0 is right",
                           r, um);
        }
        meets = meets || (x->x + r > -0.5 && x->y + r > -0.5 &&
                          x->x - r < x->c->nx - 0.5 && x->y - r < x->c->ny - 0.5);
        if (x->subtract_until > k &&
            !(radii.inner > 0.0 && radii.outer > radii.inner)) {
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

static int fill_header(const struct extraction *x, const struct extract_center *at,
                       struct spectrum *s, struct err *err)
{
    const struct cube *c = x->c;
    s->meta = c->meta;
    strcpy(s->source_type, x->region ? "EXTENDED" : "POINT");
    s->extraction_x = x->x;
    s->extraction_y = x->y;
    if (!x->region) {
        double um = c->wavelength[c->nw / 2];
        struct extraction_radii r = extraction_radii(x, um);
        s->aperture_arcsec = r.aperture * x->scale;
        if (c->nw / 2 < x->subtract_until) {
            s->annulus_in_arcsec = r.inner * x->scale;
            s->annulus_out_arcsec = r.outer * x->scale;
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
    if (!code && !x->region) {
        code = header_set_string(&s->table, "EXTRCENT", at->how,
                                 "How the centre was found", err);
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

/* What the header says of aperture and correction. */
static int record_method(const struct extraction *x, const char *apcorr,
                         struct header *h, struct err *err)
{
    const struct extract_psf *psf = x->psf;
    int code = header_set_string(h, "EXTRTYPE", x->optimal ? "OPTIMAL" : "BOX",
                                 "Sum over the aperture, or fit of the PSF", err);
    code = code ? code
                : header_set_string(h, "APCORR", apcorr, "Aperture correction", err);
    if (!code && psf) {
        code = header_set_bool(h, "PSFFIT", psf->fitted,
                               "PSF fitted in the cube (F: nominal)", err);
        code =
            code ? code
                 : header_set_real(h, "PSFFWHM",
                                   psf_fwhm(&psf->psf, x->c->wavelength[x->c->nw / 2]),
                                   "[arcsec] FWHM of its core, middle wavelength", err);
        code = code ? code
                    : header_set_real(h, "PSFWING", psf->psf.wing_share,
                                      "Share of light in its wing", err);
        code = code ? code
                    : header_set_real(h, "PSFWSCAL", psf->psf.wing_scale,
                                      "Width of the wing over the core's", err);
        code = code ? code
                    : header_set_real(h, "PSF_X", psf->x,
                                      "X of the source, 0-based spaxel", err);
        code = code ? code
                    : header_set_real(h, "PSF_Y", psf->y,
                                      "Y of the source, 0-based spaxel", err);
    }
    return code;
}

/* The references and the cube, and what is common to all sources. */
struct plan {
    const struct stage_env *env;
    const struct params *params;
    const struct ref_extract1d *ref;
    const struct ref_apcorr *apcorr; /* NULL: none */
    const struct cube *c;
};

/* The spectrum of one place on the cube, or of a region. */
static int extract_one(const struct plan *p, const struct extract_center *at,
                       const struct aperture *region, double radius_arcsec,
                       struct spectrum **ret, struct err *err)
{
    const struct cube *c = p->c;
    const struct params *params = p->params;
    const bool point = !region;
    const bool correct = point && params_bool(params, "apply_apcorr");
    const bool by_psf =
        correct && !strcmp(params_string(params, "apcorr_source"), "psf");
    const bool subtract = params_is_none(params, "subtract_background")
                              ? p->ref->subtract_background
                              : params_bool(params, "subtract_background");
    struct extract_psf psf;
    struct spectrum *s = NULL;
    struct extraction x = {
        .c = c,
        .ref = p->ref,
        .region = region,
        .x = at->x,
        .y = at->y,
        .scale = at->spaxel_arcsec,
        .radius_arcsec = radius_arcsec,
        .clip = params_real(params, "bkg_sigma_clip"),
        .covar = params_is_none(params, "ifu_covar_scale")
                     ? (double)NAN
                     : params_real(params, "ifu_covar_scale"),
        .optimal =
            point && !strcmp(params_string(params, "extraction_type"), "optimal"),
        .overlap = shared_overlap(c, FIELD_RADIUS_ARCSEC)};
    const char *apcorr = by_psf || x.optimal ? "PSF" : "NONE";
    int code = 0;
    if (point) {
        const double um = c->wavelength[c->nw / 2];
        x.overlap = shared_overlap(c, extraction_radii(&x, um).aperture * x.scale);
        code = plan_radii(p->env, &x, subtract, err);
    }
    if (!code && correct && !by_psf && !x.optimal && p->apcorr) {
        x.apcorr = p->apcorr;
        apcorr = "REFERENCE";
    }
    if (!code && (by_psf || x.optimal)) {
        code = extract_psf_fit(p->env, c, x.x, x.y, x.scale, &psf, err);
        x.psf = &psf;
    }
    code = code ? code : extraction_run(&x, p->env->par, p->env->cancel, &s, err);
    code = code ? code : fill_header(&x, at, s, err);
    code = code || !point ? code : record_method(&x, apcorr, &s->table, err);
    if (!code) {
        trim(s);
        if (s->n == 0) {
            code = err_set(err, ERR_NODATA, "%s: no plane of the cube has a wavelength",
                           c->filename);
        }
    }
    if (code) {
        spectrum_free(s);
    } else {
        *ret = s;
    }
    return code;
}

static int extract(const struct plan *p, struct dataset *data, struct err *err)
{
    const struct cube *c = p->c;
    struct extract_center at;
    struct aperture *region = NULL;
    struct spectrum *s = NULL;
    int code = 0;
    if (!strcmp(c->meta.source_type, "POINT")) {
        code = extract_center_place(p->env, p->params, c, &at, err);
    } else {
        if (strcmp(c->meta.source_type, "EXTENDED")) {
            stage_warn(p->env, "source type is '%s'; extracting as EXTENDED",
                       c->meta.source_type);
        }
        extract_center_middle(c, &at);
        code = aperture_new(c->nx, c->ny, &region, err);
        if (!code) {
            aperture_whole(region);
        }
    }
    code = code ? code : extract_one(p, &at, region, 0, &s, err);
    aperture_free(region);
    if (!code) {
        spectrum_free(data->spectrum);
        data->spectrum = s;
        stage_progress(p->env, 1.0);
    }
    return code;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    int code = check_cube(data->cube, err);
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
    struct reference *ref = NULL, *apcorr = NULL;
    const void *object, *correction;
    const bool by_reference =
        params_bool(params, "apply_apcorr") &&
        !strcmp(params_string(params, "apcorr_source"), "reference");
    code = stage_reference(env, &data->cube->meta, "extract1d", &ref, &object, err);
    if (!code && by_reference) {
        code = stage_reference_if_any(env, &data->cube->meta, "apcorr", &apcorr,
                                      &correction, err);
    }
    if (!code) {
        const struct plan p = {env, params, object, apcorr ? correction : NULL,
                               data->cube};
        code = extract(&p, data, err);
    }
    reference_release(ref);
    reference_release(apcorr);
    return code;
}

static const char *const reference_types_used[] = {"extract1d", "apcorr", NULL};

static const struct param parameters[] = {
    {"subtract_background", PARAM_BOOL, "none", 0, 0, NULL, "",
     "Subtract the annulus of a point source; none: as the reference says", true},
    {"apply_apcorr", PARAM_BOOL, "true", 0, 0, NULL, "",
     "Correct a point source for the light outside its aperture", false},
    {"apcorr_source", PARAM_STRING, "reference", 0, 0, "reference|psf", "",
     "By the apcorr reference, if there is one, or by the source's own PSF, fitted in "
     "the "
     "cube (not in the peer)",
     false},
    {"extraction_type", PARAM_STRING, "box", 0, 0, "box|optimal", "",
     "Point source: sum over an aperture, or fit of its PSF within it (optimal is not "
     "in "
     "the peer for cubes)",
     false},
    {"bkg_sigma_clip", PARAM_REAL, "3.0", 1e-6, 1e6, NULL, "sigma",
     "Clip the background at so many standard deviations", false},
    {"center_xy", PARAM_LIST, "none", -1e6, 1e6, NULL, "spaxel",
     "Centre x,y of the aperture, 0-based; none: the target or ifu_autocen", true},
    {"center_radec", PARAM_LIST, "none", -360, 360, NULL, "deg",
     "Centre RA,Dec of the aperture (not in the peer); none: as center_xy says", true},
    {"ifu_autocen", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Centre the aperture on the brightest source of the cube", false},
    {"autocen_check", PARAM_BOOL, "true", 0, 0, NULL, "",
     "ifu_autocen takes the target where that source is at the edge of the field or "
     "faint (not in the peer)",
     false},
    {"ifu_set_srctype", PARAM_STRING, "none", 0, 0, "POINT|EXTENDED", "",
     "MIRI alone, as in the peer: use srctype.source_type", true},
    {"ifu_rscale", PARAM_REAL, "none", 0.5, 3.0, NULL, "FWHM",
     "MIRI alone, as in the peer: radius in units of the PSF", true},
    {"ifu_covar_scale", PARAM_REAL, "none", 0, 1e6, NULL, "",
     "Factor on the errors for the covariance between spaxels; none: the cube's own, "
     "by "
     "size of the aperture (the peer's default: 1)",
     true},
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
