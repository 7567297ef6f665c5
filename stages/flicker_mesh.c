#include "stages/flicker_mesh.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/math/robust.h"

#define SIGMA 3.0
#define FULL_ENOUGH 0.9

enum { ROUNDS = 5, NEIGHBOURS = 10, FILTER_REACH = 2, ROWS = 32, LARGEST_BOX = 32 };

struct grid {
    const struct flicker_mesh *m;
    size_t nx, ny;   /* boxes */
    float *value;    /* of each box; NaN: too few pixels */
    float *spare;    /* as many */
    double *spline;  /* coefficients */
    float *scratch;  /* two boxes for each thread */
    double *row;     /* nx for each thread */
    float low, high; /* range of the boxes */
    float *ret;
};

/* ---- the boxes ---- */

static float box_value(const struct grid *g, size_t bx, size_t by, float *scratch)
{
    const struct flicker_mesh *m = g->m;
    const size_t room = (size_t)m->box_x * (size_t)m->box_y;
    const size_t x0 = bx * (size_t)m->box_x, y0 = by * (size_t)m->box_y;
    size_t n = 0;
    for (size_t y = y0; y < y0 + (size_t)m->box_y && y < (size_t)m->ny; y++) {
        for (size_t x = x0; x < x0 + (size_t)m->box_x && x < (size_t)m->nx; x++) {
            const size_t i = y * (size_t)m->nx + x;
            if (m->mask[i]) {
                scratch[n++] = m->image[i];
            }
        }
    }
    if ((double)n <= FULL_ENOUGH * (double)room) {
        return NAN;
    }
    const struct robust_stats r =
        robust_clip(scratch, scratch + room, n, SIGMA, ROUNDS);
    return (double)r.n <= FULL_ENOUGH * (double)room ? NAN : (float)r.median;
}

static int boxes_of_row(size_t by, int thread, void *arg, struct err *err)
{
    const struct grid *g = arg;
    const size_t room = 2 * (size_t)g->m->box_x * (size_t)g->m->box_y;
    (void)err;
    for (size_t bx = 0; bx < g->nx; bx++) {
        g->value[by * g->nx + bx] =
            box_value(g, bx, by, g->scratch + (size_t)thread * room);
    }
    return 0;
}

/* ---- those too empty ---- */

struct near {
    long square; /* of the distance */
    float value;
};

static int nearer(const void *a, const void *b)
{
    const struct near *p = a, *q = b;
    return (p->square > q->square) - (p->square < q->square);
}

/* Boxes at most `reach` away in x and y, nearest first. */
static size_t neighbours(const struct grid *g, long bx, long by, long reach,
                         struct near *ret)
{
    size_t n = 0;
    for (long y = by - reach; y <= by + reach; y++) {
        for (long x = bx - reach; x <= bx + reach; x++) {
            if (x < 0 || y < 0 || x >= (long)g->nx || y >= (long)g->ny) {
                continue;
            }
            const float v = g->value[y * (long)g->nx + x];
            if (!isnan(v)) {
                ret[n++] = (struct near){(x - bx) * (x - bx) + (y - by) * (y - by), v};
            }
        }
    }
    qsort(ret, n, sizeof *ret, nearer);
    return n;
}

static double weighted(const struct near *near, size_t n)
{
    double sum = 0, weights = 0, used = 0;
    for (size_t i = 0, end; i < n && used < NEIGHBOURS; i = end) {
        double ring = 0;
        for (end = i; end < n && near[end].square == near[i].square; end++) {
            ring += (double)near[end].value;
        }
        const double count = fmin((double)(end - i), NEIGHBOURS - used);
        const double w = count / sqrt((double)near[i].square);
        sum += w * ring / (double)(end - i);
        weights += w;
        used += count;
    }
    return sum / weights;
}

static float fill_value(const struct grid *g, long bx, long by, struct near *room)
{
    const long most = (long)(g->nx > g->ny ? g->nx : g->ny);
    for (long reach = 2;; reach *= 2) {
        size_t n = neighbours(g, bx, by, reach, room), near = 0;
        while (near < n && room[near].square <= reach * reach) {
            near++; /* farther ones may not be all */
        }
        if (near >= NEIGHBOURS || reach >= most) {
            return (float)weighted(room, reach >= most ? n : near);
        }
    }
}

/* False if all are empty. */
static int fill_empty(struct grid *g, bool *ret_found, struct err *err)
{
    const size_t n = g->nx * g->ny;
    size_t empty = 0;
    for (size_t i = 0; i < n; i++) {
        empty += isnan(g->value[i]) != 0;
    }
    *ret_found = empty < n;
    if (empty == n || empty == 0) {
        return 0;
    }
    struct near *room = mem_alloc(n, sizeof *room, err);
    if (!room) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        g->spare[i] = g->value[i];
        if (isnan(g->value[i])) {
            g->spare[i] = fill_value(g, (long)(i % g->nx), (long)(i / g->nx), room);
        }
    }
    memcpy(g->value, g->spare, n * sizeof *g->value);
    free(room);
    return 0;
}

static void filter(struct grid *g)
{
    float window[(2 * FILTER_REACH + 1) * (2 * FILTER_REACH + 1)];
    for (long i = 0; i < (long)(g->nx * g->ny); i++) {
        const long x = i % (long)g->nx, y = i / (long)g->nx;
        size_t n = 0;
        for (long v = y - FILTER_REACH; v <= y + FILTER_REACH; v++) {
            for (long u = x - FILTER_REACH; u <= x + FILTER_REACH; u++) {
                if (u >= 0 && v >= 0 && u < (long)g->nx && v < (long)g->ny) {
                    window[n++] = g->value[v * (long)g->nx + u];
                }
            }
        }
        g->spare[i] = robust_median(window, n);
    }
    memcpy(g->value, g->spare, g->nx * g->ny * sizeof *g->value);
}

