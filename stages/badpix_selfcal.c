#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/robust.h"
#include "stages/stage.h"

/*
 * badpix_selfcal: flags pixels that stand out of the darkest image that there is.
 *
 * Inputs:    SCI of a rate exposure and of its backgrounds
 * Outputs:   DQ: DO_NOT_USE and OTHER_BAD_PIXEL, and NaN, in the exposure and in its backgrounds
 *            when they are opened later; BPXNFLG
 * Algorithm: the minimum of all of them, less its running median along the rows (beyond the
 *            edge there is zero, as in the peer); the given fractions of the lowest and highest
 *            differences are bad
 * Agreement: jwst 3.0.0 badpix_selfcal, pixel by pixel; off by default as there
 */

struct bad {
    int nx, ny;
    uint8_t *is_bad;
};

struct work {
    const struct exposure *e;
    size_t kernel;
    float *minimum, *excess;
    float **window; /* of each thread */
    double low, high;
    struct bad *bad;
    size_t *count; /* of each row */
};

static int reduce(struct work *w, const struct exposure *b, struct err *err)
{
    if (b->nx != w->e->nx || b->ny != w->e->ny) {
        return err_set(err, ERR_INPUT,
                       "background %s is an array of %d x %d pixels; expected %d x %d",
                       b->meta.filename, b->nx, b->ny, w->e->nx, w->e->ny);
    }
    for (size_t i = 0; i < exposure_pixels(b); i++) {
        w->minimum[i] = fminf(w->minimum[i], b->sci[i]); /* NaN gives way */
    }
    return 0;
}

/* Values in ascending order, of which one goes and one comes at each step. */
struct window {
    float *v;
    size_t n;
};

static size_t place_of(const struct window *w, float v)
{
    size_t low = 0, high = w->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (w->v[middle] < v) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void take_in(struct window *w, float v)
{
    if (!isnan(v)) {
        size_t at = place_of(w, v);
        memmove(w->v + at + 1, w->v + at, (w->n - at) * sizeof *w->v);
        w->v[at] = v;
        w->n++;
    }
}

static void let_go(struct window *w, float v)
{
    if (!isnan(v)) {
        size_t at = place_of(w, v);
        w->n--;
        memmove(w->v + at, w->v + at + 1, (w->n - at) * sizeof *w->v);
    }
}

static float median_of(const struct window *w)
{
    if (w->n == 0) {
        return (float)NAN;
    }
    float high = w->v[w->n / 2];
    return w->n % 2 ? high : (w->v[w->n / 2 - 1] + high) / 2.0f;
}

static int take_off_median(size_t y, int thread, void *arg, struct err *err)
{
    const struct work *w = arg;
    const size_t nx = (size_t)w->e->nx, half = w->kernel / 2;
    const float *row = w->minimum + y * nx;
    struct window window = {w->window[thread], 0};
    (void)err;
    for (size_t k = 0; k < half; k++) {
        take_in(&window, 0);
    }
    for (size_t k = 0; k < half; k++) {
        take_in(&window, k < nx ? row[k] : 0);
    }
    for (size_t x = 0; x < nx; x++) {
        take_in(&window, x + half < nx ? row[x + half] : 0);
        w->excess[y * nx + x] = row[x] - median_of(&window);
        let_go(&window, x < half ? 0 : row[x - half]);
    }
    return 0;
}

/* Linear between ranks, as the peer's library: values are reordered. */
static double quantile(float *values, size_t n, double share)
{
    const double rank = share * (double)(n - 1), below = floor(rank);
    const size_t k = (size_t)below, next = k + 1 < n ? k + 1 : k;
    const float a = robust_select(values, n, k), b = robust_select(values, n, next);
    const double part = rank - below, step = (double)(b - a);
    return part >= 0.5 ? (double)b - step * (1 - part) : (double)a + step * part;
}

static int find_limits(struct work *w, double lower, double upper, struct err *err)
{
    const size_t all = exposure_pixels(w->e);
    size_t n = 0;
    float *values = mem_alloc(all, sizeof *values, err);
    if (!values) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < all; i++) {
        if (!isnan(w->excess[i])) {
            values[n++] = w->excess[i];
        }
    }
    w->low = n ? quantile(values, n, lower) : (double)NAN;
    w->high = n ? quantile(values, n, 1 - upper) : (double)NAN;
    free(values);
    return 0;
}

