#include "stages/trace_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/math/banded.h"
#include "common/math/bspline.h"
#include "common/math/robust.h"

#define SPACING 48  /* columns between nodes */
#define ROUNDS 4    /* of fitting the splines, then the columns */
#define CLIP 4.0    /* standard deviations */
#define HUBER 4     /* fits of a column: one by the pixels in use, then by weights */
#define MISFIT 0.02 /* of the model: it is not trusted beyond that */
#define LEAST_SIGNAL 5.0 /* scale of a column over its error, the median */
#define LINE 0.05        /* of the light: columns that differ so much hold lines */
#define ODD 3.0          /* times the usual misfit */
#define OFTEN 16         /* columns that share a median of those round them */
#define SMOOTH 1e-4 /* weight of second differences beside the mean of the data's */

/* Pixels of a slice in a row, ready to be fitted. Index row * nx + x. */
struct work {
    const struct exposure *e;
    const struct trace_slice *s;
    struct trace_fit *f;
    int window;
    bool *use;      /* good, and not clipped */
    bool *odd;      /* nx: the column's shape is another */
    double *misfit; /* nx: mean square deviation over the variance; NaN: unknown */
    float *scratch; /* nx */
    bool *good;
    struct banded normal;
    double *weight, *noise; /* n_coef: of its constant part, sums over pixels */
    double *profile;        /* n_coef */
};

static size_t pixel_of(const struct work *w, int row, int x)
{
    return (size_t)(w->s->y0 + row) * (size_t)w->e->nx + (size_t)x;
}

static size_t index_of(const struct work *w, int row, int x)
{
    return (size_t)row * (size_t)w->s->nx + (size_t)x;
}

static double variance_of(const struct work *w, size_t p)
{
    const double error = (double)w->e->err[p];
    return error * error;
}

/* ---- columns ---- */

/* First idea of a column's light: the sum of its pixels, bad ones from their neighbours. */
static void sum_column(struct work *w, int x)
{
    double sum = 0, variance = 0, before = 0;
    int n = 0, gap = 0, missing = 0;
    for (int row = 0; row < w->s->rows; row++) {
        if (isnan(w->s->u[index_of(w, row, x)])) {
            continue;
        }
        if (!w->good[index_of(w, row, x)]) {
            gap++;
            missing++;
            continue;
        }
        const size_t p = pixel_of(w, row, x);
        const double f =
            (double)w->e->sci[p] * trace_within(w->s, w->s->u[index_of(w, row, x)]);
        sum += f + gap * (n ? (before + f) / 2 : f);
        variance += variance_of(w, p);
        before = f;
        gap = 0;
        n++;
    }
    sum += gap * before;
    const bool known = n > 4 && missing <= n && variance > 0;
    w->f->scale[x] = known ? sum : (double)NAN;
    w->f->level[x] = known ? 0 : (double)NAN;
    w->f->scale_variance[x] = known ? variance : (double)NAN;
}

/* Deviation of a pixel from the model, in standard deviations, squared. */
static double off_of(const struct work *w, int row, int x, double *ret_spread)
{
    const struct trace_fit *f = w->f;
    const double g = trace_fit_value(f, w->profile, w->s->u[index_of(w, row, x)]);
    const double model = f->scale[x] * g + f->level[x], wide = MISFIT * model;
    const double off = (double)w->e->sci[pixel_of(w, row, x)] - model;
    *ret_spread = variance_of(w, pixel_of(w, row, x)) + wide * wide;
    return off * off / *ret_spread;
}

/*
 * One fit of scale and level by weighted least squares: by the spread alone for the pixels
 * in use, then by Huber's weights, so that a cosmic ray pulls no more than CLIP deviations,
 * and where all light is of another shape (a line) all of it still counts.
 */
