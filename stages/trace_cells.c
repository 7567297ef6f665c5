#include "stages/trace_cells.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"

#define SWING_OVERALL 0.25   /* of a pixel's error, the mean over all wavelengths */
#define SWING_SOMEWHERE 0.75 /* the same over some nodes of the fit */
#define GROUP 10             /* so many */
#define MOST 0.6             /* of the nodes have to agree */
#define LEAST_SHARE 0.003    /* of the light there */
#define BESIDE 2             /* cells added on both sides */
#define GAP 4                /* fewer unused cells between used ones are used, too */

/* Mean variance of the good pixels round a node, and the mean scale of its columns. */
static bool noise_of(const struct exposure *e, const struct trace_slice *s,
                     const struct trace_fit *f, int middle, double *variance,
                     double *scale)
{
    double sum = 0, scales = 0;
    size_t n = 0, columns = 0;
    for (int x = middle - f->spacing / 2; x < middle + f->spacing / 2; x += 3) {
        if (x < 0 || x >= s->nx || !(f->scale[x] > 0)) {
            continue;
        }
        scales += f->scale[x];
        columns++;
        for (int row = 0; row < s->rows; row++) {
            if (trace_is_good(e, s, row, x)) {
                const double error =
                    (double)e->err[(size_t)(s->y0 + row) * (size_t)e->nx + (size_t)x];
                sum += error * error;
                n++;
            }
        }
    }
    *variance = sum / (double)n;
    *scale = scales / (double)columns;
    return n > 0 && columns > 0;
}

/* Swing of a cell by the spline of one node: how much the model in the middle differs from
 * what is interpolated between pixels half a cell off, the worst phase. */
static double swing_of(const struct trace_fit *f, const double *coef, double u,
                       double pitch)
{
    const double beside = trace_fit_value(f, coef, u - pitch / 2) +
                          trace_fit_value(f, coef, u + pitch / 2);
    return trace_fit_value(f, coef, u) - beside / 2;
}

/* Sums over nodes, of one cell. */
struct sums {
    double swing, light, variance;
    int nodes,
        same; /* same: nodes that swing one way, less those that swing the other */
};

static void add(struct sums *to, double swing, double light, double variance,
                double errors)
{
    const bool counts = swing * swing > errors * errors * variance;
    to->swing += swing;
    to->light += light;
    to->variance += variance;
    to->same += !counts ? 0 : swing > 0 ? 1 : -1;
    to->nodes++;
}

/* Does it swing by so many times a pixel's error, by a share of the light, and the same way
 * at most nodes? One cosmic ray bends the splines of a few. */
static bool is_visible(const struct sums *s, double errors)
{
    return s->nodes && s->swing * s->swing > errors * errors * s->variance * s->nodes &&
           fabs(s->swing) > LEAST_SHARE * fabs(s->light) &&
           abs(s->same) > MOST * s->nodes;
}

/* Which cells swing visibly: over all wavelengths, or somewhere. */
static void find_swinging(const struct exposure *e, const struct trace_slice *s,
                          const struct trace_fit *f, struct trace_cells *c,
                          struct sums *all, struct sums *group, bool *swings)
{
    for (size_t k = 0; k < f->n_nodes; k++) {
        const double *coef = f->coef + k * f->n_coef;
        const int middle = f->x0 + (int)k * f->spacing;
        double variance, scale;
        if (k % GROUP == 0) {
            memset(group, 0, (size_t)c->n * sizeof *group);
        }
        if (!f->is_known[k] || !noise_of(e, s, f, middle, &variance, &scale)) {
            continue;
        }
        for (int i = 0; i < c->n; i++) {
            const double u = c->start + (i + 0.5) * c->pitch;
            const double swing = scale * swing_of(f, coef, u, c->pitch);
            const double light = scale * trace_fit_value(f, coef, u) + f->level[middle];
            add(&all[i], swing, light, variance, SWING_OVERALL);
            add(&group[i], swing, light, variance, SWING_SOMEWHERE);
            if (group[i].nodes == GROUP && is_visible(&group[i], SWING_SOMEWHERE)) {
                swings[i] = true;
            }
        }
    }
    for (int i = 0; i < c->n; i++) {
        const double swing = all[i].nodes ? fabs(all[i].swing / all[i].nodes) : 0;
        swings[i] = swings[i] || is_visible(&all[i], SWING_OVERALL);
        if (swing > c->peak) {
            c->peak = swing;
            c->peak_cell = i;
        }
    }
}

/* Swinging cells, those beside, and gaps between. */
static void choose(struct trace_cells *c, const bool *swings)
{
    int last = -1;
    for (int i = 0; i < c->n; i++) {
        if (!swings[i]) {
            continue;
        }
        const int from = last >= 0 && i - BESIDE - last <= GAP ? last + 1 : i - BESIDE;
        last = i + BESIDE < c->n - 1 ? i + BESIDE : c->n - 1;
        for (int k = from > 0 ? from : 0; k <= last; k++) {
            c->is_used[k] = true;
        }
    }
    for (int i = 0; i < c->n; i++) {
        c->used += c->is_used[i];
    }
    if (!c->is_used[c->peak_cell]) {
        c->peak = 0;
    }
}

int trace_cells_make(const struct exposure *e, const struct trace_slice *s,
                     const struct trace_fit *f, struct trace_cells *ret,
                     struct err *err)
{
    *ret = (struct trace_cells){.start = s->low, .pitch = s->pitch};
    if (!(s->pitch > 0) || !(s->high - s->low >= s->pitch)) {
        return 0;
    }
    ret->n = (int)floor((s->high - s->low) / s->pitch);
    ret->is_used = mem_calloc((size_t)ret->n, sizeof *ret->is_used, err);
    struct sums *sums = mem_calloc(2 * (size_t)ret->n, sizeof *sums, err);
    bool *swings = mem_calloc((size_t)ret->n, sizeof *swings, err);
    int code = ret->is_used && sums && swings ? 0 : ERR_NOMEM;
    if (!code) {
        find_swinging(e, s, f, ret, sums, sums + ret->n, swings);
        choose(ret, swings);
    } else {
        trace_cells_done(ret);
    }
    free(sums);
    free(swings);
    return code;
}

void trace_cells_done(struct trace_cells *c)
{
    free(c->is_used);
    *c = (struct trace_cells){0};
}
