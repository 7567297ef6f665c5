#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/data/dq.h"
#include "stages/pixel_replace.h"

struct work {
    struct exposure *e;
    float *planes[REPLACE_PLANES];
    uint8_t *filled; /* nx * ny */
    size_t *count;   /* of each row */
};

/* SCI and DQ of a row. */
static int fill_row(size_t y, int thread, void *arg, struct err *err)
{
    const struct work *w = arg;
    struct exposure *e = w->e;
    const size_t nx = (size_t)e->nx;
    (void)thread;
    (void)err;
    for (size_t i = y * nx; i < (y + 1) * nx; i++) {
        w->filled[i] = !isfinite(e->sci[i]) && isfinite(e->trace_model[i]);
        if (w->filled[i]) {
            e->sci[i] = e->trace_model[i];
            e->dq[i] = (e->dq[i] & ~(uint32_t)DQ_DO_NOT_USE) | DQ_FLUX_ESTIMATED;
            w->count[y]++;
        }
    }
    return 0;
}

/* The error at a pixel of a plane: of variances the root; not finite if it is filled. */
static double error_at(const struct work *w, int p, size_t i)
{
    const float v = w->planes[p][i];
    return w->filled[i] ? (double)NAN : (double)(p >= REPLACE_VARIANCES ? sqrtf(v) : v);
}

/* Linear along the row between the nearest errors that are finite; beyond the last one as
 * there. Rows without any stay NaN. */
static void interpolate(const struct work *w, int p, size_t y)
{
    const size_t nx = (size_t)w->e->nx, first = y * nx;
    size_t left = nx, right = 0; /* neighbours of what is filled; nx: none */
    for (size_t x = 0; x < nx; x++) {
        const double here = error_at(w, p, first + x);
        if (!w->filled[first + x]) {
            left = isfinite(here) ? x : left;
            continue;
        }
        right = right > x ? right : x + 1;
        while (right < nx && !isfinite(error_at(w, p, first + right))) {
            right++;
        }
        double v = NAN;
        if (left < nx && right < nx) {
            const double a = error_at(w, p, first + left),
                         b = error_at(w, p, first + right);
            v = (b - a) / (double)(right - left) * (double)(x - left) + a;
        } else if (left < nx || right < nx) {
            v = error_at(w, p, first + (left < nx ? left : right));
        }
        const float rounded = (float)v;
        w->planes[p][first + x] = p >= REPLACE_VARIANCES ? rounded * rounded : rounded;
    }
}

static int fill_errors(size_t y, int thread, void *arg, struct err *err)
{
    const struct work *w = arg;
    (void)thread;
    (void)err;
    for (int p = REPLACE_ERR; p < REPLACE_PLANES && w->count[y]; p++) {
        if (w->planes[p]) {
            interpolate(w, p, y);
        }
    }
    return 0;
}

int pixel_replace_trace(struct exposure *e, struct par *par, const atomic_bool *cancel,
                        size_t *ret_replaced, struct err *err)
{
    const size_t ny = (size_t)e->ny;
    struct work w = {.e = e};
    size_t total = 0, rest = 0;
    pixel_replace_planes(e, w.planes);
    w.filled = mem_alloc(exposure_pixels(e), sizeof *w.filled, err);
    w.count = mem_calloc(ny, sizeof *w.count, err);
    int code = w.filled && w.count ? 0 : ERR_NOMEM;
    code = code ? code : par_for(par, ny, fill_row, &w, cancel, err);
    code = code ? code : par_for(par, ny, fill_errors, &w, cancel, err);
    for (size_t y = 0; y < ny && !code; y++) {
        total += w.count[y];
    }
    free(w.filled);
    free(w.count);
    code = code ? code : pixel_replace_mingrad(e, par, cancel, &rest, err);
    if (!code) {
        *ret_replaced = total + rest;
    }
    return code;
}