static bool fit_scale(struct work *w, int x, bool is_first)
{
    struct trace_fit *f = w->f;
    double m[3] = {0, 0, 0}, b[2] = {0, 0}, n[3] = {0, 0, 0}, spread;
    for (int row = 0; row < w->s->rows; row++) {
        const size_t i = index_of(w, row, x), p = pixel_of(w, row, x);
        if (!w->good[i] || (is_first && !w->use[i])) {
            continue;
        }
        const double off = off_of(w, row, x, &spread);
        const double huber = is_first || off < CLIP * CLIP ? 1 : CLIP / sqrt(off);
        const double weight = huber / spread;
        const double noise = weight * weight * variance_of(w, p);
        const double g = trace_fit_value(f, w->profile, w->s->u[i]);
        const double value = (double)w->e->sci[p];
        m[0] += g * g * weight;
        m[1] += g * weight;
        m[2] += weight;
        b[0] += g * value * weight;
        b[1] += value * weight;
        n[0] += g * g * noise;
        n[1] += g * noise;
        n[2] += noise;
    }
    const double det = m[0] * m[2] - m[1] * m[1];
    if (!(det > 1e-9 * m[0] * m[2])) {
        return false;
    }
    f->scale[x] = (b[0] * m[2] - b[1] * m[1]) / det;
    f->level[x] = (b[1] * m[0] - b[0] * m[1]) / det;
    f->scale_variance[x] =
        (m[2] * m[2] * n[0] - 2 * m[1] * m[2] * n[1] + m[1] * m[1] * n[2]) /
        (det * det);
    return true;
}

/* Scale and level of a column, given the spline; then what is clipped. `renew`: the scale
 * becomes the sum of the model over the slice's common stretch, for the next spline. */
static void fit_column(struct work *w, int x, bool renew)
{
    struct trace_fit *f = w->f;
    double sum = 0, misfit = 0, spread;
    int n = 0;
    w->misfit[x] = NAN;
    if (isnan(f->scale[x]) || !trace_fit_profile(f, x, w->profile)) {
        return;
    }
    for (int round = 0; round < HUBER; round++) {
        if (!fit_scale(w, x, round == 0)) {
            return;
        }
    }
    for (int row = 0; row < w->s->rows; row++) {
        const size_t i = index_of(w, row, x);
        if (isnan(w->s->u[i])) {
            continue;
        }
        sum +=
            trace_within(w->s, w->s->u[i]) * trace_fit_value(f, w->profile, w->s->u[i]);
        if (w->good[i]) {
            const double off = off_of(w, row, x, &spread);
            w->use[i] = off <= CLIP * CLIP;
            misfit += off < 4 * CLIP * CLIP ? off : 4 * CLIP * CLIP;
            n++;
        }
    }
    w->misfit[x] = misfit / n;
    if (renew && sum > 0) {
        f->scale[x] *= sum;
        f->scale_variance[x] *= sum * sum;
    }
}

/* The median of `values` round a column, of those that are numbers. */
static double median_round(struct work *w, const double *values, int x)
{
    size_t n = 0;
    for (int k = x - w->window; k <= x + w->window; k++) {
        if (k >= 0 && k < w->s->nx && !isnan(values[k])) {
            w->scratch[n++] = (float)values[k];
        }
    }
    return n ? (double)robust_median(w->scratch, n) : (double)NAN;
}

/* Columns whose sum stands out of those round them: lines, before there is a model. */
static void find_lines(struct work *w)
{
    double usual = NAN;
    for (int x = 0; x < w->s->nx; x++) {
        usual = x % OFTEN ? usual : median_round(w, w->f->scale, x + OFTEN / 2);
        const double off = w->f->scale[x] - usual, wide = LINE * usual;
        w->odd[x] = off * off > wide * wide + 9 * w->f->scale_variance[x];
    }
}

/* Columns that do not follow the model as those round them do. */
static void find_odd(struct work *w)
{
    double usual = NAN;
    for (int x = 0; x < w->s->nx; x++) {
        usual = x % OFTEN ? usual : median_round(w, w->misfit, x + OFTEN / 2);
        w->odd[x] = !(w->misfit[x] < ODD * (usual > 0.3 ? usual : 0.3));
    }
}

/* ---- splines ---- */

/* Second differences, of the constant and of the changing part, are held down a little, so
 * that knots without pixels do no harm. */
static void smooth(struct work *w)
{
    const size_t n = w->f->n_coef;
    double mean = 0;
    for (size_t i = 0; i < 2 * n; i++) {
        mean += w->normal.a[i * w->normal.width] / (double)(2 * n);
    }
    for (size_t k = 0; k + 2 < n; k++) {
        const double constant[5] = {1, 0, -2, 0, 1};
        banded_add(&w->normal, 2 * k, 5, constant, 0, SMOOTH * mean);
        banded_add(&w->normal, 2 * k + 1, 5, constant, 0, SMOOTH * mean);
    }
}

