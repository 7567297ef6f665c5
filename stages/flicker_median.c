#include <stdlib.h>

#include "common/base/mem.h"
#include "common/math/robust.h"
#include "stages/flicker.h"

#define LINES 32 /* of one piece: neighbours share cache lines */
#define CHANNEL_ROWS 512

struct loop {
    struct flicker *f;
    int channel_rows;
    float *scratch; /* ny for each thread */
};

static void clean_channel(const struct loop *l, int x, int y0, int y1, float *values)
{
    const struct flicker *f = l->f;
    size_t n = 0;
    for (int y = y0; y < y1; y++) {
        const size_t i = (size_t)y * (size_t)f->nx + (size_t)x;
        if (f->mask[i]) {
            values[n++] = f->image[i];
        }
    }
    const float level = n ? robust_median(values, n) : 0;
    for (int y = y0; y < y1; y++) {
        f->noise[(size_t)y * (size_t)f->nx + (size_t)x] = level;
    }
}

static int body(size_t piece, int thread, void *arg, struct err *err)
{
    const struct loop *l = arg;
    const int first = (int)piece * LINES;
    const int end = first + LINES < l->f->nx ? first + LINES : l->f->nx;
    float *values = l->scratch + (size_t)thread * (size_t)l->f->ny;
    (void)err;
    for (int x = first; x < end; x++) {
        for (int y = 0; y < l->f->ny; y += l->channel_rows) {
            clean_channel(l, x, y, y + l->channel_rows, values);
        }
    }
    return 0;
}

int flicker_median(const struct stage_env *env, struct flicker *f, bool by_channel,
                   struct err *err)
{
    const size_t threads = env->par ? (size_t)par_threads(env->par) : 1;
    struct loop l = {.f = f, .channel_rows = by_channel ? CHANNEL_ROWS : f->ny};
    l.scratch = mem_alloc(threads * (size_t)f->ny, sizeof *l.scratch, err);
    if (!l.scratch) {
        return ERR_NOMEM;
    }
    int code = par_for(env->par, (size_t)(f->nx + LINES - 1) / LINES, body, &l,
                       env->cancel, err);
    free(l.scratch);
    return code;
}
