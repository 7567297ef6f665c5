#include "stages/trace_detector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/data/wcs.h"
#include "common/math/robust.h"
#include "stages/trace_columns.h"
#include "stages/trace_compact.h"

#define LEAST_GOOD 3 /* a column with no more good pixels is not interpolated */
#define PAD 2        /* pixels on both sides of a source */

struct detector_job {
    const struct exposure *e;
    struct trace_detector_settings s;
    double threshold; /* NaN: none */
    float offset;     /* taken off the flux: its mean where that is negative */
    struct exposure *out;
    struct trace_detector_planes planes;
    struct trace_profile profiles[WCS_SLICES];
    struct trace_columns columns[WCS_SLICES];
};

/* ---- models ---- */

/* Mean and scatter of all pixels of slices, clipped. */
static int find_threshold(struct detector_job *job, struct err *err)
{
    const size_t n = exposure_pixels(job->e);
    float *values = mem_alloc(2 * n, sizeof *values, err);
    size_t count = 0;
    if (!values) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        if (job->e->regions[i] && isfinite(job->e->sci[i])) {
            values[count++] = job->e->sci[i];
        }
    }
    struct robust_stats s = {0};
    if (count) {
        s = robust_clip(values, values + n, count, 3, 5);
    }
    free(values);
    job->offset = s.mean < 0 ? (float)s.mean : 0;
    job->threshold = job->s.fit_threshold > 0
                         ? fmax(s.mean, 0) + job->s.fit_threshold * s.std
                         : (double)NAN;
    return 0;
}

static int model_slice(size_t i, int thread, void *arg, struct err *err)
{
    struct detector_job *job = arg;
    const struct exposure *e = job->e;
    const bool prism = !strcasecmp(e->meta.grating, "PRISM");
    bool bright = false;
    (void)thread;
    int code = trace_profile_make(e, (int)i + 1, job->offset, &job->profiles[i], err);
    if (!code && job->profiles[i].rows) {
        code = trace_profile_look(&job->profiles[i], job->threshold, &bright, err);
    }
    if (!code && bright) {
        code = trace_columns_make(&job->profiles[i], prism ? 10 : 50, prism ? 1 : 2,
                                  prism ? 0.25 : 0.5, !strcmp(e->meta.detector, "NRS2"),
                                  &job->columns[i], err);
    }
    return code;
}

/* Intervals of the first spline there is: how finely sources are looked for. */
static size_t intervals(const struct detector_job *job)
{
    for (int i = 0; i < WCS_SLICES; i++) {
        const struct trace_columns *c = &job->columns[i];
        for (int x = 0; c->splines && x < job->e->nx; x++) {
            if (c->splines[x].n) {
                return c->splines[x].n - 3;
            }
        }
    }
    return 0;
}

/* ---- one column ---- */

/* Rows of the slice in one column, bad pixels included, and what becomes of them. */
struct column {
    const struct detector_job *job;
    int slice, x;
    int first, n;         /* rows of the exposure, of the slice in this column */
    int new_first, n_new; /* rows of the samples */
    double *row;          /* n_new: where they lie, in rows of the detector */
    double *alpha;        /* n_new */
    double *work;         /* 4 * most rows */
    bool has_model;
};

static size_t pixel_at(const struct column *c, int k)
{
    return (size_t)(c->first + k) * (size_t)c->job->e->nx + (size_t)c->x;
}

static size_t sample_at(const struct column *c, int k)
{
    return (size_t)(c->new_first + k) * (size_t)c->job->e->nx + (size_t)c->x;
}

static bool find_column(struct column *c)
{
    const struct exposure *e = c->job->e;
    const struct trace_profile *p = &c->job->profiles[c->slice - 1];
    const double times = c->job->s.oversample;
    int last = -1;
    c->first = -1;
    for (int y = p->y0; y < p->y0 + p->rows; y++) {
        if (e->regions[(size_t)y * (size_t)e->nx + (size_t)c->x] == c->slice) {
            c->first = c->first < 0 ? y : c->first;
            last = y;
        }
    }
    if (c->first < 0) {
        return false;
    }
    c->n = last - c->first + 1;
    c->new_first = (int)(c->first * times);
    c->n_new = (int)ceil((last + 1) * times - c->first * times);
    for (int k = 0; k < c->n_new; k++) {
        c->row[k] = (c->new_first + k) / times - (times - 1) / (2 * times);
    }
    return true;
}