static int mark(size_t y, int thread, void *arg, struct err *err)
{
    const struct work *w = arg;
    const size_t nx = (size_t)w->e->nx;
    (void)thread;
    (void)err;
    for (size_t i = y * nx; i < (y + 1) * nx; i++) {
        const double v = (double)w->excess[i];
        w->bad->is_bad[i] = v > w->high || v < w->low;
        w->count[y] += w->bad->is_bad[i];
    }
    return 0;
}

/* Also of a background, as it is opened. */
static int flag(void *user, struct exposure *e, bool pixels, struct err *err)
{
    const struct bad *bad = user;
    float *const planes[] = {e->sci, e->err, e->var_poisson, e->var_rnoise,
                             e->var_flat};
    if (!pixels) {
        return 0;
    }
    if (e->nx != bad->nx || e->ny != bad->ny) {
        return err_set(err, ERR_INPUT,
                       "%s is an array of %d x %d pixels; expected %d x %d",
                       e->meta.filename, e->nx, e->ny, bad->nx, bad->ny);
    }
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        if (bad->is_bad[i]) {
            e->dq[i] |= DQ_DO_NOT_USE | DQ_OTHER_BAD_PIXEL;
            for (int p = 0; p < 5; p++) {
                if (planes[p]) {
                    planes[p][i] = (float)NAN;
                }
            }
        }
    }
    return 0;
}

static void bad_free(void *user)
{
    struct bad *bad = user;
    if (bad) {
        free(bad->is_bad);
        free(bad);
    }
}

static struct bad *bad_new(const struct exposure *e, struct err *err)
{
    struct bad *bad = mem_calloc(1, sizeof *bad, err);
    if (bad) {
        bad->nx = e->nx;
        bad->ny = e->ny;
        bad->is_bad = mem_calloc(exposure_pixels(e), 1, err);
        if (!bad->is_bad) {
            free(bad);
            bad = NULL;
        }
    }
    return bad;
}

static int allocate(struct work *w, int threads, struct err *err)
{
    const size_t n = exposure_pixels(w->e);
    w->minimum = mem_alloc(n, sizeof *w->minimum, err);
    w->excess = mem_alloc(n, sizeof *w->excess, err);
    w->count = mem_calloc((size_t)w->e->ny, sizeof *w->count, err);
    w->window = mem_calloc((size_t)threads, sizeof *w->window, err);
    bool ok = w->minimum && w->excess && w->count && w->window;
    for (int t = 0; t < threads && ok; t++) {
        w->window[t] = mem_alloc(w->kernel + 1, sizeof **w->window, err);
        ok = w->window[t] != NULL;
    }
    return ok ? 0 : ERR_NOMEM;
}

static void release(struct work *w, int threads)
{
    for (int t = 0; t < threads && w->window; t++) {
        free(w->window[t]);
    }
    free(w->window);
    free(w->minimum);
    free(w->excess);
    free(w->count);
}

static int add_backgrounds(struct work *w, const struct exposure_source *source,
                           struct err *err)
{
    int code = 0;
    for (size_t i = 0; source && i < source->n && !code; i++) {
        struct exposure *b = NULL;
        code = source->open(source->user, i, true, &b, err);
        if (!code) {
            code = reduce(w, b, err);
            source->close(source->user, i, b);
        }
    }
    return code;
}

/* The pixels of e that are bad. */
static int find(const struct stage_env *env, const struct params *params,
                const struct exposure_source *source, const struct exposure *e,
                struct bad *bad, size_t *ret_n, struct err *err)
{
    const int threads = par_threads(env->par);
    const size_t ny = (size_t)e->ny;
    struct work w = {
        .e = e, .kernel = (size_t)params_int(params, "kernel_size"), .bad = bad};
    int code = allocate(&w, threads, err);
    if (!code) {
        memcpy(w.minimum, e->sci, exposure_pixels(e) * sizeof *w.minimum);
        code = add_backgrounds(&w, source, err);
    }
    code = code ? code : par_for(env->par, ny, take_off_median, &w, env->cancel, err);
    code = code ? code
                : find_limits(&w, params_real(params, "flagfrac_lower"),
                              params_real(params, "flagfrac_upper"), err);
    code = code ? code : par_for(env->par, ny, mark, &w, env->cancel, err);
    for (size_t y = 0; y < ny && !code; y++) {
        *ret_n += w.count[y];
    }
    release(&w, threads);
    return code;
}

static int copy_plane(const float *from, float **to, size_t n, struct err *err)
{
    *to = from ? mem_alloc(n, sizeof **to, err) : NULL;
    if (*to) {
        memcpy(*to, from, n * sizeof **to);
    }
    return from && !*to ? ERR_NOMEM : 0;
}

