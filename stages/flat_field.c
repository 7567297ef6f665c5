#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/data/ref_flat.h"
#include "stages/flat_total.h"
#include "stages/slice_columns.h"
#include "stages/stage.h"

/*
 * flat_field: divide by the total flat of every pixel's wavelength.
 *
 * Needs regions and wavelength (assign_wcs). Changes SCI, ERR, DQ, VAR_POISSON,
 * VAR_RNOISE, makes VAR_FLAT. Pixels outside slices have no flat and become NaN and
 * DO_NOT_USE. References of the full frame are cut to the exposure's window.
 *
 * SCI' = SCI / F; the variances are divided by F^2; VAR_FLAT = (SCI' / F * error of F)^2;
 * ERR is the root of their sum. In single precision, in the peer's order of operations.
 * Reference: jwst user documentation, "flatfield". Test: tests/stages/test_flat_field.c
 */

enum { ROWS = 8 }; /* detector rows of one piece of work */

struct job {
    struct exposure *e;
    const struct stage_env *env;
    struct flat_set set;          /* of three references, or: */
    const struct ref_flat *total; /* the user's own flat */
    const struct slice_columns *columns;
    struct exposure *kept; /* SCI, ERR, DQ: the flat that was applied, if asked for */
    size_t x0, y0;         /* window of the exposure in the frame, 0-based */
    bool inverse;
};

static void apply(const struct job *job, size_t at, size_t n, const float *flat,
                  const float *error, const uint32_t *dq)
{
    struct exposure *e = job->e;
    float *sci = e->sci + at, *err = e->err + at, *poisson = e->var_poisson + at,
          *rnoise = e->var_rnoise + at, *var = e->var_flat + at;
    if (!job->inverse) {
        for (size_t i = 0; i < n; i++) {
            float f = flat[i], square = f * f;
            float s = sci[i] / f, p = poisson[i] / square, r = rnoise[i] / square;
            float v = s / f * error[i];
            v *= v;
            sci[i] = s;
            poisson[i] = p;
            rnoise[i] = r;
            var[i] = v;
            err[i] = sqrtf(p + r + v);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            float f = flat[i], square = f * f;
            float p = poisson[i] * square, r = rnoise[i] * square;
            sci[i] *= f;
            poisson[i] = p;
            rnoise[i] = r;
            var[i] = 0;
            err[i] = sqrtf(p + r);
        }
    }
    for (size_t i = 0; i < n && e->var_background; i++) {
        const float square = flat[i] * flat[i];
        float *v = &e->var_background[at + i];
        *v = job->inverse ? *v * square : *v / square;
    }
    for (size_t i = 0; i < n; i++) {
        e->dq[at + i] |= dq[i];
    }
    if (job->kept) {
        memcpy(job->kept->sci + at, flat, n * sizeof *flat);
        memcpy(job->kept->err + at, error, n * sizeof *error);
        memcpy(job->kept->dq + at, dq, n * sizeof *dq);
    }
}

/* Pixels outside slices. */
static void apply_none(const struct job *job, size_t at, size_t n)
{
    struct exposure *e = job->e;
    for (size_t i = at; i < at + n; i++) {
        e->sci[i] = e->err[i] = e->var_poisson[i] = e->var_rnoise[i] = NAN;
        e->var_flat[i] = job->inverse ? 0 : NAN;
        if (e->var_background) {
            e->var_background[i] = NAN;
        }
        e->dq[i] |= DQ_DO_NOT_USE;
        if (job->kept) {
            job->kept->sci[i] = job->kept->err[i] = NAN;
            job->kept->dq[i] = DQ_DO_NOT_USE;
        }
    }
}

/* n neighbouring pixels of one slice. */
static int slice_run(const struct job *job, size_t y, size_t x, size_t n,
                     struct err *err)
{
    double width[FLAT_RUN];
    float flat[FLAT_RUN], error[FLAT_RUN];
    uint32_t dq[FLAT_RUN];
    size_t at = y * (size_t)job->e->nx + x;
    slice_columns_widths(job->columns, job->e, x, y, n, width);
    struct flat_run run = {job->x0 + x, job->y0 + y, n, job->e->wavelength + at, width};
    int code = flat_total(&job->set, &run, flat, error, dq, err);
    if (!code) {
        apply(job, at, n, flat, error, dq);
    }
    return code;
}

static int total_run(const struct job *job, size_t y, size_t x, size_t n,
                     struct err *err)
{
    float flat[FLAT_RUN], error[FLAT_RUN] = {0};
    uint32_t dq[FLAT_RUN] = {0};
    const struct ref_flat *r = job->total;
    size_t rx = job->x0 + x - r->x0, ry = job->y0 + y - r->y0;
    int code = ref_planes_floats(&r->sci, 0, rx, ry, n, flat, err);
    if (!code && r->error.n) {
        code = ref_planes_floats(&r->error, 0, rx, ry, n, error, err);
    }
    if (!code && r->dq.n) {
        code = ref_flat_dq(r, 0, job->x0 + x, job->y0 + y, n, dq, err);
    }
    if (!code) {
        apply(job, y * (size_t)job->e->nx + x, n, flat, error, dq);
    }
    return code;
}

static int one_row(const struct job *job, size_t y, struct err *err)
{
    size_t nx = (size_t)job->e->nx;
    const uint8_t *slice = job->total ? NULL : job->e->regions + y * nx;
    int code = 0;
    for (size_t x = 0, end; !code && x < nx; x = end) {
        for (end = x + 1;
             end < nx && end - x < FLAT_RUN && (!slice || slice[end] == slice[x]);
             end++) {
        }
        if (!slice) {
            code = total_run(job, y, x, end - x, err);
        } else if (slice[x]) {
            code = slice_run(job, y, x, end - x, err);
        } else {
            apply_none(job, y * nx + x, end - x);
        }
    }
    return code;
}

