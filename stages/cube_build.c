#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/data/ref_cubepar.h"
#include "stages/cube_geometry.h"
#include "stages/cube_links.h"
#include "stages/cube_shepard.h"
#include "stages/cube_sum.h"
#include "stages/cube_survey.h"
#include "stages/stage.h"

/*
 * cube_build: exposures to one spectral cube.
 *
 * Inputs:    calibrated exposures of one disperser and filter (output_type multi: of
 *            several), with WCS and slice map, both detectors and any dither, opened one at a time
 * Outputs:   dataset->cube: SCI, ERR (MJy/sr), DQ, WMAP
 * Algorithm: a first pass over the headers finds the grid that holds all footprints; a
 *            second adds one exposure after another (cube_trace.h, cube_sum.h)
 * Unlike the peer (3.0.0): where nspax_x or nspax_y crops the field, pixels that reach
 *            over the rim count in the first column and row too (there they are lost to
 *            a sign); a cube of other units than MJy/sr, or without any data, is an error
 * Reference: Law et al. 2023, AJ 166, 45; Fruchter & Hook 2002, PASP 114, 144
 */

static const char *const reference_types_needed[] = {"cubepar", NULL};

static const struct param table[] = {
    {"weighting", PARAM_STRING, "drizzle", 0, 0, "drizzle|emsm|msm", "",
     "how pixels are shared between voxels: by overlap, or by distance (modified "
     "Shepard, exponential or inverse)",
     false},
    {"rois", PARAM_REAL, "0", 0, 100, NULL, "arcsec",
     "emsm, msm: how far a pixel reaches on the sky; 0: from cubepar", false},
    {"roiw", PARAM_REAL, "0", 0, 10, NULL, "um",
     "emsm, msm: how far a pixel reaches in wavelength; 0: from cubepar", false},
    {"weight_power", PARAM_REAL, "2", 0, 100, NULL, "",
     "msm, planes equally spaced: power of the distance; 0: from cubepar", false},
    {"coord_system", PARAM_STRING, "skyalign", 0, 0, "skyalign|world|ifualign", "",
     "axes of the cube: RA and Dec, turned by cube_pa (world is another name of it), "
     "or "
     "along and across the slices",
     false},
    {"output_type", PARAM_STRING, "band", 0, 0, "band|grating|multi", "",
     "what goes into one cube: one disperser and filter (band, grating), or all that "
     "are "
     "given, with cubepar's table of wavelengths",
     false},
    {"linear_wave", PARAM_BOOL, "true", 0, 0, NULL, "",
     "planes equally spaced in wavelength; false, and for multi: cubepar's table",
     false},
    {"offset_file", PARAM_STRING, "none", 0, 0, NULL, "file",
     "ASDF file with an offset on the sky for each exposure: units (arcsec), filename, "
     "raoffset, decoffset",
     true},
    {"scalexy", PARAM_REAL, "0", 0, 10, NULL, "arcsec",
     "edge of a spaxel; 0: from cubepar", false},
    {"scalew", PARAM_REAL, "0", 0, 1, NULL, "um",
     "wavelength step of a plane; 0: from cubepar", false},
    {"wavemin", PARAM_REAL, "none", 0.1, 30, NULL, "um",
     "lower edge of the first plane; none: from cubepar", true},
    {"wavemax", PARAM_REAL, "none", 0.1, 30, NULL, "um",
     "upper edge of the last plane; none: from cubepar", true},
    {"ra_center", PARAM_REAL, "none", 0, 360, NULL, "deg",
     "RA of the centre; none: middle of the footprints", true},
    {"dec_center", PARAM_REAL, "none", -90, 90, NULL, "deg",
     "Dec of the centre; none: middle of the footprints", true},
    {"cube_pa", PARAM_REAL, "none", -360, 360, NULL, "deg",
     "position angle of the cube, east of north; none: 0", true},
    {"nspax_x", PARAM_INT, "none", 1, 20001, NULL, "",
     "spaxels along x, made odd; none: as many as are needed", true},
    {"nspax_y", PARAM_INT, "none", 1, 20001, NULL, "",
     "spaxels along y, made odd; none: as many as are needed", true},
    {"skip_dqflagging", PARAM_BOOL, "false", 0, 0, NULL, "",
     "leave holes in the field of view unmarked in DQ; spec2 always does", false},
};

static enum ref_cubepar_weighting weighting_of(const struct params *params)
{
    const char *name = params_string(params, "weighting");
    return !strcmp(name, "emsm")  ? CUBEPAR_EMSM
           : !strcmp(name, "msm") ? CUBEPAR_MSM
                                  : CUBEPAR_DRIZZLE;
}

