#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/data/dq.h"
#include "stages/pixel_replace.h"

/* Neighbours are looked for within the array: pixels nearer to its edge stay. The first
 * row and column that are filled are 2, the last ones n - 2, as in the peer. */
#define FIRST 2
#define LAST 2

enum { ALONG_X, ALONG_Y, NEITHER };

void pixel_replace_planes(struct exposure *e, float *ret[REPLACE_PLANES])
{
    float *const planes[REPLACE_PLANES] = {
        e->sci, e->err, e->var_poisson, e->var_rnoise, e->var_flat, e->var_background};
    for (int p = 0; p < REPLACE_PLANES; p++) {
        ret[p] = planes[p];
    }
}

/* A pixel to be filled, and the pair of neighbours. */
struct gap {
    uint32_t index;
    uint8_t along;
};

struct row_gaps {
    struct gap *gaps;
    size_t n;
};

struct work {
    struct exposure *e;
    float *planes[REPLACE_PLANES];
    struct row_gaps *rows; /* ny */
    float *values;         /* of all gaps, one plane at a time */
    size_t *first;         /* ny + 1: where a row's values begin */
    int plane;
};

/* Which pair differs less: along x if they are equal. */
static int direction(const float *sci, size_t i, size_t nx)
{
    float x = fabsf(sci[i - 1] - sci[i + 1]), y = fabsf(sci[i - nx] - sci[i + nx]);
    bool has_x = isfinite(x), has_y = isfinite(y);
    if (!has_x && !has_y) {
        return NEITHER;
    }
    return has_x && (!has_y || x <= y) ? ALONG_X : ALONG_Y;
}

static int find_row(size_t y, int thread, void *arg, struct err *err)
{
    struct work *w = arg;
    const struct exposure *e = w->e;
    const size_t nx = (size_t)e->nx;
    size_t room = 0;
    (void)thread;
    if (y < FIRST || y + LAST > (size_t)e->ny) {
        return 0;
    }
    for (size_t x = FIRST; x + LAST <= nx; x++) {
        size_t i = y * nx + x;
        if (isfinite(e->sci[i])) {
            continue;
        }
        int along = direction(e->sci, i, nx);
        if (along == NEITHER) {
            continue;
        }
        struct row_gaps *r = &w->rows[y];
        if (r->n == room) {
            room = room ? 2 * room : 64;
            struct gap *grown = mem_realloc(r->gaps, room, sizeof *grown, err);
            if (!grown) {
                return ERR_NOMEM;
            }
            r->gaps = grown;
        }
        r->gaps[r->n++] = (struct gap){(uint32_t)i, (uint8_t)along};
    }
    return 0;
}

/* What a row's gaps become, from the plane as it was. */
static int estimate_row(size_t y, int thread, void *arg, struct err *err)
{
    const struct work *w = arg;
    const float *plane = w->planes[w->plane];
    const size_t nx = (size_t)w->e->nx;
    (void)thread;
    (void)err;
    for (size_t k = 0; k < w->rows[y].n; k++) {
        const struct gap *g = &w->rows[y].gaps[k];
        size_t step = g->along == ALONG_X ? 1 : nx;
        float a = plane[g->index - step], b = plane[g->index + step];
        if (w->plane >= REPLACE_VARIANCES) {
            float root = (sqrtf(a) + sqrtf(b)) / 2.0f;
            w->values[w->first[y] + k] = root * root;
        } else {
            w->values[w->first[y] + k] = (a + b) / 2.0f;
        }
    }
    return 0;
}

static int fill_row(size_t y, int thread, void *arg, struct err *err)
{
    const struct work *w = arg;
    float *plane = w->planes[w->plane];
    (void)thread;
    (void)err;
    for (size_t k = 0; k < w->rows[y].n; k++) {
        plane[w->rows[y].gaps[k].index] = w->values[w->first[y] + k];
    }
    return 0;
}

static void flag(const struct work *w)
{
    for (size_t y = 0; y < (size_t)w->e->ny; y++) {
        for (size_t k = 0; k < w->rows[y].n; k++) {
            uint32_t *dq = &w->e->dq[w->rows[y].gaps[k].index];
            if (!(*dq & DQ_NON_SCIENCE)) {
                *dq &= ~(uint32_t)DQ_DO_NOT_USE;
            }
            *dq |= DQ_FLUX_ESTIMATED;
        }
    }
}

int pixel_replace_mingrad(struct exposure *e, struct par *par,
                          const atomic_bool *cancel, size_t *ret_replaced,
                          struct err *err)
{
    const size_t ny = (size_t)e->ny;
    struct work w = {.e = e};
    pixel_replace_planes(e, w.planes);
    w.rows = mem_calloc(ny, sizeof *w.rows, err);
    w.first = mem_calloc(ny + 1, sizeof *w.first, err);
    int code = w.rows && w.first ? 0 : ERR_NOMEM;
    code = code ? code : par_for(par, ny, find_row, &w, cancel, err);
    for (size_t y = 0; y < ny && !code; y++) {
        w.first[y + 1] = w.first[y] + w.rows[y].n;
    }
    if (!code) {
        w.values = mem_alloc(w.first[ny] + 1, sizeof *w.values, err);
        code = w.values ? 0 : ERR_NOMEM;
    }
    for (; w.plane < REPLACE_PLANES && !code; w.plane++) {
        if (w.planes[w.plane]) {
            code = par_for(par, ny, estimate_row, &w, cancel, err);
            code = code ? code : par_for(par, ny, fill_row, &w, NULL, err);
        }
    }
    if (!code) {
        flag(&w);
        *ret_replaced = w.first[ny];
    }
    for (size_t y = 0; y < ny && w.rows; y++) {
        free(w.rows[y].gaps);
    }
    free(w.rows);
    free(w.first);
    free(w.values);
    return code;
}