static int copy_of(const struct exposure *from, struct exposure **ret, struct err *err)
{
    const size_t n = exposure_pixels(from);
    struct exposure *e = exposure_new(from->nx, from->ny, err);
    if (!e) {
        return ERR_NOMEM;
    }
    e->meta = from->meta;
    e->dq = mem_alloc(n, sizeof *e->dq, err);
    int code = e->dq ? header_copy(&e->primary, &from->primary, err) : ERR_NOMEM;
    code = code ? code : header_copy(&e->science, &from->science, err);
    code = code ? code : copy_plane(from->sci, &e->sci, n, err);
    code = code ? code : copy_plane(from->err, &e->err, n, err);
    code = code ? code : copy_plane(from->var_poisson, &e->var_poisson, n, err);
    code = code ? code : copy_plane(from->var_rnoise, &e->var_rnoise, n, err);
    code = code ? code : copy_plane(from->var_flat, &e->var_flat, n, err);
    if (code) {
        exposure_free(e);
        return code;
    }
    memcpy(e->dq, from->dq, n * sizeof *e->dq);
    *ret = e;
    return 0;
}

static int keep_backgrounds(const struct stage_env *env,
                            const struct exposure_source *source, struct bad *bad,
                            struct err *err)
{
    int code = 0;
    for (size_t i = 0; source && i < source->n && !code; i++) {
        struct exposure *b = NULL, *own = NULL;
        char suffix[40];
        snprintf(suffix, sizeof suffix, "badpix_selfcal_bkg_%zu", i);
        code = source->open(source->user, i, true, &b, err);
        if (!code) {
            code = copy_of(b, &own, err);
            source->close(source->user, i, b);
        }
        code = code ? code : flag(bad, own, true, err);
        if (code) {
            exposure_free(own);
        } else {
            code = stage_keep(env, suffix, own, err);
        }
    }
    return code;
}

static int calibrate(const struct stage_env *env, const struct params *params,
                     struct dataset *data, struct exposure *e, struct err *err)
{
    const struct exposure_source *source = data->backgrounds;
    struct bad *bad = bad_new(e, err);
    size_t n = 0;
    int code = bad ? find(env, params, source, e, bad, &n, err) : ERR_NOMEM;
    code = code ? code : flag(bad, e, true, err);
    code = code ? code
                : header_set_int(&e->primary, "BPXNFLG", (long)n,
                                 "Pixels flagged by badpix_selfcal", err);
    if (!code && params_bool(params, "save_flagged_bkg")) {
        code = keep_backgrounds(env, source, bad, err);
    }
    if (code) {
        bad_free(bad);
        return code;
    }
    stage_note(env, "%s: %zu pixels flagged, from %zu exposures", e->meta.filename, n,
               1 + (source ? source->n : 0));
    dataset_correct_backgrounds(
        data, &(struct corrector){.correct = flag, .done = bad_free, .user = bad});
    return 0;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    const bool any = data->backgrounds && data->backgrounds->n;
    int code = 0;
    if (params_int(params, "kernel_size") % 2 == 0) {
        return err_set(err, ERR_PARAM, "kernel_size is %ld: an odd number is needed",
                       params_int(params, "kernel_size"));
    }
    if (!any && !params_bool(params, "force_single")) {
        stage_warn(env,
                   "no background exposure was given: skipped; force_single = true "
                   "takes the exposure alone");
        stage_skipped(env);
        return 0;
    }
    for (size_t i = 0; i < dataset_n(data) && !code; i++) {
        struct exposure *e = NULL;
        code = dataset_open(data, i, true, &e, err);
        if (!code) {
            code = calibrate(env, params, data, e, err);
            dataset_close(data, i, e);
        }
    }
    return code;
}

static const char *const types[] = {NULL};

static const struct param table[] = {
    {"flagfrac_lower", PARAM_REAL, "0.001", 0, 0.5, NULL, "",
     "Fraction of pixels to flag at the low end", false},
    {"flagfrac_upper", PARAM_REAL, "0.001", 0, 0.5, NULL, "",
     "Fraction of pixels to flag at the high end", false},
    {"kernel_size", PARAM_INT, "15", 1, 2047, NULL, "pixels",
     "Length of the running median along the rows; odd", false},
    {"force_single", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Take the exposure alone where there is no background", false},
    {"save_flagged_bkg", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Write the flagged backgrounds, _badpix_selfcal_bkg_<n>", false},
};

const struct stage stage_badpix_selfcal = {
    .name = "badpix_selfcal",
    .status_keyword = "S_BPXSLF",
    .suffix = "badpix_selfcal",
    .summary = "Flag pixels that stand out of the darkest image there is",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
