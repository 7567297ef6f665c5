#include "stages/trace_columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/math/banded.h"
#include "common/math/bspline.h"
#include "common/math/robust.h"

#define SPACE_RATIO 1.6f /* the tenth largest gap, in knot steps */
#define GAP_SIGMA 5      /* wider gaps are the end of what is fitted */
#define CLIP 2.5
#define ROUNDS 3
#define LEAST_KEPT 0.8
#define FEWER 3 /* knots, in a second trial of the first columns */
#define PEAKS 5 /* pixels that say which others are outliers of a scale */

enum { MOST_ROWS = 256 }; /* of a slice in one column: a slice is 30 rows high */

struct point {
    float alpha, value;
    int column;
};

struct work {
    const struct trace_profile *p;
    struct point *points, *merged; /* those of the window, by alpha */
    size_t n;
    float *x, *scratch;         /* gaps, and sorted copies */
    double *at, *value, *basis; /* what is fitted; basis 4 a point */
    size_t *first;
    size_t n_fit;
    struct banded normal;
    double *knots;
};

/* ---- the window ---- */

static bool is_point(const struct trace_profile *p, int row, int x)
{
    const size_t i = (size_t)row * (size_t)p->nx + (size_t)x;
    return isfinite(p->alpha[i]) && isfinite(p->flux[i] / p->light[x]);
}

/* Take column `gone` out of the sorted points and `come` in; -1: none. */
static void move_window(struct work *w, int gone, int come)
{
    const struct trace_profile *p = w->p;
    size_t n = 0, from = 0;
    for (int row = 0; row < p->rows && come >= 0; row++) {
        if (!is_point(p, row, come)) {
            continue;
        }
        const size_t i = (size_t)row * (size_t)p->nx + (size_t)come;
        for (; from < w->n && w->points[from].alpha <= p->alpha[i]; from++) {
            if (w->points[from].column != gone) {
                w->merged[n++] = w->points[from];
            }
        }
        w->merged[n++] = (struct point){p->alpha[i], p->flux[i] / p->light[come], come};
    }
    for (; from < w->n; from++) {
        if (w->points[from].column != gone) {
            w->merged[n++] = w->points[from];
        }
    }
    struct point *was = w->points;
    w->points = w->merged;
    w->merged = was;
    w->n = n;
}

/* ---- one spline ---- */

/* Points behind a wide gap are left out; false: the gaps are too wide for the knots. */
static bool choose_points(struct work *w, size_t knots)
{
    float before = 0;
    if (w->n < 10) {
        return false;
    }
    for (size_t i = 0; i < w->n; i++) {
        w->x[i] = fabsf(w->points[i].alpha - before);
        before = w->points[i].alpha;
    }
    memcpy(w->scratch, w->x, w->n * sizeof *w->x);
    const float tenth = robust_select(w->scratch, w->n, w->n - 10);
    memcpy(w->scratch, w->x, w->n * sizeof *w->x);
    const struct robust_stats s =
        robust_clip(w->scratch, w->scratch + w->n, w->n, 3, 5);
    w->n_fit = 0;
    for (size_t i = 0; i < w->n; i++) {
        if ((double)w->x[i] <= s.mean + GAP_SIGMA * s.std) {
            w->at[w->n_fit] = (double)w->points[i].alpha;
            w->value[w->n_fit++] = (double)w->points[i].value;
        }
    }
    if (w->n_fit < knots) {
        return false;
    }
    const float step = ((float)w->at[w->n_fit - 1] - (float)w->at[0]) / (float)knots;
    return !(tenth > SPACE_RATIO * step);
}

/* Knots over the points, in single precision. */
static void set_knots(const struct work *w, size_t knots, struct trace_spline *s)
{
    const float low = (float)w->at[0], high = (float)w->at[w->n_fit - 1];
    const float step = (high - low) / (float)knots;
    const float first = low + step / 2, last = high - step / 2;
    const float count = (last - first) / step;
    const size_t inner = count > 0 ? (size_t)ceilf(count) : 0;
    s->from = low;
    s->to = high;
    s->first_knot = first;
    s->knot_step = (first + step) - first;
    s->n = inner + 4;
}

static void knots_of(const struct trace_spline *s, double *t)
{
    for (size_t i = 0; i < 4; i++) {
        t[i] = (double)s->from;
        t[s->n + i] = (double)s->to;
    }
    for (size_t i = 4; i < s->n; i++) {
        t[i] = (double)(s->first_knot + (float)(i - 4) * s->knot_step);
    }
}

/* Least squares; the deviations go to `at + ...` of scratch. False: no unique solution. */
static bool solve(struct work *w, const struct trace_spline *s, bool is_new)
{
    w->normal.n = s->n;
    banded_clear(&w->normal);
    if (is_new) {
        knots_of(s, w->knots);
    }
    for (size_t i = 0; i < w->n_fit; i++) {
        if (is_new) {
            bspline_basis(w->knots, s->n, w->at[i], &w->first[i], w->basis + 4 * i);
        }
        banded_add(&w->normal, w->first[i], 4, w->basis + 4 * i, w->value[i], 1);
    }
    return !banded_solve(&w->normal);
}