static int some_rows(size_t piece, int thread, void *arg, struct err *err)
{
    (void)thread;
    const struct job *job = arg;
    size_t ny = (size_t)job->e->ny;
    int code = 0;
    for (size_t y = piece * ROWS; !code && y < ny && y < (piece + 1) * ROWS; y++) {
        code = one_row(job, y, err);
    }
    return code;
}

/* The window of the exposure must lie within the image. */
static int check_window(const struct exposure *e, const char *type,
                        const struct ref_flat *r, struct err *err)
{
    if (!ref_flat_covers(r, (size_t)(e->meta.substrt1 - 1),
                         (size_t)(e->meta.substrt2 - 1), (size_t)e->nx,
                         (size_t)e->ny)) {
        return err_set(err, ERR_REFERENCE,
                       "%s: the %s image of %zu x %zu pixels from (%zu, %zu) does not "
                       "cover the %d x %d pixels from (%d, %d) of %s",
                       r->sci.path, type, r->sci.nx, r->sci.ny, r->x0 + 1, r->y0 + 1,
                       e->nx, e->ny, e->meta.substrt1, e->meta.substrt2,
                       e->meta.filename);
    }
    return 0;
}

static int load_flats(const struct stage_env *env, const char *user_flat,
                      struct job *job, struct reference *refs[3], struct err *err)
{
    const struct exposure_meta *meta = &job->e->meta;
    const void *object;
    if (user_flat) {
        struct reference_choice choice;
        int code = references_choose(env->refs, "flat", meta, user_flat, &choice, err);
        if (!code) {
            code = references_load(env->refs, &choice, &refs[0], &object, err);
        }
        if (!code) {
            job->total = object;
            code = check_window(job->e, "flat", job->total, err);
        }
        if (!code && env->used_reference) {
            env->used_reference(env->user, meta, &choice);
        }
        return code;
    }
    static const char *const types[3] = {"fflat", "sflat", "dflat"};
    const struct ref_flat **place[3] = {&job->set.fore, &job->set.spectrograph,
                                        &job->set.detector};
    int code = 0;
    for (int i = 0; !code && i < 3; i++) {
        code = stage_reference(env, meta, types[i], &refs[i], &object, err);
        if (!code) {
            *place[i] = object;
            code = i ? check_window(job->e, types[i], object, err) : 0;
        }
    }
    return code;
}

/* Planes for the flat itself, under the exposure's primary header. */
static int new_flat(const struct exposure *e, struct exposure **ret, struct err *err)
{
    size_t n = exposure_pixels(e);
    struct exposure *f = exposure_new(e->nx, e->ny, err);
    if (!f) {
        return ERR_NOMEM;
    }
    *ret = f;
    f->sci = mem_alloc(n, sizeof *f->sci, err);
    f->err = mem_alloc(n, sizeof *f->err, err);
    f->dq = mem_alloc(n, sizeof *f->dq, err);
    if (!f->sci || !f->err || !f->dq) {
        return ERR_NOMEM;
    }
    f->meta = e->meta;
    f->meta.bunit[0] = '\0';
    return header_copy(&f->primary, &e->primary, err);
}

static int one_exposure(const struct stage_env *env, const struct params *params,
                        struct exposure *e, struct err *err)
{
    struct reference *refs[3] = {0};
    struct slice_columns columns = {0};
    struct job job = {.e = e,
                      .env = env,
                      .columns = &columns,
                      .x0 = (size_t)(e->meta.substrt1 - 1),
                      .y0 = (size_t)(e->meta.substrt2 - 1),
                      .inverse = params_bool(params, "inverse")};
    const char *user_flat = params_string(params, "user_supplied_flat");
    size_t pixels = exposure_pixels(e);
    int code = 0;

    if (!user_flat && (!e->regions || !e->wavelength)) {
        return err_set(err, ERR_INPUT, "%s: flat_field needs assign_wcs before it",
                       e->meta.filename);
    }
    if (!e->var_flat) {
        e->var_flat = mem_alloc(pixels, sizeof *e->var_flat, err);
        code = e->var_flat ? 0 : ERR_NOMEM;
    }
    if (!code && params_bool(params, "save_interpolated_flat")) {
        code = new_flat(e, &job.kept, err);
    }
    if (!code) {
        code = load_flats(env, user_flat, &job, refs, err);
    }
    if (!code && !user_flat) {
        code = slice_columns_init(&columns, e, env->par, env->cancel, err);
    }
    if (!code) {
        code = par_for(env->par, ((size_t)e->ny + ROWS - 1) / ROWS, some_rows, &job,
                       env->cancel, err);
    }
    slice_columns_done(&columns);
    for (int i = 0; i < 3; i++) {
        reference_release(refs[i]);
    }
    if (!code && job.kept) {
        code = stage_keep(env, "interpolatedflat", job.kept, err);
    } else {
        exposure_free(job.kept);
    }
    return code;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    return stage_each_exposure(env, params, data, one_exposure, err);
}

static const char *const types[] = {"fflat", "sflat", "dflat", NULL};

static const struct param table[] = {
    {"save_interpolated_flat", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Keep the total flat that was applied and write it as a product", false},
    {"user_supplied_flat", PARAM_STRING, "none", 0, 0, NULL, "file",
     "File of a total flat to apply instead of the three references", true},
    {"inverse", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Multiply by the flat instead of dividing", false},
};

const struct stage stage_flat_field = {
    .name = "flat_field",
    .status_keyword = "S_FLAT",
    .suffix = "flat_field",
    .summary = "Divide by the flat of fore optics, spectrograph and detector",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
