#include <math.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/data/ref_pathloss.h"
#include "stages/stage.h"

/*
 * pathloss: divide by the share of the light that reaches the detector, for a point
 * source in the centre of the field or for a uniform one, by the source type.
 *
 * Needs wavelength (assign_wcs) and SRCTYPE (srctype). Changes SCI, ERR and the
 * variances; makes the planes pathloss_ps and pathloss_un (both are always written).
 * Outside the reference's wavelengths and outside slices the correction is NaN. The
 * lowest wavelength of the reference counts as outside (as in the peer).
 * Reference: jwst user documentation, "pathloss". Test: tests/stages/test_pathloss.c
 */

enum { ROWS = 16 }; /* detector rows of one piece of work */

struct job {
    struct exposure *e;
    const struct ref_pathloss *ref;
    bool is_point, inverse;
};

/* Linear between the curve's samples; *hint as in interp_at. */
static float loss_at(const struct pathloss_curve *c, float um, size_t *hint)
{
    size_t i = *hint;
    if (!(um > c->um[0] && um <= c->um[c->n - 1])) {
        return NAN;
    }
    while (um > c->um[i + 1]) {
        i++;
    }
    while (um <= c->um[i]) {
        i--;
    }
    *hint = i;
    double share =
        ((double)um - (double)c->um[i]) / ((double)c->um[i + 1] - (double)c->um[i]);
    double low = (double)c->loss[i], high = (double)c->loss[i + 1];
    return (float)(low + share * (high - low));
}

static void correct(const struct job *job, size_t at, size_t n)
{
    struct exposure *e = job->e;
    const float *loss = (job->is_point ? e->pathloss_ps : e->pathloss_un) + at;
    float *plane[2] = {e->sci + at, e->err + at};
    float *variance[4] = {e->var_poisson + at, e->var_rnoise + at,
                          e->var_flat ? e->var_flat + at : NULL,
                          e->var_background ? e->var_background + at : NULL};
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < n; i++) {
            plane[k][i] = job->inverse ? plane[k][i] * loss[i] : plane[k][i] / loss[i];
        }
    }
    for (int k = 0; k < 4; k++) {
        for (size_t i = 0; i < n && variance[k]; i++) {
            float square = loss[i] * loss[i];
            variance[k][i] =
                job->inverse ? variance[k][i] * square : variance[k][i] / square;
        }
    }
}

static int some_rows(size_t piece, int thread, void *arg, struct err *err)
{
    (void)thread;
    (void)err;
    const struct job *job = arg;
    const struct exposure *e = job->e;
    size_t nx = (size_t)e->nx, ny = (size_t)e->ny;
    size_t point = 0, uniform = 0;
    for (size_t y = piece * ROWS; y < ny && y < (piece + 1) * ROWS; y++) {
        for (size_t at = y * nx; at < (y + 1) * nx; at++) {
            float um = (float)e->wavelength[at];
            e->pathloss_ps[at] = loss_at(&job->ref->point, um, &point);
            e->pathloss_un[at] = loss_at(&job->ref->uniform, um, &uniform);
        }
        correct(job, y * nx, nx);
    }
    return 0;
}

static int one_exposure(const struct stage_env *env, const struct params *params,
                        struct exposure *e, struct err *err)
{
    struct reference *ref = NULL;
    const void *object;
    const char *source_type = params_string(params, "source_type");
    if (!e->wavelength) {
        return err_set(err, ERR_INPUT, "%s: pathloss needs assign_wcs before it",
                       e->meta.filename);
    }
    struct job job = {.e = e, .inverse = params_bool(params, "inverse")};
    job.is_point =
        !strcasecmp(source_type ? source_type : e->meta.source_type, "POINT");
    if (!e->pathloss_ps) {
        e->pathloss_ps = mem_alloc(exposure_pixels(e), sizeof *e->pathloss_ps, err);
    }
    if (!e->pathloss_un) {
        e->pathloss_un = mem_alloc(exposure_pixels(e), sizeof *e->pathloss_un, err);
    }
    if (!e->pathloss_ps || !e->pathloss_un) {
        return ERR_NOMEM;
    }
    int code = stage_reference(env, &e->meta, "pathloss", &ref, &object, err);
    if (!code) {
        job.ref = object;
        stage_note(env, "correction for a %s source",
                   job.is_point ? "point" : "uniform");
        code = par_for(env->par, ((size_t)e->ny + ROWS - 1) / ROWS, some_rows, &job,
                       env->cancel, err);
    }
    reference_release(ref);
    return code;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    return stage_each_exposure(env, params, data, one_exposure, err);
}

static const char *const types[] = {"pathloss", NULL};

static const struct param table[] = {
    {"inverse", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Multiply by the correction instead of dividing", false},
    {"source_type", PARAM_STRING, "none", 0, 0, "POINT|EXTENDED", "",
     "Correct for this type of source, whatever SRCTYPE says", true},
};

const struct stage stage_pathloss = {
    .name = "pathloss",
    .status_keyword = "S_PTHLOS",
    .suffix = "pathloss",
    .summary = "Correct for light lost on the way, by source type and wavelength",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