static double off_of(const struct work *w, size_t i)
{
    const double *b = w->basis + 4 * i, *c = w->normal.b + w->first[i];
    return w->value[i] - (b[0] * c[0] + b[1] * c[1] + b[2] * c[2] + b[3] * c[3]);
}

/* Drop outliers. False: that was the last round. */
static bool clip(struct work *w, size_t all)
{
    double mean = 0, square = 0;
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < w->n_fit; i++) {
        mean += off_of(w, i) / (double)w->n_fit;
    }
    for (size_t i = 0; i < w->n_fit; i++) {
        const double d = off_of(w, i) - mean;
        square += d * d / (double)w->n_fit;
    }
    const double limit = CLIP * sqrt(square);
    for (size_t i = 0; i < w->n_fit; i++) {
        kept += !(fabs(off_of(w, i)) > limit);
    }
    if (kept == w->n_fit || (double)kept < LEAST_KEPT * (double)all) {
        return false;
    }
    for (size_t i = 0; i < w->n_fit; i++) {
        if (!(fabs(off_of(w, i)) > limit)) {
            w->at[n] = w->at[i];
            w->value[n] = w->value[i];
            w->first[n] = w->first[i];
            memmove(w->basis + 4 * n, w->basis + 4 * i, 4 * sizeof *w->basis);
            n++;
        }
    }
    w->n_fit = n;
    return true;
}

/* Fit a spline with so many intervals; s->n is 0 where there is none. */
static void fit(struct work *w, size_t knots, struct trace_spline *s, double *coef)
{
    struct trace_spline trial = {0};
    s->n = 0;
    if (!choose_points(w, knots)) {
        return;
    }
    const size_t all = w->n_fit;
    for (int round = 0; round < ROUNDS; round++) {
        const struct trace_spline was = trial;
        set_knots(w, knots, &trial);
        const bool is_new = round == 0 || was.from != trial.from || was.to != trial.to;
        if (!solve(w, &trial, is_new)) {
            return;
        }
        *s = trial;
        memcpy(coef, w->normal.b, trial.n * sizeof *coef);
        if (round + 1 == ROUNDS || !clip(w, all)) {
            return;
        }
    }
}

/* ---- all columns ---- */

/* How much light a column holds, in units of its spline: the mean ratio, weighted by the
 * spline, without outliers of the brightest pixels' ratio. */
static double scale_of(const double *flux, const double *fit_at, size_t n)
{
    double ratio[MOST_ROWS], weight[MOST_ROWS], total = 0, sum = 0;
    float order[MOST_ROWS], close[2 * MOST_ROWS];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        ratio[i] = flux[i] / fit_at[i];
        weight[i] =
            !isfinite(ratio[i]) || ratio[i] < 0 || fit_at[i] < 0 ? 0 : fit_at[i];
        order[i] = (float)weight[i];
    }
    if (n < PEAKS) {
        return NAN;
    }
    const float fifth = robust_select(order, n, n - PEAKS);
    for (size_t i = 0; i < n; i++) {
        if ((float)weight[i] >= fifth && isfinite(ratio[i])) {
            close[count++] = (float)ratio[i];
        }
    }
    if (!count) {
        return NAN;
    }
    const struct robust_stats r = robust_clip(close, close + MOST_ROWS, count, 3, 5);
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(r.mean - ratio[i]) > 2 * r.std) && weight[i] > 0) {
            total += weight[i];
            sum += weight[i] * ratio[i];
        }
    }
    return total > 0 ? sum / total : (double)NAN;
}

static int set_scale(const struct trace_profile *p, struct trace_columns *c, int x,
                     struct err *err)
{
    struct trace_spline *s = &c->splines[x];
    double alpha[MOST_ROWS] = {0}, flux[MOST_ROWS], value[MOST_ROWS];
    size_t n = 0;
    for (int row = 0; row < p->rows && n < MOST_ROWS; row++) {
        const size_t i = (size_t)row * (size_t)p->nx + (size_t)x;
        const double at = (double)p->alpha[i];
        if (at >= s->low && at <= s->high) {
            flux[n] = (double)p->flux[i];
            alpha[n++] = at;
        }
    }
    int code = trace_columns_values(c, x, n, alpha, value, err);
    if (!code) {
        s->scale = scale_of(flux, value, n);
    }
    return code;
}

static size_t good_pixels(const struct trace_profile *p, int x)
{
    size_t n = 0;
    for (int row = 0; row < p->rows; row++) {
        const size_t i = (size_t)row * (size_t)p->nx + (size_t)x;
        n += isfinite(p->flux[i]) && isfinite(p->alpha[i]);
    }
    return n;
}