/* numpy.interp of finite values at rows `at`, beyond the ends the outermost. */
static void interpolate(const double *y, const double *f, int n, const double *at,
                        int n_at, double *ret)
{
    int k = 0;
    for (int i = 0; i < n_at; i++) {
        while (k + 2 < n && at[i] >= y[k + 1]) {
            k++;
        }
        if (at[i] <= y[0] || n == 1) {
            ret[i] = f[0];
        } else if (at[i] >= y[n - 1]) {
            ret[i] = f[n - 1];
        } else {
            ret[i] = f[k] + (f[k + 1] - f[k]) / (y[k + 1] - y[k]) * (at[i] - y[k]);
        }
    }
}

/* The pixel nearest to a sample, counted from the column's first. */
static int nearest(const struct column *c, int k)
{
    const int i = (int)nearbyint(c->row[k]) - c->first;
    return i < 0 ? 0 : i < c->n ? i : c->n - 1;
}

static void blank_ends(const struct column *c, double *v, int n, double with)
{
    const int edge = (int)c->job->s.oversample;
    for (int k = 0; k < n; k++) {
        if (k < edge || k >= n - edge) {
            v[k] = with;
        }
    }
}

/* A plane of the pixels at the samples; root: of its square root. False: too few. */
static bool at_samples(const struct column *c, const float *plane, bool root,
                       double offset, double *ret)
{
    const struct exposure *e = c->job->e;
    double *y = c->work, *f = c->work + c->n;
    int n = 0;
    for (int k = 0; k < c->n; k++) {
        const size_t p = pixel_at(c, k);
        const double v = root ? sqrt((double)plane[p]) : (double)plane[p] - offset;
        if (e->regions[p] == c->slice && isfinite(v)) {
            y[n] = c->first + k;
            f[n++] = v;
        }
    }
    if (n <= LEAST_GOOD) {
        return false;
    }
    interpolate(y, f, n, c->row, c->n_new, ret);
    return true;
}

/* ---- fluxes ---- */

/* The model of a column at its pixels; note where it is steep, and interpolate what it
 * leaves. */
static int model_pixels(struct column *c, struct trace_compact *compact,
                        struct err *err)
{
    const struct detector_job *job = c->job;
    const struct trace_profile *p = &job->profiles[c->slice - 1];
    const struct trace_columns *m = &job->columns[c->slice - 1];
    const struct trace_spline *s = &m->splines[c->x];
    const bool is_fine = job->s.oversample != 1;
    const int edge = is_fine ? (int)job->s.oversample : 1;
    double *alpha = c->work, *value = alpha + c->n, *y = value + c->n, *rest = y + c->n;
    int n = 0, n_rest = 0;
    for (int k = 0; k < c->n; k++) {
        const double a =
            (double)
                p->alpha[(size_t)(c->first + k - p->y0) * (size_t)p->nx + (size_t)c->x];
        if (a >= s->low && a <= s->high) {
            y[n] = c->first + k;
            alpha[n++] = a;
        }
    }
    int code = trace_columns_values(m, c->x, (size_t)n, alpha, value, err);
    for (int k = 0; k < n && !code; k++) {
        const bool at_end = k < edge || k >= n - edge;
        /* without oversampling the model's first value counts as unknown */
        const bool follows_end = !is_fine && k == 1;
        if (!at_end && !follows_end &&
            fabs(value[k] - value[k - 1]) > job->s.slope_limit) {
            code = trace_compact_add(compact, alpha[k], err);
        }
    }
    for (int k = 0; k < n && !code; k++) {
        const size_t at = (size_t)(int)y[k] * (size_t)job->e->nx + (size_t)c->x;
        const float fitted = (float)(s->scale * value[k]);
        if (!is_fine && k > 0 && k < n - 1) {
            job->planes.full[at] = fitted;
        }
        const float left = (float)((double)job->e->sci[at] - (double)job->offset -
                                   value[k] * s->scale);
        if (isfinite(left)) {
            y[n_rest] = y[k];
            rest[n_rest++] = (double)left;
        }
    }
    if (!code && is_fine && n_rest) {
        double *found = rest + c->n;
        interpolate(y, rest, n_rest, c->row, c->n_new, found);
        blank_ends(c, found, c->n_new, NAN);
        for (int k = 0; k < c->n_new; k++) {
            job->planes.residual[sample_at(c, k)] = (float)found[k];
        }
    }
    return code;
}

