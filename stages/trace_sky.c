#include "stages/trace_sky.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/data/wcs.h"
#include "stages/trace_cells.h"
#include "stages/trace_swing.h"

#define LEAST_SEEN 0.25 /* of a cell's height must be good pixels, or it is estimated */
#define MISFIT 0.02     /* error of an estimate, of what the model says */
#define WHOLE 0.98      /* of a cell's height must be pixels of the slice */

struct sky_slice {
    struct trace_slice s;
    struct trace_fit f;
    struct trace_cells c;
    int first_row, n_rows; /* of the samples */
    int *cell_row;         /* row of each cell, -1: not used */
};

struct sky_job {
    const struct exposure *e;
    const struct trace_settings *settings;
    struct sky_slice slices[WCS_SLICES];
    struct exposure *out; /* planes of the samples; no headers */
};

/* ---- what is to be done ---- */

static int plan_slice(size_t i, int thread, void *arg, struct err *err)
{
    struct sky_job *job = arg;
    struct sky_slice *t = &job->slices[i];
    bool found = false;
    (void)thread;
    int code = trace_slice_make(job->e, (int)i + 1, &t->s, err);
    if (!code) {
        code = trace_fit_make(job->e, &t->s, job->settings, &t->f, &found, err);
    }
    if (!code && found) {
        code = trace_cells_make(job->e, &t->s, &t->f, &t->c, err);
    }
    if (!code && t->c.used) {
        t->cell_row = mem_alloc((size_t)t->c.n, sizeof *t->cell_row, err);
        code = t->cell_row ? 0 : ERR_NOMEM;
    }
    t->n_rows = t->s.rows + t->c.used;
    return code;
}

static void slice_done(struct sky_slice *t)
{
    trace_slice_done(&t->s);
    trace_fit_done(&t->f);
    trace_cells_done(&t->c);
    free(t->cell_row);
}

/* Rows: those of the detector, slice by slice, each followed by its cells. */
static int number_rows(struct sky_job *job)
{
    int row = 0;
    for (int i = 0; i < WCS_SLICES; i++) {
        struct sky_slice *t = &job->slices[i];
        t->first_row = row;
        row += t->s.rows;
        for (int k = 0; k < t->c.n && t->c.used; k++) {
            t->cell_row[k] = t->c.is_used[k] ? row++ : -1;
        }
    }
    return row;
}

static float *plane_like(const float *plane, size_t n, struct err *err, int *code)
{
    float *new = plane ? mem_alloc(n, sizeof *new, err) : NULL;
    for (size_t i = 0; new &&i < n; i++) {
        new[i] = NAN;
    }
    *code = plane && !new ? ERR_NOMEM : *code;
    return new;
}

static struct exposure *make_planes(const struct exposure *e, int rows, struct err *err)
{
    struct exposure *o = exposure_new(e->nx, rows, err);
    const size_t n = (size_t)e->nx * (size_t)rows;
    int code = 0;
    if (!o) {
        return NULL;
    }
    o->sci = plane_like(e->sci, n, err, &code);
    o->err = plane_like(e->err, n, err, &code);
    o->var_poisson = plane_like(e->var_poisson, n, err, &code);
    o->var_rnoise = plane_like(e->var_rnoise, n, err, &code);
    o->var_flat = plane_like(e->var_flat, n, err, &code);
    o->var_background = plane_like(e->var_background, n, err, &code);
    o->trace_model = plane_like(e->sci, n, err, &code);
    o->dq = mem_calloc(n, sizeof *o->dq, err);
    o->regions = mem_calloc(n, sizeof *o->regions, err);
    o->wavelength = e->wavelength ? mem_alloc(n, sizeof *o->wavelength, err) : NULL;
    o->sampling = exposure_sampling_new(e->nx, rows, err);
    if (code || !o->dq || !o->regions || (e->wavelength && !o->wavelength) ||
        !o->sampling) {
        exposure_free(o);
        return NULL;
    }
    for (size_t i = 0; o->wavelength && i < n; i++) {
        o->wavelength[i] = NAN;
    }
    return o;
}

/* ---- samples ---- */

/* What a sample is made of: the pixels that a stretch of rows overlaps. */
struct stretch {
    double low, high;   /* rows */
    int first, n;       /* rows of the slice */
    double share[4];    /* of the stretch's good part; 0: not of it */
    double whole, good; /* shares of its height */
    bool is_estimated;  /* too few good pixels: those beside are taken as well */
    bool is_used;
};

/* One column of a slice while its samples are made. */
struct column {
    const struct exposure *e;
    const struct sky_slice *t;
    struct exposure *out;
    int x;
    double *coef; /* of the spline */
    bool has_model;
    double *model; /* per row of the slice: of the pixel; 0 without a model */
    double *used; /* per row of the slice: height of all samples that its pixel is in */
    struct stretch *cells; /* per cell */
    struct stretch *rest;  /* per row of the slice: of its pixel, what no cell covers */
};