static void add_column(struct work *w, int x, double t)
{
    const struct trace_fit *f = w->f;
    const double kernel = 1 - fabs(t * t * t), scale = f->scale[x];
    for (int row = 0; row < w->s->rows; row++) {
        const size_t i = index_of(w, row, x);
        if (!w->use[i]) {
            continue;
        }
        const size_t p = pixel_of(w, row, x);
        const double value = (double)w->e->sci[p];
        const double wide = MISFIT * value;
        const double weight = kernel * kernel * kernel * scale * scale /
                              (variance_of(w, p) + wide * wide);
        double basis[4], both[8];
        size_t first;
        bspline_uniform(f->start, f->step, f->n_coef, w->s->u[i], &first, basis);
        for (size_t k = 0; k < 4; k++) {
            const double square = basis[k] * basis[k];
            both[2 * k] = basis[k];
            both[2 * k + 1] = t * basis[k];
            w->weight[first + k] += weight * square;
            w->noise[first + k] +=
                weight * weight * square * variance_of(w, p) / (scale * scale);
        }
        banded_add(&w->normal, 2 * first, 8, both, (value - f->level[x]) / scale,
                   weight);
    }
}

static void fit_node(struct work *w, size_t k)
{
    struct trace_fit *f = w->f;
    const int middle = f->x0 + (int)k * f->spacing;
    int columns = 0;
    banded_clear(&w->normal);
    memset(w->weight, 0, f->n_coef * sizeof *w->weight);
    memset(w->noise, 0, f->n_coef * sizeof *w->noise);
    for (int x = middle - w->window; x <= middle + w->window; x++) {
        if (x >= 0 && x < w->s->nx && !w->odd[x] && f->scale[x] > 0 &&
            f->scale[x] * f->scale[x] > 4 * f->scale_variance[x]) {
            add_column(w, x, (double)(x - middle) / (w->window + 1));
            columns++;
        }
    }
    f->is_known[k] = false;
    if (2 * columns < w->window) {
        return;
    }
    smooth(w);
    if (banded_solve(&w->normal)) {
        return;
    }
    for (size_t i = 0; i < f->n_coef; i++) {
        f->coef[k * f->n_coef + i] = w->normal.b[2 * i];
        f->coef_variance[k * f->n_coef + i] =
            w->noise[i] / (w->weight[i] * w->weight[i]);
    }
    f->is_known[k] = true;
}

/* ---- all of it ---- */

static int prepare(struct work *w, const struct trace_settings *settings,
                   struct err *err)
{
    struct trace_fit *f = w->f;
    const struct trace_slice *s = w->s;
    const size_t n = (size_t)s->rows * (size_t)s->nx;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        low = s->u[i] < low ? s->u[i] : low;
        high = s->u[i] > high ? s->u[i] : high;
    }
    f->step = settings->step;
    f->start = low;
    f->n_coef = (size_t)ceil((high - low) / f->step) + 3;
    f->spacing = SPACING < settings->window ? SPACING : settings->window;
    f->x0 = f->spacing / 2;
    f->n_nodes = (size_t)((s->nx - 1 - f->x0) / f->spacing + 1);
    w->window = settings->window;
    f->coef = mem_calloc(f->n_nodes * f->n_coef, sizeof *f->coef, err);
    f->coef_variance =
        mem_calloc(f->n_nodes * f->n_coef, sizeof *f->coef_variance, err);
    f->is_known = mem_calloc(f->n_nodes, sizeof *f->is_known, err);
    f->scale = mem_calloc((size_t)s->nx, sizeof *f->scale, err);
    f->level = mem_calloc((size_t)s->nx, sizeof *f->level, err);
    f->scale_variance = mem_calloc((size_t)s->nx, sizeof *f->scale_variance, err);
    w->use = mem_calloc(n, sizeof *w->use, err);
    w->good = mem_calloc(n, sizeof *w->good, err);
    w->odd = mem_calloc((size_t)s->nx, sizeof *w->odd, err);
    w->misfit = mem_calloc((size_t)s->nx, sizeof *w->misfit, err);
    w->scratch = mem_calloc((size_t)s->nx, sizeof *w->scratch, err);
    w->profile = mem_calloc(f->n_coef, sizeof *w->profile, err);
    w->weight = mem_calloc(f->n_coef, sizeof *w->weight, err);
    w->noise = mem_calloc(f->n_coef, sizeof *w->noise, err);
    if (!f->coef || !f->coef_variance || !w->weight || !w->noise || !f->is_known ||
        !f->scale || !f->level || !f->scale_variance || !w->use || !w->good ||
        !w->odd || !w->misfit || !w->scratch || !w->profile) {
        return ERR_NOMEM;
    }
    for (int row = 0; row < s->rows; row++) {
        for (int x = 0; x < s->nx; x++) {
            const size_t i = index_of(w, row, x);
            w->good[i] = w->use[i] = trace_is_good(w->e, s, row, x);
        }
    }
    return banded_init(&w->normal, 2 * f->n_coef, 8, err);
}