/* The model at the samples, to planes.full. */
static int model_samples(struct column *c, struct err *err)
{
    const struct detector_job *job = c->job;
    const struct trace_columns *m = &job->columns[c->slice - 1];
    const struct trace_spline *s = &m->splines[c->x];
    double *inside = c->work, *value = c->work + c->n_new;
    int n = 0, k = 0;
    for (k = 0; k < c->n_new; k++) {
        if (c->alpha[k] >= s->low && c->alpha[k] <= s->high) {
            inside[n++] = c->alpha[k];
        }
    }
    int code = trace_columns_values(m, c->x, (size_t)n, inside, value, err);
    blank_ends(c, value, n, NAN);
    n = 0;
    for (k = 0; k < c->n_new && !code; k++) {
        if (c->alpha[k] >= s->low && c->alpha[k] <= s->high) {
            job->planes.full[sample_at(c, k)] = (float)(s->scale * value[n++]);
        }
    }
    return code;
}

static void place_samples(struct column *c)
{
    double x[64], across[64], lam[64];
    for (int from = 0; from < c->n_new; from += 64) {
        const int n = c->n_new - from < 64 ? c->n_new - from : 64;
        for (int k = 0; k < n; k++) {
            x[k] = c->x;
        }
        wcs_detector_to_slicer(c->job->e->wcs, c->slice, (size_t)n, x, c->row + from,
                               across, c->alpha + from, lam);
        for (int k = 0; k < n; k++) {
            const size_t at = sample_at(c, from + k);
            c->alpha[from + k] *= -1;
            if (c->job->out->wavelength) {
                c->job->out->wavelength[at] = lam[k] * 1e6;
            }
        }
    }
}

/* ---- what is not flux ---- */

static void fill_errors(struct column *c)
{
    const struct exposure *e = c->job->e;
    struct exposure *o = c->job->out;
    const float *planes[] = {e->err, e->var_rnoise, e->var_poisson, e->var_flat,
                             e->var_background};
    float *mine[] = {o->err, o->var_rnoise, o->var_poisson, o->var_flat,
                     o->var_background};
    const double inflation = 0.23 * c->job->s.oversample + 0.77;
    double *v = c->work + 2 * c->n;
    for (int i = 0; i < 5; i++) {
        if (!planes[i] || !at_samples(c, planes[i], i > 0, 0, v)) {
            continue;
        }
        for (int k = 0; k < c->n_new; k++) {
            const size_t at = sample_at(c, k);
            const bool estimated = o->dq[at] & DQ_FLUX_ESTIMATED;
            const double error = v[k] * inflation;
            const bool gone = !isfinite(planes[i][pixel_at(c, nearest(c, k))]);
            mine[i][at] = gone && !estimated ? NAN
                          : i > 0            ? (float)(error * error)
                                             : (float)error;
        }
    }
}

static void fill_flags(struct column *c)
{
    const struct exposure *e = c->job->e;
    struct exposure *o = c->job->out;
    const double times = c->job->s.oversample;
    for (int k = 0; k < c->n_new; k++) {
        const size_t at = sample_at(c, k), from = pixel_at(c, nearest(c, k));
        o->regions[at] = e->regions[from];
        o->dq[at] = e->dq[from];
        o->sampling->y_low[at] = (c->new_first + k) / times - 0.5;
        o->sampling->y_high[at] = (c->new_first + k + 1) / times - 0.5;
        if (!isnan(o->sci[at]) && (o->dq[at] & DQ_DO_NOT_USE)) {
            o->dq[at] = (o->dq[at] & ~(uint32_t)DQ_DO_NOT_USE) | DQ_FLUX_ESTIMATED;
        }
    }
}

