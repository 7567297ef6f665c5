#include <math.h>
#include <stdio.h>
#include "common/data/dq.h"
#include "common/data/ref_area.h"
#include "common/data/ref_photom.h"
#include "stages/stage.h"

/*
 * photom: from DN/s to MJy/sr, with the relative response at each pixel's wavelength and
 * the pixel area of its slice; the same for point and extended sources.
 *
 * Needs regions and wavelength (assign_wcs). Changes SCI, ERR, the variances, BUNIT; sets
 * NON_SCIENCE outside slices (whose values stay); writes PHOTMJSR, PHOTUJA2, PIXAR_SR and
 * PIXAR_A2 (the mean of all slices). Beyond the reference's wavelengths its first or last
 * response holds.
 * Reference: jwst user documentation, "photom". Test: tests/stages/test_photom.c
 */

enum { ROWS = 16 }; /* detector rows of one piece of work */

/* Steradians in a square arcsecond, and 1 MJy/sr in uJy/arcsec^2. */
static const double arcsec2_sr = (M_PI / (180.0 * 3600.0)) * (M_PI / (180.0 * 3600.0));
static const double mjysr_ujya2 =
    1e12 * (M_PI / (180.0 * 3600.0)) * (M_PI / (180.0 * 3600.0));

struct job {
    struct exposure *e;
    const struct photom_row *row;
    const struct ref_area *area;
    bool inverse;
};

/* MJy/sr per DN/s of a pixel. */
static double factor(const struct job *job, uint8_t slice, double um, size_t *hint)
{
    const struct interp *t = &job->row->response;
    /* Wavelength and pixel area are floats in the peer; so is their product here. */
    double response = interp_at(t, (double)(float)um, t->y[0], t->y[t->n - 1], hint);
    float steradians = job->area->arcsec2[slice - 1] * (float)arcsec2_sr;
    return response * (double)job->row->photmj / (double)steradians;
}

static void scale(float *value, double by, bool inverse)
{
    *value = (float)(inverse ? (double)*value / by : (double)*value * by);
}

static int some_rows(size_t piece, int thread, void *arg, struct err *err)
{
    (void)thread;
    (void)err;
    const struct job *job = arg;
    const struct exposure *e = job->e;
    size_t nx = (size_t)e->nx, n = nx * (size_t)e->ny, hint = 0;
    for (size_t at = piece * ROWS * nx; at < n && at < (piece + 1) * ROWS * nx; at++) {
        if (!e->regions[at]) {
            e->dq[at] |= DQ_NON_SCIENCE;
            continue;
        }
        double by = factor(job, e->regions[at], e->wavelength[at], &hint);
        double square = by * by;
        scale(&e->sci[at], by, job->inverse);
        scale(&e->err[at], by, job->inverse);
        scale(&e->var_poisson[at], square, job->inverse);
        scale(&e->var_rnoise[at], square, job->inverse);
        if (e->var_flat) {
            scale(&e->var_flat[at], square, job->inverse);
        }
        if (e->var_background) {
            scale(&e->var_background[at], square, job->inverse);
        }
    }
    return 0;
}

static int write_keywords(const struct job *job, struct err *err)
{
    struct exposure *e = job->e;
    struct header *h = &e->science;
    const char *unit = job->inverse ? "DN/s" : "MJy/sr";
    double area_a2 = (double)(float)job->area->mean_arcsec2;
    double area_sr = area_a2 * arcsec2_sr;
    double photmjsr = (double)(float)((double)job->row->photmj / area_sr);
    snprintf(e->meta.bunit, sizeof e->meta.bunit, "%s", unit);
    int code =
        header_set_string(h, "BUNIT", unit, "physical units of the array values", err);
    if (!code) {
        code = header_set_real(h, "PHOTMJSR", photmjsr,
                               "Flux density (MJy/steradian) producing 1 cps", err);
    }
    if (!code) {
        code = header_set_real(h, "PHOTUJA2", (double)(float)(photmjsr * mjysr_ujya2),
                               "Flux density (uJy/arcsec2) producing 1 cps", err);
    }
    if (!code) {
        code = header_set_real(h, "PIXAR_SR", area_sr,
                               "Nominal pixel area in steradians", err);
    }
    if (!code) {
        code = header_set_real(h, "PIXAR_A2", area_a2, "Nominal pixel area in arcsec^2",
                               err);
    }
    return code;
}

static int one_exposure(const struct stage_env *env, const struct params *params,
                        struct exposure *e, struct err *err)
{
    struct reference *photom = NULL, *area = NULL;
    const void *object;
    struct job job = {.e = e, .inverse = params_bool(params, "inverse")};
    if (!e->regions || !e->wavelength) {
        return err_set(err, ERR_INPUT, "%s: photom needs assign_wcs before it",
                       e->meta.filename);
    }
    int code = stage_reference(env, &e->meta, "photom", &photom, &object, err);
    if (!code) {
        code = ref_photom_find(object, e->meta.filter, e->meta.grating, &job.row, err);
    }
    if (!code) {
        code = stage_reference(env, &e->meta, "area", &area, &object, err);
    }
    if (!code) {
        job.area = object;
        code = write_keywords(&job, err);
    }
    if (!code) {
        code = par_for(env->par, ((size_t)e->ny + ROWS - 1) / ROWS, some_rows, &job,
                       env->cancel, err);
    }
    reference_release(photom);
    reference_release(area);
    return code;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    return stage_each_exposure(env, params, data, one_exposure, err);
}

static const char *const types[] = {"photom", "area", NULL};

static const struct param table[] = {
    {"inverse", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Divide by the calibration instead of multiplying", false},
};

const struct stage stage_photom = {
    .name = "photom",
    .status_keyword = "S_PHOTOM",
    .suffix = "cal",
    .summary = "Calibrate to surface brightness in MJy/sr",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
