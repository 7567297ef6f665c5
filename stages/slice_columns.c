#include "stages/slice_columns.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"

enum { COLUMNS = 128 }; /* of one piece of work */

struct job {
    struct slice_columns *c;
    const struct exposure *e;
};

static int some_columns(size_t piece, int thread, void *arg, struct err *err)
{
    (void)thread;
    (void)err;
    const struct job *job = arg;
    size_t nx = job->c->nx, from = piece * COLUMNS;
    size_t to = from + COLUMNS < nx ? from + COLUMNS : nx;
    double *mean = job->c->mean;
    unsigned count[WCS_SLICES][COLUMNS] = {{0}};
    for (size_t y = 0; y < (size_t)job->e->ny; y++) {
        const uint8_t *slice = job->e->regions + y * nx;
        const double *um = job->e->wavelength + y * nx;
        for (size_t x = from; x < to; x++) {
            if (slice[x]) {
                mean[(slice[x] - 1u) * nx + x] += um[x];
                count[slice[x] - 1][x - from]++;
            }
        }
    }
    for (size_t s = 0; s < WCS_SLICES; s++) {
        for (size_t x = from; x < to; x++) {
            unsigned n = count[s][x - from];
            mean[s * nx + x] = n ? mean[s * nx + x] / n : (double)NAN;
        }
    }
    return 0;
}

int slice_columns_init(struct slice_columns *c, const struct exposure *e,
                       struct par *par, const atomic_bool *cancel, struct err *err)
{
    struct job job = {c, e};
    c->nx = (size_t)e->nx;
    c->mean = mem_calloc(WCS_SLICES * c->nx, sizeof *c->mean, err);
    if (!c->mean) {
        return ERR_NOMEM;
    }
    int code =
        par_for(par, (c->nx + COLUMNS - 1) / COLUMNS, some_columns, &job, cancel, err);
    for (size_t s = 0; !code && s < WCS_SLICES; s++) {
        c->last[s] = 0;
        for (size_t x = 0; x < c->nx; x++) {
            if (!isnan(c->mean[s * c->nx + x])) {
                c->last[s] = x;
            }
        }
    }
    return code;
}

void slice_columns_done(struct slice_columns *c)
{
    free(c->mean);
    *c = (struct slice_columns){0};
}

void slice_columns_widths(const struct slice_columns *c, const struct exposure *e,
                          size_t x, size_t y, size_t n, double *ret_width)
{
    size_t row = y * c->nx;
    const uint8_t *slice = e->regions + row;
    const double *um = e->wavelength + row;
    uint8_t here = slice[x];
    const double *mean = c->mean + (here - 1u) * c->nx;
    size_t last = c->last[here - 1];
    for (size_t i = 0; i < n; i++) {
        size_t from = x + i;
        if (from >= last) { /* take the interval of the column before */
            from = last ? last - 1 : 0;
        }
        double low = slice[from] == here ? um[from] : mean[from];
        double high = slice[from + (last > 0)] == here ? um[from + (last > 0)]
                                                       : mean[from + (last > 0)];
        ret_width[i] = high - low;
    }
}