/* ---- a slice ---- */

static bool has_model(const struct detector_job *job, int slice, int x)
{
    const struct trace_columns *m = &job->columns[slice - 1];
    return m->splines && m->splines[x].n;
}

/* Where a sample's light comes from. */
static void choose_flux(struct column *c, const struct trace_compact *compact)
{
    const struct detector_job *job = c->job;
    struct exposure *o = job->out;
    for (int k = 0; k < c->n_new; k++) {
        const size_t at = sample_at(c, k);
        const float model = job->planes.full[at], rest = job->planes.residual[at];
        const bool everywhere = job->s.slope_limit <= 0;
        o->sci[at] = job->planes.linear[at];
        if (isfinite(model) && (everywhere || trace_compact_is(compact, c->alpha[k]))) {
            o->trace_model[at] = model + job->offset;
            o->sci[at] = model;
            if (!job->s.psf_optimal && isfinite(rest)) {
                o->sci[at] += rest;
            }
        }
        o->sci[at] += job->offset;
    }
}

static int column_init(struct column *c, struct err *err)
{
    const size_t rows = (size_t)c->job->profiles[c->slice - 1].rows;
    const size_t most = (size_t)ceil((double)rows * c->job->s.oversample) + 2;
    c->row = mem_alloc(most, sizeof *c->row, err);
    c->alpha = mem_alloc(most, sizeof *c->alpha, err);
    c->work = mem_alloc(4 * rows + 2 * most, sizeof *c->work, err);
    return c->row && c->alpha && c->work ? 0 : ERR_NOMEM;
}

/* First the models of all columns, which say where sources are. */
static int first_pass(struct column *c, struct trace_compact *compact, struct err *err)
{
    const struct detector_job *job = c->job;
    const bool is_fine = job->s.oversample != 1;
    int code = 0;
    for (c->x = 0; c->x < job->e->nx && !code; c->x++) {
        double *linear = c->work + 2 * job->profiles[c->slice - 1].rows;
        if (!find_column(c)) {
            continue;
        }
        if (is_fine) {
            place_samples(c);
            if (!at_samples(c, job->e->sci, false, (double)job->offset, linear)) {
                continue;
            }
            blank_ends(c, linear, c->n_new, NAN);
            for (int k = 0; k < c->n_new; k++) {
                const float f = job->e->sci[pixel_at(c, nearest(c, k))];
                job->planes.linear[sample_at(c, k)] =
                    isfinite(f) ? (float)linear[k] : NAN;
            }
        }
        if (has_model(job, c->slice, c->x)) {
            code = model_pixels(c, compact, err);
            if (!code && is_fine) {
                code = model_samples(c, err);
            }
        }
    }
    return code;
}

static void second_pass(struct column *c, const struct trace_compact *compact)
{
    const struct detector_job *job = c->job;
    const struct trace_profile *p = &job->profiles[c->slice - 1];
    for (c->x = 0; c->x < job->e->nx; c->x++) {
        if (!find_column(c)) {
            continue;
        }
        if (job->s.oversample != 1) {
            place_samples(c);
            choose_flux(c, compact);
            fill_flags(c);
            fill_errors(c);
            continue;
        }
        for (int k = 0; k < c->n; k++) {
            const size_t at = pixel_at(c, k);
            const double alpha =
                (double)p->alpha[(size_t)(c->first + k - p->y0) * (size_t)p->nx +
                                 (size_t)c->x];
            if (isfinite(job->planes.full[at]) &&
                (job->s.slope_limit <= 0 || trace_compact_is(compact, alpha))) {
                job->out->trace_model[at] = job->planes.full[at] + job->offset;
            }
        }
    }
}

static int sample_slice(size_t i, int thread, void *arg, struct err *err)
{
    const struct detector_job *job = arg;
    struct trace_compact compact = {0};
    struct column c = {.job = job, .slice = (int)i + 1};
    (void)thread;
    if (!job->profiles[i].rows) {
        return 0;
    }
    int code = column_init(&c, err);
    code = code ? code : first_pass(&c, &compact, err);
    if (!code) {
        code = trace_compact_find(&compact, job->profiles[i].step, intervals(job), PAD,
                                  err);
    }
    if (!code) {
        second_pass(&c, &compact);
    }
    free(c.row);
    free(c.alpha);
    free(c.work);
    trace_compact_done(&compact);
    return code;
}