static size_t pixel_at(const struct column *c, int row)
{
    return (size_t)(c->t->s.y0 + row) * (size_t)c->e->nx + (size_t)c->x;
}

static double u_of(const struct column *c, int row)
{
    return c->t->s.u[(size_t)row * (size_t)c->t->s.nx + (size_t)c->x];
}

static bool is_of_slice(const struct column *c, int row)
{
    return c->e->regions[pixel_at(c, row)] == c->t->s.slice;
}

static void prepare_column(struct column *c)
{
    const struct trace_fit *f = &c->t->f;
    const struct trace_slice *s = &c->t->s;
    c->has_model =
        f->n_coef && !isnan(f->scale[c->x]) && trace_fit_profile(f, c->x, c->coef);
    for (int row = 0; row < s->rows; row++) {
        const double u = u_of(c, row);
        c->model[row] = c->has_model && !isnan(u)
                            ? f->scale[c->x] * trace_fit_value(f, c->coef, u)
                            : 0;
    }
}

/* Where a sample lies. */
static size_t put(struct column *c, int row, const struct stretch *o)
{
    const size_t at = (size_t)row * (size_t)c->out->nx + (size_t)c->x;
    c->out->regions[at] = (uint8_t)c->t->s.slice;
    c->out->sampling->y_low[at] = o->low;
    c->out->sampling->y_high[at] = o->high;
    return at;
}

static void find_overlap(const struct column *c, double low, double high,
                         struct stretch *o)
{
    const struct trace_slice *s = &c->t->s;
    const int first = (int)floor(low + 0.5) - s->y0;
    o->first = first;
    o->n = 0;
    o->whole = o->good = 0;
    for (int k = 0; k < 4 && s->y0 + first + k - 0.5 < high; k++) {
        const int row = first + k;
        const double y = s->y0 + row;
        const double share = (fmin(high, y + 0.5) - fmax(low, y - 0.5)) / (high - low);
        o->n = k + 1;
        o->share[k] = 0;
        if (row < 0 || row >= s->rows || !(share > 0) || !is_of_slice(c, row)) {
            continue;
        }
        o->whole += share;
        if (trace_is_good(c->e, s, row, c->x)) {
            o->share[k] = share;
            o->good += share;
        }
    }
    for (int k = 0; k < o->n; k++) {
        o->share[k] = o->good > 0 ? o->share[k] / o->good : 0;
    }
}

/* Its pixels are in a sample of so many rows more. */
static void count_use(struct column *c, const struct stretch *o)
{
    for (int k = 0; k < o->n; k++) {
        if (o->share[k] > 0) {
            c->used[o->first + k] += o->share[k] * (o->high - o->low);
        }
    }
}

static void plan_cell(struct column *c, int cell)
{
    const struct sky_slice *t = c->t;
    struct stretch *o = &c->cells[cell];
    const double u = t->c.start + cell * t->c.pitch;
    *o = (struct stretch){.low = trace_row_of(&t->s, c->x, u),
                          .high = trace_row_of(&t->s, c->x, u + t->c.pitch)};
    if (isnan(o->low) || isnan(o->high)) {
        return;
    }
    find_overlap(c, o->low, o->high, o);
    if (o->whole < WHOLE) {
        return;
    }
    o->is_used = true;
    o->is_estimated = o->good < LEAST_SEEN && c->has_model;
    if (o->is_estimated) { /* the model, and what its neighbours leave */
        find_overlap(c, o->low - 1, o->high + 1, o);
    }
    if (o->good >= LEAST_SEEN) {
        count_use(c, o);
    }
}

/*
 * Samples that share a pixel are correlated, but cube_build takes them as independent. So
 * the variance of a sample of height h is sum(a b v) / h over its pixels, b being the
 * height of all samples that a pixel is in: then the variances of a sum over many samples,
 * weighted by their heights, add up to what its pixels' variances give, sum(b^2 v). Of one
 * sample alone, sum(a^2 v), that is too much.
 */
static double variance_of(const struct column *c, const struct stretch *o,
                          const float *plane, bool is_error)
{
    double sum = 0;
    for (int k = 0; k < o->n; k++) {
        if (o->share[k] > 0) {
            const double v = (double)plane[pixel_at(c, o->first + k)];
            sum += o->share[k] * c->used[o->first + k] * (is_error ? v * v : v);
        }
    }
    return sum / (o->high - o->low);
}

