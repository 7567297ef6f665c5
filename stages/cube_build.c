#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/data/cube_file.h"
#include "common/data/ref_cubepar.h"
#include "stages/cube_geometry.h"
#include "stages/cube_internal.h"
#include "stages/cube_links.h"
#include "stages/cube_room.h"
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
 *            second adds one exposure after another (cube_trace.h, cube_sum.h). A cube
 *            that is too large for memory lies in a file (cube_file.h) and is made so in
 *            one range of planes after another; its values are the same.
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
    {"coord_system", PARAM_STRING, "skyalign", 0, 0,
     "skyalign|world|ifualign|internal_cal", "",
     "axes of the cube: RA and Dec, turned by cube_pa (world is another name of it), "
     "or "
     "along and across the slices on the sky, or (of one exposure) on the slicer",
     false},
    {"grating", PARAM_STRING, "all", 0, 0, NULL, "names",
     "dispersers that go into the cube: all, or a list of g140m, g140h, g235m, g235h, "
     "g395m, g395h, prism (the peer takes one, together with a filter)",
     false},
    {"filter", PARAM_STRING, "all", 0, 0, NULL, "names",
     "filters that go into the cube: all, or a list of f070lp, f100lp, f170lp, f290lp, "
     "clear, opaque (the peer takes one, together with a grating)",
     false},
    {"output_type", PARAM_STRING, "band", 0, 0, "band|grating|multi", "",
     "what goes into one cube: one disperser and filter (band, grating), or all that "
     "are "
     "given, with cubepar's table of wavelengths",
     false},
    {"linear_wave", PARAM_BOOL, "true", 0, 0, NULL, "",
     "planes equally spaced in wavelength; false, and for multi: cubepar's table",
     false},
    {"exact_planes", PARAM_BOOL, "true", 0, 0, NULL, "",
     "Not in the peer: internal_cal has its planes where the header says; false: up to "
     "half "
     "a plane off, as rounding errors add up in the peer",
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
    {"max_memory", PARAM_REAL, "4", 0.001, 1000, NULL, "GB",
     "Not in the peer: what the cube may take of the memory while it is made; of a "
     "larger one as many planes as fit are made at a time, and they lie in a file",
     false},
    {"max_file", PARAM_REAL, "20", 0, 1000, NULL, "GB",
     "Not in the peer: how large that file may be; a larger cube is refused before "
     "work "
     "starts, with what would fit (0: every one beyond max_memory)",
     false},
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

/* A cube on its way. */
struct making {
    const struct stage_env *env;
    const struct params *params;
    struct cube_survey survey;
    struct cube_grid grid;
    struct cube_shepard shepard;   /* n = 0: not wanted */
    bool slicer;                   /* coord_system is internal_cal */
    struct cube_internal internal; /* of which these are the cells */
    struct cube_sums sums;
    int planes;   /* that are made at a time */
    size_t *used; /* of each exposure: pixels that count */
    size_t filled;
};

static bool is_one_of(const struct params *params, const char *name, const char *value)
{
    return !strcmp(params_string(params, name), value);
}

/* The grid on the sky, and the weights. */
static int set_sky(struct making *m, const struct ref_cubepar *par,
                   const struct ref_cubepar_row *row, const char *disperser,
                   struct cube_request *request, struct err *err)
{
    const enum ref_cubepar_weighting w = weighting_of(m->params);
    const struct cube_survey *s = &m->survey;
    int code = cube_grid_set(request, row, ref_cubepar_waves_of(par, w, disperser),
                             disperser, 4 * s->n, s->ra, s->dec, &m->grid, err);
    if (!code && w == CUBEPAR_DRIZZLE &&
        (params_real(m->params, "rois") > 0 || params_real(m->params, "roiw") > 0)) {
        stage_warn(m->env,
                   "rois and roiw do nothing with weighting = drizzle; they are "
                   "for emsm and msm");
    }
    if (code || w == CUBEPAR_DRIZZLE) {
        return code;
    }
    if (params_real(m->params, "rois") > 0 &&
        params_real(m->params, "rois") < m->grid.scale / 2) {
        stage_warn(m->env,
                   "rois = %g arcsec is less than half a spaxel of %g arcsec: most "
                   "spaxels stay empty",
                   params_real(m->params, "rois"), m->grid.scale);
    }
    const struct cube_shepard_request shepard = {
        w == CUBEPAR_EMSM, params_real(m->params, "rois"),
        params_real(m->params, "roiw"), params_real(m->params, "weight_power"), s->n};
    return cube_shepard_set(&shepard, par, disperser, s->meta.filter, &m->grid,
                            &m->shepard, err);
}

/* The grid of the slicer, of one exposure. */
static int set_slicer(struct making *m, struct dataset *data,
                      const struct ref_cubepar_row *row,
                      const struct cube_request *request, struct err *err)
{
    struct exposure *e = NULL;
    if (m->survey.n != 1) {
        return err_set(err, ERR_INPUT,
                       "cube_build: coord_system = internal_cal makes a cube of one "
                       "exposure, and %zu are given (first: %s)",
                       m->survey.n, m->survey.meta.filename);
    }
    int code = dataset_open(data, m->survey.at[0], false, &e, err);
    if (!code) {
        code = cube_internal_grid(e->wcs, request, row, &m->grid, &m->internal, err);
        dataset_close(data, m->survey.at[0], e);
    }
    return code;
}

/* Look at all exposures, choose the reference and set up grid and weights. */
static int set_grid(struct making *m, struct dataset *data, struct err *err)
{
    const struct params *params = m->params;
    struct cube_request request;
    struct ref_cubepar_row row;
    struct reference *ref = NULL;
    const void *object = NULL;
    const char *disperser = NULL;
    cube_request_read(params, &request);
    const bool ifu = is_one_of(params, "coord_system", "ifualign");
    if (ifu && !isnan(request.pa)) {
        return err_set(
            err, ERR_PARAM,
            "cube_build: cube_pa = %g and coord_system = ifualign both say how "
            "the cube stands; give one of them",
            request.pa);
    }
    m->slicer = is_one_of(params, "coord_system", "internal_cal");
    struct cube_survey_request wanted = {{0, 0},
                                         ifu || !isnan(request.pa),
                                         ifu,
                                         !m->slicer &&
                                             is_one_of(params, "output_type", "multi"),
                                         params_string(params, "offset_file")};
    int code = cube_choice_read(params, &wanted.choice, err);
    code = code ? code : cube_survey_make(m->env, data, &wanted, &m->survey, err);
    if (!code && m->survey.n == 0) {
        code = cube_choice_nothing(params, dataset_n(data), &m->survey.meta, err);
    }
    code =
        code ? code
             : stage_reference(m->env, &m->survey.meta, "cubepar", &ref, &object, err);
    code = code ? code : cube_survey_row(&m->survey, object, &row, &disperser, err);
    if (!code) {
        request.pa = ifu ? m->survey.ifu_pa : request.pa;
        code = m->slicer ? set_slicer(m, data, &row, &request, err)
                         : set_sky(m, object, &row, disperser, &request, err);
    }
    reference_release(ref);
    return code;
}

static void describe_sky(const struct making *m, struct cube *c)
{
    const struct cube_grid *g = &m->grid;
    const double pa = g->pa * M_PI / 180;
    c->crval1 = g->ra0;
    c->crval2 = g->dec0;
    c->crpix1 = (g->nx + 1) / 2;
    c->crpix2 = (g->ny + 1) / 2;
    c->cdelt1 = c->cdelt2 = g->scale / 3600;
    c->pc[0][0] = -cos(pa);
    c->pc[0][1] = c->pc[1][0] = sin(pa);
    c->pc[1][1] = cos(pa);
    snprintf(c->weighting, sizeof c->weighting, "%s",
             params_string(m->params, "weighting"));
    for (size_t k = 0; k < m->shepard.n; k++) {
        const double share = 1 / (double)m->shepard.n;
        c->rois_arcsec += share * m->shepard.at[k].rois_arcsec;
        c->roiw_um += share * m->shepard.at[k].roiw_um;
        c->weight_power = params_real(m->params, "weight_power");
    }
}

static void describe_slicer(const struct cube_internal *g, struct cube *c)
{
    c->slicer = true;
    c->spaxel_sr = g->spaxel_sr;
    c->crval1 = g->across_m;
    c->crval2 = g->along_m;
    c->crpix1 = c->crpix2 = 0.5;
    c->cdelt1 = g->step_across_m;
    c->cdelt2 = g->step_along_m;
    c->pc[0][0] = c->pc[1][1] = 1;
    c->pc[0][1] = c->pc[1][0] = 0;
    strcpy(c->weighting, "emsm"); /* what the peer says of its cubes of this kind */
}

/* The cube's own description: grid, headers, wavelengths. Takes the headers over. */
static void describe(struct making *m, struct cube *c)
{
    const struct cube_grid *g = &m->grid;
    struct cube_survey *s = &m->survey;
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
    if (m->slicer) {
        describe_slicer(&m->internal, c);
    } else {
        describe_sky(m, c);
    }
}

/* Through the trace of its pixels on the sky. */
static int add_on_sky(struct making *m, const struct exposure *e, size_t i,
                      size_t *ret_used, struct err *err)
{
    const struct stage_env *env = m->env;
    const bool prism = !strcasecmp(e->meta.grating, "PRISM");
    struct cube_grid grid = m->grid; /* borrows its arrays */
    struct cube_trace *trace = NULL;
    if (m->survey.offset) {
        cube_grid_offset(&grid, m->survey.offset[i]);
    }
    int code = cube_trace_make(e->wcs, e->regions, e->sampling, e->nx, e->ny, prism,
                               &grid, env->par, env->cancel, &trace, err);
    code = code ? code
                : cube_add_exposure(&m->sums, e, trace,
                                    cube_survey_partners(&m->survey, i), env->par,
                                    env->cancel, ret_used, err);
    cube_trace_free(trace);
    return code;
}

static int add_exposure(struct making *m, struct dataset *data, size_t i,
                        struct err *err)
{
    struct exposure *e = NULL;
    size_t used = 0;
    int code = dataset_open(data, m->survey.at[i], true, &e, err);
    if (code) {
        return code;
    }
    if (!e->wcs || !e->regions || !e->sci || !e->err || !e->dq) {
        code = err_set(err, ERR_INPUT,
                       "%s: cube_build needs SCI, ERR, DQ, REGIONS and a WCS; run "
                       "assign_wcs before",
                       e->meta.filename);
    } else if (m->slicer) {
        code = cube_internal_add(&m->sums, &m->internal, e, m->env->par, m->env->cancel,
                                 &used, err);
    } else {
        code = add_on_sky(m, e, i, &used, err);
    }
    m->used[i] += used;
    if (!code && m->used[i] == 0 && m->sums.k1 == m->grid.nw) {
        stage_warn(m->env, "%s has no valid pixel within the cube's wavelengths",
                   e->meta.filename);
    }
    dataset_close(data, m->survey.at[i], e);
    return code;
}

/* ---- its planes -------------------------------------------------------------------- */

/* An error that all pixels of a wavelength have in common ... */
static int set_common(const struct dataset *data, const struct cube_grid *g,
                      struct cube *c, struct err *err)
{
    if (!dataset_has_common_error(data)) {
        return 0;
    }
    c->common_error = mem_alloc((size_t)c->nw, sizeof *c->common_error, err);
    for (size_t k = 0; k < (size_t)c->nw && c->common_error; k++) {
        c->common_error[k] = dataset_common_error(data, c->wavelength[k], g->dz[k]);
    }
    return c->common_error ? 0 : ERR_NOMEM;
}

/* ... adds to that of each voxel. */
static void add_common(struct cube *c, int k0, int k1)
{
    const size_t area = (size_t)c->nx * (size_t)c->ny;
    for (size_t k = (size_t)k0; k < (size_t)k1 && c->common_error; k++) {
        for (size_t i = k * area; i < (k + 1) * area; i++) {
            c->err[i] = (float)hypot((double)c->err[i], c->common_error[k]);
        }
    }
}

/* Planes from k0 on, of all exposures. */
static int make_planes(struct making *m, struct dataset *data, int k0, struct err *err)
{
    const struct stage_env *env = m->env;
    struct cube_sums *s = &m->sums;
    const size_t n = m->survey.n, area = (size_t)m->grid.nx * (size_t)m->grid.ny;
    size_t filled = 0;
    int code = 0;
    s->k0 = k0;
    s->k1 = k0 + m->planes < m->grid.nw ? k0 + m->planes : m->grid.nw;
    memset(s->weight, 0, (size_t)(s->k1 - k0) * area * sizeof *s->weight);
    for (size_t i = 0; i < n && !code; i++) {
        code = add_exposure(m, data, i, err);
        stage_progress(env, (k0 + (s->k1 - k0) * (double)(i + 1) / (double)(n + 1)) /
                                m->grid.nw);
    }
    code = code ? code : cube_finish(s, env->par, env->cancel, &filled, err);
    if (!code) {
        add_common(s->cube, k0, s->k1);
        cube_rest(s->cube, k0, s->k1);
        m->filled += filled;
    }
    return code;
}

/* ---- from the first to the last ---------------------------------------------------- */

/* The cube and what goes with it. */
static int prepare(struct making *m, const struct dataset *data, struct err *err)
{
    const struct cube_grid *g = &m->grid;
    struct cube_sums *sums = &m->sums;
    const size_t n = m->survey.n;
    char cell[40] = "cells of the slicer";
    if (!m->slicer) {
        snprintf(cell, sizeof cell, "spaxels of %g arcsec", g->scale);
    }
    stage_note(m->env, "%d x %d %s, %d planes, %g to %g um, %zu %s", g->nx, g->ny, cell,
               g->nw, g->z[0], g->z[g->nw - 1], n, n == 1 ? "exposure" : "exposures");
    const struct cube_room room = {g, cube_survey_shares(&m->survey), m->slicer,
                                   m->slicer ? NULL : m->env->scratch};
    int code = cube_room_make(&room, m->params, &sums->cube, &m->planes, err);
    if (code) {
        return code;
    }
    if (m->planes < g->nw) {
        stage_note(m->env, "the cube lies in a file, %d planes are made at a time",
                   m->planes);
    }
    sums->grid = g;
    sums->flag = strcmp(m->env->recipe, "spec2") != 0 &&
                 !params_bool(m->params, "skip_dqflagging");
    sums->shepard = m->shepard.n ? &m->shepard : NULL;
    sums->weight = mem_alloc((size_t)g->nx * (size_t)g->ny * (size_t)m->planes,
                             sizeof *sums->weight, err);
    m->used = sums->weight ? mem_calloc(n, sizeof *m->used, err) : NULL;
    sums->links = m->used && !m->slicer ? cube_links_new(g->nw, err) : NULL;
    if (!m->used || (!sums->links && !m->slicer)) {
        return ERR_NOMEM;
    }
    describe(m, sums->cube);
    code = set_common(data, g, sums->cube, err);
    return code ? code : cube_survey_share(&m->survey, sums->cube, err);
}

/* All planes are made. */
static int finish(struct making *m, const struct dataset *data, struct err *err)
{
    const struct cube_grid *g = &m->grid;
    struct cube *c = m->sums.cube;
    int code = dataset_describe(data, &c->primary, err);
    if (!code && m->sums.links) {
        code = cube_links_covariance(m->sums.links, g->nx, g->ny, g->scale, m->env->par,
                                     m->env->cancel, &c->covariance, err);
    }
    if (!code && m->filled == 0) {
        code = err_set(err, ERR_NODATA,
                       "cube_build: no pixel of %zu exposures (first: %s) lies in the "
                       "cube of %d x %d spaxels, %g to %g um",
                       m->survey.n, m->survey.meta.filename, g->nx, g->ny, g->z[0],
                       g->z[g->nw - 1]);
    }
    return code;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    struct making m = {.env = env, .params = params};
    int code = set_grid(&m, data, err);
    code = code ? code : prepare(&m, data, err);
    for (int k = 0; !code && k < m.grid.nw; k += m.planes) {
        code = make_planes(&m, data, k, err);
    }
    code = code ? code : finish(&m, data, err);
    if (code) {
        cube_free(m.sums.cube);
    } else {
        cube_free(data->cube);
        data->cube = m.sums.cube;
    }
    free(m.used);
    free(m.sums.weight);
    cube_links_free(m.sums.links);
    cube_shepard_done(&m.shepard);
    cube_survey_done(&m.survey);
    cube_grid_done(&m.grid);
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