/* ---- all of it ---- */

static float *new_plane(size_t n, struct err *err)
{
    float *p = mem_alloc(n, sizeof *p, err);
    for (size_t i = 0; p && i < n; i++) {
        p[i] = NAN;
    }
    return p;
}

static int make_planes(struct detector_job *job, struct err *err)
{
    const struct exposure *e = job->e;
    const bool is_fine = job->s.oversample != 1;
    const int rows = (int)ceil(e->ny * job->s.oversample);
    const size_t n = (size_t)e->nx * (size_t)rows;
    struct exposure *o = job->out = exposure_new(e->nx, rows, err);
    if (!o) {
        return ERR_NOMEM;
    }
    o->trace_model = new_plane(n, err);
    job->planes.full = new_plane(n, err);
    if (!o->trace_model || !job->planes.full) {
        return ERR_NOMEM;
    }
    if (!is_fine) {
        return 0;
    }
    job->planes.linear = new_plane(n, err);
    job->planes.residual = new_plane(n, err);
    o->sci = new_plane(n, err);
    o->err = new_plane(n, err);
    o->dq = mem_calloc(n, sizeof *o->dq, err);
    o->regions = mem_calloc(n, sizeof *o->regions, err);
    o->sampling = exposure_sampling_new(e->nx, rows, err);
    if (!job->planes.linear || !job->planes.residual || !o->sci || !o->err || !o->dq ||
        !o->regions || !o->sampling) {
        return ERR_NOMEM;
    }
    const float *planes[] = {e->var_poisson, e->var_rnoise, e->var_flat,
                             e->var_background};
    float **mine[] = {&o->var_poisson, &o->var_rnoise, &o->var_flat,
                      &o->var_background};
    for (int k = 0; k < 4; k++) {
        *mine[k] = planes[k] ? new_plane(n, err) : NULL;
        if (planes[k] && !*mine[k]) {
            return ERR_NOMEM;
        }
    }
    o->wavelength = e->wavelength ? mem_alloc(n, sizeof *o->wavelength, err) : NULL;
    for (size_t i = 0; o->wavelength && i < n; i++) {
        o->wavelength[i] = NAN;
    }
    return e->wavelength && !o->wavelength ? ERR_NOMEM : 0;
}

int trace_detector_apply(struct exposure *e,
                         const struct trace_detector_settings *settings,
                         struct par *par, const atomic_bool *cancel,
                         struct trace_detector_planes *ret_planes, int *ret_slices,
                         struct err *err)
{
    struct detector_job *job = mem_calloc(1, sizeof *job, err);
    *ret_slices = 0;
    if (!job) {
        return ERR_NOMEM;
    }
    job->e = e;
    job->s = *settings;
    if (settings->psf_optimal) {
        job->s.fit_threshold = job->s.slope_limit = 0;
    }
    int code = find_threshold(job, err);
    code = code ? code : par_for(par, WCS_SLICES, model_slice, job, cancel, err);
    code = code ? code : make_planes(job, err);
    code = code ? code : par_for(par, WCS_SLICES, sample_slice, job, cancel, err);
    for (int i = 0; i < WCS_SLICES; i++) {
        *ret_slices += job->columns[i].splines != NULL;
        trace_profile_done(&job->profiles[i]);
        trace_columns_done(&job->columns[i]);
    }
    if (!code && settings->oversample != 1) {
        exposure_take_samples(e, job->out);
        exposure_match_nans(e);
    } else if (!code) {
        free(e->trace_model);
        e->trace_model = job->out->trace_model;
        job->out->trace_model = NULL;
    }
    if (!code && ret_planes) {
        *ret_planes = job->planes;
    } else {
        free(job->planes.full);
        free(job->planes.linear);
        free(job->planes.residual);
    }
    exposure_free(job->out);
    free(job);
    return code;
}