/* The variances of a sample; `more` is added to that of its error. */
static void put_errors(struct column *c, size_t at, const struct stretch *o,
                       double more)
{
    const struct exposure *e = c->e;
    const float *planes[] = {e->var_poisson, e->var_rnoise, e->var_flat,
                             e->var_background};
    float *mine[] = {c->out->var_poisson, c->out->var_rnoise, c->out->var_flat,
                     c->out->var_background};
    for (int k = 0; k < 4; k++) {
        if (planes[k]) {
            mine[k][at] = (float)variance_of(c, o, planes[k], false);
        }
    }
    c->out->err[at] = (float)sqrt(variance_of(c, o, e->err, true) + more);
}

/* What of a pixel no cell covers stays. */
static void keep_rest(struct column *c, int row)
{
    const struct exposure *e = c->e;
    struct exposure *out = c->out;
    const struct stretch *o = &c->rest[row];
    const size_t from = pixel_at(c, row), to = put(c, c->t->first_row + row, o);
    out->sci[to] = e->sci[from];
    out->dq[to] = e->dq[from];
    if (c->has_model) {
        out->trace_model[to] = (float)(c->model[row] + c->t->f.level[c->x]);
    }
    if (e->wavelength) {
        out->wavelength[to] = e->wavelength[from];
    }
    put_errors(c, to, o, 0);
}

static void make_cell(struct column *c, int cell)
{
    const struct sky_slice *t = c->t;
    const struct exposure *e = c->e;
    struct exposure *out = c->out;
    const struct stretch *o = &c->cells[cell];
    const size_t at = put(c, t->cell_row[cell], o);
    const double y = (o->low + o->high) / 2 - t->s.y0;
    const int near = (int)floor(y) < t->s.rows - 2 ? (int)floor(y) : t->s.rows - 2;
    if (e->wavelength && near >= 0) {
        const double a = e->wavelength[pixel_at(c, near)],
                     b = e->wavelength[pixel_at(c, near + 1)];
        out->wavelength[at] = isnan(a) ? b : isnan(b) ? a : a + (y - near) * (b - a);
    }
    double model = 0, residual = 0, moved, spline = 0;
    const double u = t->c.start + (cell + 0.5) * t->c.pitch;
    if (c->has_model) {
        spline = trace_fit_variance(&t->f, c->x, u);
        model = t->f.scale[c->x] * trace_fit_value(&t->f, c->coef, u);
        out->trace_model[at] = (float)(model + t->f.level[c->x]);
    }
    moved = model;
    for (int k = 0; k < o->n; k++) {
        if (o->share[k] > 0) {
            const double m = c->model[o->first + k];
            const size_t p = pixel_at(c, o->first + k);
            residual += o->share[k] * ((double)e->sci[p] - m);
            moved -= o->share[k] * m;
            out->dq[at] |= e->dq[p];
            if (c->has_model) {
                spline += o->share[k] * o->share[k] *
                          trace_fit_variance(&t->f, c->x, u_of(c, o->first + k));
            }
        }
    }
    if (o->good < LEAST_SEEN) {
        out->dq[at] = DQ_DO_NOT_USE;
        return;
    }
    out->sci[at] = (float)(model + residual);
    out->dq[at] |= o->is_estimated ? DQ_FLUX_ESTIMATED : 0;
    /* The model's share: what it moved, by the errors of the column's scale and of the
     * spline. */
    double more = 0;
    if (c->has_model) {
        const double scale = t->f.scale[c->x], share = moved / scale;
        const double misfit = o->is_estimated ? MISFIT * moved : 0;
        more = share * share * t->f.scale_variance[c->x] + scale * scale * spline +
               misfit * misfit;
    }
    put_errors(c, at, o, isfinite(more) ? more : 0);
}

/* What of a pixel lies outside the cells. A gap between cells is wider than a pixel, so
 * that at most one piece is left. */
static void plan_rest(struct column *c, const double *edges, int n_edges, int row)
{
    struct stretch *o = &c->rest[row];
    double low = c->t->s.y0 + row - 0.5, high = low + 1;
    *o = (struct stretch){.first = row, .n = 1, .share = {1}};
    for (int k = 0; k + 1 < n_edges; k += 2) {
        if (edges[k] <= low && edges[k + 1] >= high) {
            return;
        }
        if (edges[k] <= low && edges[k + 1] > low) {
            low = edges[k + 1];
        } else if (edges[k] < high && edges[k + 1] >= high) {
            high = edges[k];
        }
    }
    o->low = low;
    o->high = high;
    o->is_used = is_of_slice(c, row) && high - low > 1e-6;
    if (o->is_used) {
        count_use(c, o);
    }
}