/* Is there light enough in most columns? */
static int is_bright(const struct work *w, bool *ret, struct err *err)
{
    float *ratio = mem_alloc((size_t)w->s->nx, sizeof *ratio, err);
    size_t n = 0;
    if (!ratio) {
        return ERR_NOMEM;
    }
    for (int x = 0; x < w->s->nx; x++) {
        if (!isnan(w->f->scale[x])) {
            ratio[n++] = (float)(w->f->scale[x] / sqrt(w->f->scale_variance[x]));
        }
    }
    *ret = n > 0 && (double)robust_median(ratio, n) > LEAST_SIGNAL;
    free(ratio);
    return 0;
}

int trace_fit_make(const struct exposure *e, const struct trace_slice *s,
                   const struct trace_settings *settings, struct trace_fit *ret,
                   bool *ret_found, struct err *err)
{
    struct work w = {.e = e, .s = s, .f = ret};
    *ret = (struct trace_fit){0};
    *ret_found = false;
    if (!s->rows) {
        return 0;
    }
    int code = prepare(&w, settings, err);
    for (int x = 0; x < s->nx && !code; x++) {
        sum_column(&w, x);
    }
    code = code ? code : is_bright(&w, ret_found, err);
    if (!code && *ret_found) {
        find_lines(&w);
    }
    for (int round = 0; round < ROUNDS && !code && *ret_found; round++) {
        for (size_t k = 0; k < ret->n_nodes; k++) {
            fit_node(&w, k);
        }
        for (int x = 0; x < s->nx; x++) {
            fit_column(&w, x, round + 1 < ROUNDS);
        }
        find_odd(&w);
    }
    banded_done(&w.normal);
    free(w.use);
    free(w.odd);
    free(w.misfit);
    free(w.scratch);
    free(w.good);
    free(w.profile);
    free(w.weight);
    free(w.noise);
    if (code || !*ret_found) {
        trace_fit_done(ret);
    }
    return code;
}

void trace_fit_done(struct trace_fit *f)
{
    free(f->coef);
    free(f->coef_variance);
    free(f->is_known);
    free(f->scale);
    free(f->level);
    free(f->scale_variance);
    *f = (struct trace_fit){0};
}

bool trace_fit_profile(const struct trace_fit *f, int x, double *ret_coef)
{
    double at = (double)(x - f->x0) / f->spacing;
    at = at < 0 ? 0 : at > (double)(f->n_nodes - 1) ? (double)(f->n_nodes - 1) : at;
    const size_t k = (size_t)at, next = k + 1 < f->n_nodes ? k + 1 : k;
    double t = at - (double)k;
    if (!f->is_known[k] && !f->is_known[next]) {
        return false;
    }
    t = !f->is_known[k] ? 1 : !f->is_known[next] ? 0 : t;
    const double *a = f->coef + k * f->n_coef, *b = f->coef + next * f->n_coef;
    for (size_t i = 0; i < f->n_coef; i++) {
        ret_coef[i] = a[i] + t * (b[i] - a[i]);
    }
    return true;
}

double trace_fit_value(const struct trace_fit *f, const double *coef, double u)
{
    double basis[4];
    size_t first;
    bspline_uniform(f->start, f->step, f->n_coef, u, &first, basis);
    return basis[0] * coef[first] + basis[1] * coef[first + 1] +
           basis[2] * coef[first + 2] + basis[3] * coef[first + 3];
}

double trace_fit_variance(const struct trace_fit *f, int x, double u)
{
    const double at = round((double)(x - f->x0) / f->spacing);
    const double last = (double)(f->n_nodes - 1);
    const size_t k = (size_t)(at < 0 ? 0 : at > last ? last : at);
    double basis[4], sum = 0;
    size_t first;
    bspline_uniform(f->start, f->step, f->n_coef, u, &first, basis);
    for (int i = 0; i < 4; i++) {
        sum +=
            basis[i] * basis[i] * f->coef_variance[k * f->n_coef + first + (size_t)i];
    }
    return sum;
}