/* ---- the surface ---- */

/*
 * Spline coefficients of n values `stride` apart, in place: c[i-1] + 4 c[i] + c[i+1] =
 * 6 v[i] with c[-1] = c[0] and c[n] = c[n-1], by elimination. work: n values.
 */
static void to_spline(double *v, size_t n, size_t stride, double *work)
{
    if (n == 1) {
        return; /* 5 + 1 sixths of one value */
    }
    double before = 0;
    for (size_t i = 0; i < n; i++) {
        const double diagonal = i == 0 || i == n - 1 ? 5 : 4;
        const double pivot = diagonal - (i ? work[i - 1] : 0);
        work[i] = 1 / pivot;
        before = (6 * v[i * stride] - before) / pivot;
        v[i * stride] = before;
    }
    for (size_t i = n - 1; i-- > 0;) {
        v[i * stride] -= work[i] * v[(i + 1) * stride];
    }
}

/* The four boxes round pixel `at`, mirrored about the edges, and their weights. */
static void cubic(size_t at, int box, size_t n, size_t index[4], double weight[4])
{
    const double c = ((double)at + 0.5) / box - 0.5, below = floor(c), t = c - below;
    const double u = 1 - t;
    weight[0] = u * u * u / 6;
    weight[1] = (4 - 6 * t * t + 3 * t * t * t) / 6;
    weight[2] = (4 - 6 * u * u + 3 * u * u * u) / 6;
    weight[3] = t * t * t / 6;
    for (long k = 0; k < 4; k++) {
        const long period = 2 * (long)n;
        long i = ((long)below - 1 + k) % period;
        i = i < 0 ? i + period : i;
        index[k] = (size_t)(i < (long)n ? i : period - 1 - i);
    }
}

static void one_row(const struct grid *g, size_t y, double *row)
{
    const struct flicker_mesh *m = g->m;
    size_t index[4];
    double weight[4];
    cubic(y, m->box_y, g->ny, index, weight);
    for (size_t bx = 0; bx < g->nx; bx++) {
        row[bx] = 0;
        for (int k = 0; k < 4; k++) {
            row[bx] += weight[k] * g->spline[index[k] * g->nx + bx];
        }
    }
    for (size_t x = 0; x < (size_t)m->nx; x++) {
        double value = 0;
        cubic(x, m->box_x, g->nx, index, weight);
        for (int k = 0; k < 4; k++) {
            value += weight[k] * row[index[k]];
        }
        const float f = (float)value;
        g->ret[y * (size_t)m->nx + x] = f < g->low ? g->low : f > g->high ? g->high : f;
    }
}

static int some_rows(size_t piece, int thread, void *arg, struct err *err)
{
    const struct grid *g = arg;
    (void)err;
    for (size_t y = piece * ROWS; y < (piece + 1) * ROWS && y < (size_t)g->m->ny; y++) {
        one_row(g, y, g->row + (size_t)thread * g->nx);
    }
    return 0;
}

static int surface(const struct stage_env *env, struct grid *g, struct err *err)
{
    const size_t n = g->nx * g->ny;
    g->low = g->high = g->value[0];
    for (size_t i = 0; i < n; i++) {
        g->spline[i] = (double)g->value[i];
        g->low = fminf(g->low, g->value[i]);
        g->high = fmaxf(g->high, g->value[i]);
    }
    double *work = mem_alloc(g->nx + g->ny, sizeof *work, err);
    if (!work) {
        return ERR_NOMEM;
    }
    for (size_t x = 0; x < g->nx; x++) {
        to_spline(g->spline + x, g->ny, g->nx, work);
    }
    for (size_t y = 0; y < g->ny; y++) {
        to_spline(g->spline + y * g->nx, g->nx, 1, work);
    }
    free(work);
    return par_for(env->par, ((size_t)g->m->ny + ROWS - 1) / ROWS, some_rows, g,
                   env->cancel, err);
}

static int even_box(int size)
{
    int box = LARGEST_BOX;
    while (size % box) {
        box--;
    }
    return box;
}

void flicker_mesh_box(struct flicker_mesh *m)
{
    m->box_x = even_box(m->nx);
    m->box_y = even_box(m->ny);
}

int flicker_mesh(const struct stage_env *env, const struct flicker_mesh *m, float *ret,
                 bool *ret_found, struct err *err)
{
    const size_t threads = env->par ? (size_t)par_threads(env->par) : 1;
    const size_t room = (size_t)m->box_x * (size_t)m->box_y;
    struct grid g = {.m = m, .ret = ret};
    g.nx = ((size_t)m->nx + (size_t)m->box_x - 1) / (size_t)m->box_x;
    g.ny = ((size_t)m->ny + (size_t)m->box_y - 1) / (size_t)m->box_y;
    g.value = mem_alloc(2 * g.nx * g.ny, sizeof *g.value, err);
    g.spline = mem_alloc(g.nx * g.ny, sizeof *g.spline, err);
    g.scratch = mem_alloc(threads * 2 * room, sizeof *g.scratch, err);
    g.row = mem_alloc(threads * g.nx, sizeof *g.row, err);
    int code = g.value && g.spline && g.scratch && g.row ? 0 : ERR_NOMEM;
    if (!code) {
        g.spare = g.value + g.nx * g.ny;
        code = par_for(env->par, g.ny, boxes_of_row, &g, env->cancel, err);
    }
    code = code ? code : fill_empty(&g, ret_found, err);
    if (!code && *ret_found) {
        filter(&g);
        code = surface(env, &g, err);
    }
    free(g.value);
    free(g.spline);
    free(g.scratch);
    free(g.row);
    return code;
}