static int work_init(struct work *w, const struct trace_profile *p, int reach,
                     size_t most, struct err *err)
{
    const size_t room = (size_t)p->rows * (2 * (size_t)reach + 1) + 1;
    w->p = p;
    w->points = mem_alloc(room, sizeof *w->points, err);
    w->merged = mem_alloc(room, sizeof *w->merged, err);
    w->x = mem_alloc(room, sizeof *w->x, err);
    w->scratch = mem_alloc(2 * room, sizeof *w->scratch, err);
    w->at = mem_alloc(room, sizeof *w->at, err);
    w->value = mem_alloc(room, sizeof *w->value, err);
    w->basis = mem_alloc(4 * room, sizeof *w->basis, err);
    w->first = mem_alloc(room, sizeof *w->first, err);
    w->knots = mem_alloc(most + 4, sizeof *w->knots, err);
    if (!w->points || !w->merged || !w->x || !w->scratch || !w->at || !w->value ||
        !w->basis || !w->first || !w->knots) {
        return ERR_NOMEM;
    }
    return banded_init(&w->normal, most, 4, err);
}

static void work_done(struct work *w)
{
    free(w->points);
    free(w->merged);
    free(w->x);
    free(w->scratch);
    free(w->at);
    free(w->value);
    free(w->basis);
    free(w->first);
    free(w->knots);
    banded_done(&w->normal);
}

/* The spline of one column, or that of the one before. */
static int do_column(struct work *w, struct trace_columns *c, int x, size_t knots,
                     int *last, struct err *err)
{
    struct trace_spline *s = &c->splines[x];
    double *coef = c->coef + (size_t)x * c->most;
    fit(w, knots, s, coef);
    if (!s->n && *last < 0 && knots > FEWER) {
        fit(w, knots - FEWER, s, coef);
    }
    if (s->n) {
        s->low = (double)w->points[0].alpha;
        s->high = (double)w->points[w->n - 1].alpha;
    } else if (*last >= 0) {
        *s = c->splines[*last];
        memcpy(coef, c->coef + (size_t)*last * c->most, s->n * sizeof *coef);
    } else {
        return 0;
    }
    *last = x;
    return set_scale(w->p, c, x, err);
}

int trace_columns_make(const struct trace_profile *p, int reach, double knots_a_pixel,
                       double least_share, bool backwards, struct trace_columns *ret,
                       struct err *err)
{
    const size_t all = (size_t)p->rows * (size_t)p->nx;
    struct work w = {0};
    float low = INFINITY, high = -INFINITY;
    int last = -1;
    *ret = (struct trace_columns){0};
    for (size_t i = 0; i < all; i++) {
        low = p->alpha[i] < low ? p->alpha[i] : low;
        high = p->alpha[i] > high ? p->alpha[i] : high;
    }
    if (!(high > low) || !(p->step > 0)) {
        return 0;
    }
    const double pixels = ((double)high - (double)low) / p->step;
    const size_t knots = (size_t)(knots_a_pixel * pixels);
    const size_t least = (size_t)(least_share * pixels);
    ret->most = knots + 5;
    ret->splines = mem_calloc((size_t)p->nx, sizeof *ret->splines, err);
    ret->coef = mem_calloc((size_t)p->nx * ret->most, sizeof *ret->coef, err);
    int code =
        ret->splines && ret->coef ? work_init(&w, p, reach, ret->most, err) : ERR_NOMEM;
    int from = 0, to = 0; /* the window holds columns from .. to - 1 */
    if (backwards) {
        from = to = p->nx;
    }
    for (int k = 0; k < p->nx && !code && knots > 0; k++) {
        const int x = backwards ? p->nx - 1 - k : k;
        const int start = x - reach > 0 ? x - reach : 0;
        const int stop = x + reach < p->nx ? x + reach : p->nx;
        while (to < stop) {
            move_window(&w, -1, to++);
        }
        while (from > start) {
            move_window(&w, -1, --from);
        }
        while (from < start) {
            move_window(&w, from++, -1);
        }
        while (to > stop) {
            move_window(&w, --to, -1);
        }
        if (good_pixels(p, x) > least && w.n) {
            code = do_column(&w, ret, x, knots, &last, err);
        }
    }
    work_done(&w);
    if (code) {
        trace_columns_done(ret);
    }
    return code;
}

void trace_columns_done(struct trace_columns *c)
{
    free(c->splines);
    free(c->coef);
    *c = (struct trace_columns){0};
}

int trace_columns_values(const struct trace_columns *c, int x, size_t n,
                         const double *alpha, double *ret, struct err *err)
{
    const struct trace_spline *s = &c->splines[x];
    double *t = mem_alloc(s->n + 4, sizeof *t, err);
    if (!t) {
        return ERR_NOMEM;
    }
    knots_of(s, t);
    for (size_t i = 0; i < n; i++) {
        double b[4];
        size_t first;
        bspline_basis(t, s->n, alpha[i], &first, b);
        const double *coef = c->coef + (size_t)x * c->most + first;
        ret[i] = b[0] * coef[0] + b[1] * coef[1] + b[2] * coef[2] + b[3] * coef[3];
    }
    free(t);
    return 0;
}