/* Look at all exposures, choose the reference and set up grid and weights. */
static int set_grid(const struct stage_env *env, const struct params *params,
                    struct dataset *data, struct cube_survey *s, struct cube_grid *grid,
                    struct cube_shepard *shepard, struct err *err)
{
    struct cube_request request;
    struct ref_cubepar_row row;
    struct reference *ref = NULL;
    const void *object = NULL;
    const char *disperser = NULL;
    cube_request_read(params, &request);
    const bool ifu = !strcmp(params_string(params, "coord_system"), "ifualign");
    const bool multi = !strcmp(params_string(params, "output_type"), "multi");
    if (ifu && !isnan(request.pa)) {
        return err_set(
            err, ERR_PARAM,
            "cube_build: cube_pa = %g and coord_system = ifualign both say how "
            "the cube stands; give one of them",
            request.pa);
    }
    const struct cube_survey_request wanted = {ifu || !isnan(request.pa), ifu, multi,
                                               params_string(params, "offset_file")};
    int code = cube_survey_make(env, data, &wanted, s, err);
    code = code ? code : stage_reference(env, &s->meta, "cubepar", &ref, &object, err);
    if (code) {
        return code;
    }
    const struct ref_cubepar *par = object;
    const enum ref_cubepar_weighting w = weighting_of(params);
    request.pa = ifu ? s->ifu_pa : request.pa;
    code = cube_survey_row(s, par, &row, &disperser, err);
    code = code ? code
                : cube_grid_set(&request, &row, ref_cubepar_waves_of(par, w, disperser),
                                disperser, 4 * s->n, s->ra, s->dec, grid, err);
    if (!code && w != CUBEPAR_DRIZZLE) {
        const struct cube_shepard_request shepard_request = {
            w == CUBEPAR_EMSM, params_real(params, "rois"), params_real(params, "roiw"),
            params_real(params, "weight_power"), s->n};
        code = cube_shepard_set(&shepard_request, par, disperser, s->meta.filter, grid,
                                shepard, err);
    }
    reference_release(ref);
    return code;
}

/* The cube's own description: grid, headers, wavelengths. Takes the headers over. */
static void describe(const struct params *params, const struct cube_sums *sums,
                     struct cube_survey *s)
{
    const struct cube_grid *g = sums->grid;
    struct cube *c = sums->cube;
    double pa = g->pa * M_PI / 180;
    c->crval1 = g->ra0;
    c->crval2 = g->dec0;
    c->crpix1 = (g->nx + 1) / 2;
    c->crpix2 = (g->ny + 1) / 2;
    c->cdelt1 = c->cdelt2 = g->scale / 3600;
    c->pc[0][0] = -cos(pa);
    c->pc[0][1] = c->pc[1][0] = sin(pa);
    c->pc[1][1] = cos(pa);
    c->crpix3 = 1;
    c->crval3 = g->z[0];
    c->cdelt3 = g->linear ? g->step : 0;
    for (int k = 0; k < g->nw; k++) {
        c->wavelength[k] = g->linear ? c->crval3 + k * c->cdelt3 : g->z[k];
    }
    c->primary = s->headers.primary;
    c->science = s->headers.science;
    s->headers.primary = s->headers.science = (struct header){0};
    c->meta = s->meta;
    c->n_exposures = (int)s->n;
    snprintf(c->weighting, sizeof c->weighting, "%s",
             params_string(params, "weighting"));
    for (size_t k = 0; sums->shepard && k < sums->shepard->n; k++) {
        const double share = 1 / (double)sums->shepard->n;
        c->rois_arcsec += share * sums->shepard->at[k].rois_arcsec;
        c->roiw_um += share * sums->shepard->at[k].roiw_um;
        c->weight_power = params_real(params, "weight_power");
    }
}

