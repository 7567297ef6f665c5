#include <stdlib.h>

#include "common/base/mem.h"
#include "common/math/robust.h"
#include "stages/flicker.h"

#define LINES 16 /* of one piece */
#define PAD 80   /* between lines of a block, which would share a cache set */

struct loop {
    struct flicker *f;
    size_t channel_rows;
    float *scratch; /* LINES lines for each thread */
};

/* Rows y0..y1-1 of some lines, gone through in the order of memory. */
static void clean_channel(const struct loop *l, size_t x0, size_t n, size_t y0,
                          size_t y1, float *values)
{
    const struct flicker *f = l->f;
    const size_t nx = (size_t)f->nx, step = (size_t)f->ny + PAD;
    size_t used[LINES] = {0};
    float level[LINES];
    for (size_t y = y0; y < y1; y++) {
        const float *image = f->image + y * nx + x0;
        const uint8_t *mask = f->mask + y * nx + x0;
        for (size_t k = 0; k < n; k++) {
            values[k * step + used[k]] = image[k];
            used[k] += mask[k];
        }
    }
    for (size_t k = 0; k < n; k++) {
        level[k] = used[k] ? robust_median(values + k * step, used[k]) : 0;
    }
    for (size_t y = y0; y < y1; y++) {
        for (size_t k = 0; k < n; k++) {
            f->noise[y * nx + x0 + k] = level[k];
        }
    }
}

static int body(size_t piece, int thread, void *arg, struct err *err)
{
    const struct loop *l = arg;
    const size_t nx = (size_t)l->f->nx, ny = (size_t)l->f->ny, x0 = piece * LINES;
    const size_t n = nx - x0 < LINES ? nx - x0 : LINES;
    float *values = l->scratch + (size_t)thread * LINES * (ny + PAD);
    (void)err;
    for (size_t y = 0; y < ny; y += l->channel_rows) {
        clean_channel(l, x0, n, y, y + l->channel_rows, values);
    }
    return 0;
}

int flicker_median(const struct stage_env *env, struct flicker *f, bool by_channel,
                   struct err *err)
{
    const size_t threads = env->par ? (size_t)par_threads(env->par) : 1;
    const size_t ny = (size_t)f->ny;
    struct loop l = {.f = f, .channel_rows = by_channel ? FLICKER_CHANNEL_ROWS : ny};
    l.scratch = mem_alloc(threads * LINES * (ny + PAD), sizeof *l.scratch, err);
    if (!l.scratch) {
        return ERR_NOMEM;
    }
    int code = par_for(env->par, ((size_t)f->nx + LINES - 1) / LINES, body, &l,
                       env->cancel, err);
    free(l.scratch);
    return code;
}
