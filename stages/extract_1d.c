#include "stages/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/source_catalog.h"
#include "stages/extract_1d_center.h"
#include "stages/extract_one.h"
#include "stages/extract_region.h"

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
 * Regions: an ellipse, a mask or shapes of DS9 are summed likewise; a catalogue of sources gives
 *          a spectrum each, as POINT (data->spectrum is the first of a list).
 * Errors:  the spaxels' variances summed as if independent, times the square of the cube's own
 *          covariance factor for an aperture of this area (ifu_covar_scale: of a given
 *          one); but what spaxels have in common (cube.h) is summed as such. The
 *          cube has no separate variances, so the VAR columns are 0 as in the peer.
 * Agreement: jwst 3.0.0 extract_1d for NIRSpec IFU cubes; aperture correction and
 *          residual fringes have no part there. Where the aperture misses the cube at a
 *          wavelength the peer writes NaN, this DO_NOT_USE and 0.
 */

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

/* For the picture: which spaxels lie by half or more in what was summed. */
static int keep_region(const struct aperture *a, struct spectrum *s, struct err *err)
{
    s->region = mem_calloc((size_t)a->nx * (size_t)a->ny, 1, err);
    for (size_t i = 0; s->region && i < a->n; i++) {
        s->region[a->index[i]] = a->weight[i] >= 0.5;
    }
    return s->region ? 0 : ERR_NOMEM;
}

