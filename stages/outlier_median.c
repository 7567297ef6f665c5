#include "stages/outlier_median.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"

struct job {
    const float *plane;
    int nx, ny, box_x, box_y;
    double *ret;
};

/* What a row is gone through with. */
struct window {
    float *columns; /* box_x * box_y: the columns in the box, a ring, each sorted */
    int *counts;    /* box_x */
    float *sorted, *spare; /* box_x * box_y: all that is in the box */
    int n;
};

/* The values of a column that are not NaN, sorted; those beyond the edges are zeros. */
static int take_column(const struct job *job, int x, int y, float *ret)
{
    const int half = job->box_y / 2;
    int n = 0;
    for (int j = y - half; j <= y + half; j++) {
        const int is_inside = x >= 0 && x < job->nx && j >= 0 && j < job->ny;
        const float v =
            is_inside ? job->plane[(size_t)j * (size_t)job->nx + (size_t)x] : 0;
        if (isnan(v)) {
            continue;
        }
        int at = n++;
        for (; at > 0 && ret[at - 1] > v; at--) {
            ret[at] = ret[at - 1];
        }
        ret[at] = v;
    }
    return n;
}

/* The sorted window without the values of `out`, which are in it, and with those of `in`. */
static void slide(struct window *w, const float *out, int n_out, const float *in,
                  int n_in)
{
    float *to = w->spare;
    int i = 0;
    for (int k = 0; k < w->n; k++) {
        const float v = w->sorted[k];
        if (n_out && v == *out) {
            out++;
            n_out--;
            continue;
        }
        while (i < n_in && in[i] < v) {
            *to++ = in[i++];
        }
        *to++ = v;
    }
    while (i < n_in) {
        *to++ = in[i++];
    }
    w->n = (int)(to - w->spare);
    float *swap = w->sorted;
    w->sorted = w->spare;
    w->spare = swap;
}

static double middle(const struct window *w)
{
    const int k = w->n / 2;
    if (w->n == 0) {
        return NAN;
    }
    return w->n % 2 ? (double)w->sorted[k]
                    : ((double)w->sorted[k - 1] + (double)w->sorted[k]) / 2;
}

static void window_done(struct window *w)
{
    free(w->columns);
    free(w->counts);
    free(w->sorted);
    free(w->spare);
}

static int window_init(struct window *w, const struct job *job, struct err *err)
{
    const size_t columns = (size_t)job->box_x, n = columns * (size_t)job->box_y;
    *w = (struct window){0};
    w->columns = mem_alloc(n, sizeof *w->columns, err);
    w->counts = mem_calloc(columns, sizeof *w->counts, err);
    w->sorted = mem_alloc(n, sizeof *w->sorted, err);
    w->spare = mem_alloc(n, sizeof *w->spare, err);
    return w->columns && w->counts && w->sorted && w->spare ? 0 : ERR_NOMEM;
}

static int row(size_t i, int thread, void *arg, struct err *err)
{
    const struct job *job = arg;
    const int y = (int)i, half = job->box_x / 2;
    const size_t box_y = (size_t)job->box_y;
    struct window w;
    float *fresh = mem_alloc(box_y, sizeof *fresh, err);
    int code = window_init(&w, job, err);
    (void)thread;
    if (!fresh || code) {
        window_done(&w);
        free(fresh);
        return ERR_NOMEM;
    }
    for (int x = -half; x < job->nx + half; x++) {
        const int slot = (x + half) % job->box_x;
        float *old = w.columns + (size_t)slot * box_y;
        const int n = take_column(job, x, y, fresh);
        if (n || w.counts[slot]) {
            slide(&w, old, w.counts[slot], fresh, n);
        }
        memcpy(old, fresh, (size_t)n * sizeof *fresh);
        w.counts[slot] = n;
        if (x >= half) {
            const size_t at = i * (size_t)job->nx + (size_t)(x - half);
            job->ret[at] = middle(&w);
        }
    }
    window_done(&w);
    free(fresh);
    return 0;
}

int outlier_median(const float *plane, int nx, int ny, int box_x, int box_y,
                   struct par *par, const atomic_bool *cancel, double *ret,
                   struct err *err)
{
    struct job job = {plane, nx, ny, box_x, box_y, ret};
    return par_for(par, (size_t)ny, row, &job, cancel, err);
}
