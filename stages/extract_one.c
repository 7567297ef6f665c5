#include "stages/extract_one.h"

#include <math.h>
#include <string.h>
#include "common/data/dq.h"
#include "stages/extraction.h"

/*
 * One spectrum from plan to header.
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

static bool is_of_use(const struct spectrum *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!(s->dq[i] & DQ_DO_NOT_USE) && isfinite(s->flux[i])) {
            return true;
        }
    }
    return false;
}

int extract_one(const struct extract_plan *p, const struct extract_center *at,
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
        } else if (!is_of_use(s)) {
            stage_warn(p->env,
                       "%s: no wavelength of the spectrum has a flux: there is "
                       "no light where it was extracted",
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