static int add_exposure(const struct stage_env *env, struct dataset *data, size_t i,
                        const struct cube_survey *s, struct cube_sums *sums,
                        struct err *err)
{
    struct cube_grid grid = *sums->grid; /* borrows its arrays */
    struct exposure *e = NULL;
    struct cube_trace *trace = NULL;
    size_t used = 0;
    int code = dataset_open(data, i, true, &e, err);
    if (code) {
        return code;
    }
    if (!e->wcs || !e->regions || !e->sci || !e->err || !e->dq) {
        code = err_set(err, ERR_INPUT,
                       "%s: cube_build needs SCI, ERR, DQ, REGIONS and a WCS; run "
                       "assign_wcs before",
                       e->meta.filename);
    }
    if (s->offset) {
        cube_grid_offset(&grid, s->offset[i]);
    }
    if (!code) {
        bool prism = !strcasecmp(e->meta.grating, "PRISM");
        code = cube_trace_make(e->wcs, e->regions, e->sampling, e->nx, e->ny, prism,
                               &grid, env->par, env->cancel, &trace, err);
    }
    if (!code) {
        code = cube_add_exposure(sums, e, trace, cube_survey_partners(s, i), env->par,
                                 env->cancel, &used, err);
    }
    if (!code && used == 0) {
        stage_warn(env, "%s has no valid pixel within the cube's wavelengths",
                   e->meta.filename);
    }
    cube_trace_free(trace);
    dataset_close(data, i, e);
    return code;
}

/* An error that all pixels of a wavelength have in common adds to that of each voxel. */
static int add_common(const struct dataset *data, const struct cube_grid *g,
                      struct cube *c, struct err *err)
{
    const size_t area = (size_t)c->nx * (size_t)c->ny;
    if (!dataset_has_common_error(data)) {
        return 0;
    }
    c->common_error = mem_alloc((size_t)c->nw, sizeof *c->common_error, err);
    if (!c->common_error) {
        return ERR_NOMEM;
    }
    for (size_t k = 0; k < (size_t)c->nw; k++) {
        c->common_error[k] = dataset_common_error(data, c->wavelength[k], g->dz[k]);
        for (size_t i = k * area; i < (k + 1) * area; i++) {
            c->err[i] = (float)hypot((double)c->err[i], c->common_error[k]);
        }
    }
    return 0;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    struct cube_survey s = {0};
    struct cube_grid grid = {0};
    struct cube_shepard shepard = {0};
    struct cube_sums sums = {.grid = &grid};
    size_t n = dataset_n(data), filled = 0;

    int code = set_grid(env, params, data, &s, &grid, &shepard, err);
    if (!code) {
        size_t voxels = (size_t)grid.nx * (size_t)grid.ny * (size_t)grid.nw;
        stage_note(env, "%d x %d spaxels of %g arcsec, %d planes, %g to %g um, %zu %s",
                   grid.nx, grid.ny, grid.scale, grid.nw, grid.z[0],
                   grid.z[grid.nw - 1], n, n == 1 ? "exposure" : "exposures");
        sums.flag = strcmp(env->recipe, "spec2") != 0 &&
                    !params_bool(params, "skip_dqflagging");
        sums.shepard = shepard.n ? &shepard : NULL;
        sums.cube = cube_new(grid.nx, grid.ny, grid.nw, err);
        sums.weight = sums.cube ? mem_calloc(voxels, sizeof(float), err) : NULL;
        sums.links = sums.weight ? cube_links_new(grid.nw, err) : NULL;
        code = sums.links ? 0 : ERR_NOMEM;
    }
    if (!code) {
        describe(params, &sums, &s);
    }
    code = code ? code : cube_survey_share(&s, sums.cube, err);
    for (size_t i = 0; i < n && !code; i++) {
        code = add_exposure(env, data, i, &s, &sums, err);
        stage_progress(env, (double)(i + 1) / (double)(n + 1));
    }
    code = code ? code : cube_finish(&sums, env->par, env->cancel, &filled, err);
    code = code ? code : add_common(data, &grid, sums.cube, err);
    code =
        code ? code
             : cube_links_covariance(sums.links, grid.nx, grid.ny, grid.scale, env->par,
                                     env->cancel, &sums.cube->covariance, err);
    if (!code && filled == 0) {
        code = err_set(err, ERR_NODATA,
                       "cube_build: no pixel of %zu exposures (first: %s) lies in the "
                       "cube of %d x %d spaxels, %g to %g um",
                       n, s.meta.filename, grid.nx, grid.ny, grid.z[0],
                       grid.z[grid.nw - 1]);
    }
    if (code) {
        cube_free(sums.cube);
    } else {
        cube_free(data->cube);
        data->cube = sums.cube;
    }
    free(sums.weight);
    cube_links_free(sums.links);
    cube_shepard_done(&shepard);
    cube_survey_done(&s);
    cube_grid_done(&grid);
    return code;
}

const struct stage stage_cube_build = {
    .name = "cube_build",
    .status_keyword = "S_IFUCUB",
    .suffix = "s3d",
    .summary = "Combine exposures into one spectral cube",
    .reference_types = reference_types_needed,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
