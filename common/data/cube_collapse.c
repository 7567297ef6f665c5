#include "common/data/cube_collapse.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/data/cube_file.h"
#include "common/math/robust.h"

struct collapse {
    const struct cube *c;
    int first, end;
    float *image;
    float *scratch; /* one column set of nx spectra per thread */
};

/* One row of spaxels: gather its spectra plane by plane, then take the medians. */
static int collapse_row(size_t j, int thread, void *arg, struct err *err)
{
    (void)err;
    struct collapse *w = arg;
    size_t nx = (size_t)w->c->nx, plane = nx * (size_t)w->c->ny;
    size_t room = (size_t)(w->end - w->first);
    float *spectra = w->scratch + (size_t)thread * nx * room;
    size_t *count = mem_calloc(nx, sizeof *count, err);
    if (!count) {
        return ERR_NOMEM;
    }
    for (int k = w->first; k < w->end; k++) {
        const float *row = w->c->sci + (size_t)k * plane + j * nx;
        for (size_t i = 0; i < nx; i++) {
            if (isfinite(row[i])) {
                spectra[i * room + count[i]++] = row[i];
            }
        }
    }
    for (size_t i = 0; i < nx; i++) {
        w->image[j * nx + i] =
            count[i] ? robust_median(spectra + i * room, count[i]) : NAN;
    }
    free(count);
    cube_rest(w->c, w->first, w->end);
    return 0;
}

int cube_median_image(const struct cube *c, int first, int end, struct par *par,
                      float *image, struct err *err)
{
    size_t threads = par ? (size_t)par_threads(par) : 1, n;
    if (first < 0 || end > c->nw || first >= end) {
        return err_set(err, ERR_BUG, "median over planes %d to %d of %d", first, end,
                       c->nw);
    }
    if (mem_mul(threads * (size_t)c->nx, (size_t)(end - first), &n)) {
        return err_set(err, ERR_NOMEM, "median image: size overflow");
    }
    struct collapse w = {c, first, end, image, mem_alloc(n, sizeof(float), err)};
    if (!w.scratch) {
        return ERR_NOMEM;
    }
    int code = par_for(par, (size_t)c->ny, collapse_row, &w, NULL, err);
    free(w.scratch);
    return code;
}