/* A place of its own, by the parameters, or the field; EXTENDED is summed as a whole. */
static int extract_single(const struct extract_plan *p, struct spectrum **ret,
                          struct err *err)
{
    const struct cube *c = p->c;
    const char *path = params_string(p->params, "region");
    const double *ellipse;
    const bool round = params_list(p->params, "ellipse", &ellipse) > 0;
    struct extract_center at;
    struct aperture *region = NULL;
    int code = 0;
    if (path) {
        extract_center_middle(c, &at);
        code = extract_region_read(c, path, &region, err);
    } else if (round) {
        code = extract_center_place(p->env, p->params, c, &at, err);
        code = code ? code
                    : extract_region_ellipse(c, at.x, at.y, ellipse[0], ellipse[1],
                                             ellipse[2], &region, err);
    } else if (!strcmp(c->meta.source_type, "POINT")) {
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
    code = code ? code : extract_one(p, &at, region, 0, ret, err);
    if (!code && (path || round)) {
        stage_note(p->env, "summed over %.1f spaxels of %s", region->full,
                   path ? path_base(path) : "an ellipse");
        code = header_set_string(&(*ret)->table, "EXTRREGN",
                                 path ? path_base(path) : "ELLIPSE",
                                 "Region that was summed", err);
        code = code ? code : keep_region(region, *ret, err);
        if (code) {
            spectrum_free(*ret);
        }
    }
    aperture_free(region);
    return code;
}

static void warn_of_row(void *user, const char *line)
{
    stage_warn(user, "%s; this source is left out", line);
}

static int name_source(struct spectrum *s, const struct catalog_source *source,
                       size_t number, struct err *err)
{
    struct header *h = &s->table;
    int code = header_set_int(h, "SOURCEID", (long)number, "Source ID number", err);
    if (!code && source->name[0]) {
        code = header_set_string(h, "SRCNAME", source->name, "Source name", err);
    }
    code = code ? code
                : header_set_real(h, "SRCRA", source->ra,
                                  "Right Ascension of the source", err);
    code = code ? code
                : header_set_real(h, "SRCDEC", source->dec, "Declination of the source",
                                  err);
    return code
               ? code
               : header_set_real(h, "EXTRRAD", s->aperture_arcsec,
                                 "[arcsec] Radius of aperture, middle wavelength", err);
}

/* A point source for each row of a catalogue; what lies off the cube is said and left
 * out. */
static int extract_catalog(const struct extract_plan *p, const char *path,
                           struct spectrum **ret, struct err *err)
{
    struct catalog_source *sources = NULL;
    struct spectrum *first = NULL, **last = &first;
    size_t n = 0;
    struct stage_env env = *p->env;
    int code = source_catalog_read(path, warn_of_row, &env, &sources, &n, err);
    for (size_t i = 0; i < n && !code; i++) {
        const struct catalog_source *source = &sources[i];
        struct extract_center at;
        char what[400];
        snprintf(what, sizeof what, "%.200s: line %d%s%s", path_base(path),
                 source->line, source->name[0] ? ": " : "", source->name);
        code = extract_center_sky(p->c, what, source->ra, source->dec, &at, err);
        at.how = "CATALOG";
        code = code ? code : extract_one(p, &at, NULL, source->radius, last, err);
        if (code == ERR_PARAM) {
            stage_warn(p->env, "%s; this source is left out", err->message);
            *err = (struct err){0};
            code = 0;
        } else if (!code) {
            code = name_source(*last, source, i + 1, err);
            stage_note(p->env, "%s: spaxel %.3f %.3f, aperture %.3g arcsec", what, at.x,
                       at.y, (*last)->aperture_arcsec);
            last = &(*last)->next;
        }
        stage_progress(p->env, (double)(i + 1) / (double)n);
    }
    if (!code && !first) {
        code =
            err_set(err, ERR_PARAM,
                    "%s: none of its sources can be extracted from %s; RA and Dec in "
                    "degrees, on the cube, are right",
                    path, p->c->filename);
    }
    free(sources);
    if (code) {
        spectrum_free(first);
    } else {
        *ret = first;
    }
    return code;
}

static int check(const struct params *params, struct err *err)
{
    const double *ellipse;
    const size_t n = params_list(params, "ellipse", &ellipse);
    if (n != 0 && (n != 3 || !(ellipse[0] > 0 && ellipse[1] > 0))) {
        return err_set(err, ERR_PARAM,
                       "extract_1d.ellipse = %s; two semi-axes (arcsec) and a position "
                       "angle (degrees east of north) are right",
                       params_text(params, "ellipse"));
    }
    if ((n > 0) + !params_is_none(params, "region") +
            !params_is_none(params, "source_catalog") >
        1) {
        return err_set(err, ERR_PARAM,
                       "extract_1d: of ellipse, region and source_catalog only one may "
                       "be given");
    }
    return extract_center_check(params, err);
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    const char *catalog = params_string(params, "source_catalog");
    struct spectrum *s = NULL;
    int code = check_cube(data->cube, err);
    code = code ? code : check(params, err);
    if (code) {
        return code;
    }
    if (data->cube->slicer) {
        stage_note(env, "a cube in the slicer's coordinates (coord_system = "
                        "internal_cal) has no sky: no spectrum is extracted");
        stage_skipped(env);
        return 0;
    }
    if (!params_is_none(params, "ifu_set_srctype")) {
        stage_warn(env, "ifu_set_srctype concerns MIRI alone, as in the peer; "
                        "srctype.source_type sets that of NIRSpec");
    }
    if (!params_is_none(params, "ifu_rscale")) {
        stage_warn(env, "ifu_rscale concerns MIRI alone, as in the peer: the radius is "
                        "that of the extract1d reference");
    }
    if ((catalog || !params_is_none(params, "region")) &&
        !(params_is_none(params, "center_xy") &&
          params_is_none(params, "center_radec"))) {
        stage_warn(env,
                   "center_xy and center_radec do nothing where %s says what is "
                   "extracted",
                   catalog ? "source_catalog" : "region");
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
        const struct extract_plan p = {env, params, object, apcorr ? correction : NULL,
                                       data->cube};
        code = catalog ? extract_catalog(&p, catalog, &s, err)
                       : extract_single(&p, &s, err);
    }
    if (!code) {
        spectrum_free(data->spectrum);
        data->spectrum = s;
        stage_progress(env, 1.0);
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
     "the cube (not in the peer)",
     false},
    {"extraction_type", PARAM_STRING, "box", 0, 0, "box|optimal", "",
     "Point source: sum over an aperture, or fit of its PSF within it (optimal: not "
     "in the peer for cubes)",
     false},
    {"bkg_sigma_clip", PARAM_REAL, "3.0", 1e-6, 1e6, NULL, "sigma",
     "Clip the background at so many standard deviations", false},
    {"center_xy", PARAM_LIST, "none", -1e6, 1e6, NULL, "spaxel",
     "Centre x,y of the aperture, 0-based; none: the target or ifu_autocen", true},
    {"center_radec", PARAM_LIST, "none", -360, 360, NULL, "deg",
     "Centre RA,Dec of the aperture (not in the peer); none: as center_xy says", true},
    {"source_catalog", PARAM_STRING, "none", 0, 0, NULL, "file",
     "Point sources to extract, one spectrum each: ECSV, CSV or columns of RA, Dec "
     "(deg), "
     "radius (arcsec; none: the reference's) and name (not in the peer)",
     true},
    {"ellipse", PARAM_LIST, "none", -360, 360, NULL, "arcsec, arcsec, deg",
     "Sum over an ellipse round the centre: semi-axes and position angle east of north "
     "(not in the peer)",
     true},
    {"region", PARAM_STRING, "none", 0, 0, NULL, "file",
     "Sum over a region: FITS image on the cube's spaxels (not 0: in), or region file "
     "of "
     "DS9 (not in the peer)",
     true},
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
     "Factor on the errors for the covariance between spaxels; none: the cube's own "
     "for the aperture (the peer's default: 1)",
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
    .check = check,
    .run = run,
};