/* Lower and upper ends of the stretches of used cells, in rows; 2 each. */
static int find_edges(const struct column *c, double *edges)
{
    const struct trace_cells *cells = &c->t->c;
    int n = 0;
    for (int k = 0; k < cells->n && cells->used; k++) {
        const bool before = k > 0 && cells->is_used[k - 1];
        const bool after = k + 1 < cells->n && cells->is_used[k + 1];
        if (cells->is_used[k] && !before) {
            edges[n++] = trace_row_of(&c->t->s, c->x, cells->start + k * cells->pitch);
        }
        if (cells->is_used[k] && !after) {
            edges[n++] =
                trace_row_of(&c->t->s, c->x, cells->start + (k + 1) * cells->pitch);
        }
    }
    return n;
}

static void fill_column(struct column *c, double *edges)
{
    const struct sky_slice *t = c->t;
    prepare_column(c);
    memset(c->used, 0, (size_t)t->s.rows * sizeof *c->used);
    const int n = find_edges(c, edges);
    for (int k = 0; k < t->c.n && t->c.used; k++) {
        if (t->c.is_used[k]) {
            plan_cell(c, k);
        }
    }
    for (int row = 0; row < t->s.rows; row++) {
        plan_rest(c, edges, n, row);
    }
    for (int k = 0; k < t->c.n && t->c.used; k++) {
        if (t->c.is_used[k] && c->cells[k].is_used) {
            make_cell(c, k);
        }
    }
    for (int row = 0; row < t->s.rows; row++) {
        if (c->rest[row].is_used) {
            keep_rest(c, row);
        }
    }
}

static int fill_slice(size_t i, int thread, void *arg, struct err *err)
{
    struct sky_job *job = arg;
    const struct sky_slice *t = &job->slices[i];
    struct column c = {.e = job->e, .t = t, .out = job->out};
    const size_t rows = (size_t)t->s.rows, cells = (size_t)t->c.n;
    (void)thread;
    if (!t->s.rows) {
        return 0;
    }
    c.coef = mem_calloc(t->f.n_coef, sizeof *c.coef, err);
    c.model = mem_calloc(rows, sizeof *c.model, err);
    c.used = mem_calloc(rows, sizeof *c.used, err);
    c.cells = mem_calloc(cells, sizeof *c.cells, err);
    c.rest = mem_calloc(rows, sizeof *c.rest, err);
    double *edges = mem_calloc(2 * cells + 2, sizeof *edges, err);
    const bool ok = c.coef && c.model && c.used && c.cells && c.rest && edges;
    for (c.x = 0; c.x < t->s.nx && ok; c.x++) {
        fill_column(&c, edges);
    }
    free(edges);
    free(c.rest);
    free(c.cells);
    free(c.used);
    free(c.model);
    free(c.coef);
    return ok ? 0 : ERR_NOMEM;
}

/* ---- all of it ---- */

/* How much the brightest cell swung, and swings. */
static int measure(const struct sky_job *job, struct trace_sky_result *ret,
                   struct err *err)
{
    const struct sky_slice *best = NULL;
    for (int i = 0; i < WCS_SLICES; i++) {
        const struct sky_slice *t = &job->slices[i];
        ret->slices += t->c.used > 0;
        ret->cells += t->c.used;
        if (t->c.used && (!best || t->c.peak > best->c.peak)) {
            best = t;
        }
    }
    ret->before = ret->after = NAN;
    if (!best || !(best->c.peak > 0)) {
        return 0;
    }
    const int k = best->c.peak_cell;
    const size_t at = (size_t)best->cell_row[k] * (size_t)job->out->nx;
    return trace_swing(job->e, &best->s, best->c.start + (k + 0.5) * best->c.pitch,
                       job->out->sci + at, &ret->before, &ret->after, err);
}

int trace_sky_apply(struct exposure *e, const struct trace_settings *settings,
                    struct par *par, const atomic_bool *cancel,
                    struct trace_sky_result *ret, struct err *err)
{
    *ret = (struct trace_sky_result){.before = NAN, .after = NAN};
    struct sky_job *job = mem_calloc(1, sizeof *job, err);
    if (!job) {
        return ERR_NOMEM;
    }
    job->e = e;
    job->settings = settings;
    int code = par_for(par, WCS_SLICES, plan_slice, job, cancel, err), cells = 0;
    for (int i = 0; i < WCS_SLICES; i++) {
        cells += job->slices[i].c.used;
    }
    if (!code && cells) {
        const int rows = number_rows(job);
        job->out = make_planes(e, rows, err);
        code = job->out ? par_for(par, WCS_SLICES, fill_slice, job, cancel, err)
                        : ERR_NOMEM;
        code = code ? code : measure(job, ret, err);
        if (!code) {
            exposure_take_samples(e, job->out);
            exposure_match_nans(e);
        }
    }
    for (int i = 0; i < WCS_SLICES; i++) {
        slice_done(&job->slices[i]);
    }
    exposure_free(job->out);
    free(job);
    return code;
}
