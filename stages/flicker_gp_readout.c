#include <math.h>
#include <string.h>

#include "stages/flicker_gp.h"

#define FRAME 2048
#define ROWS (FRAME / GP_MAX_OUTPUTS) /* of an output */
#define OVERHEAD 12                   /* samples between two lines */
/* NRSIRS2: 16 pixels, then 4 reference pixels and two samples to switch; 8 at the end.
 * Reference: Rauscher et al. 2017, PASP 129, 105003; peer, irs2_subtract_reference. */
#define IRS2_GROUP 16
#define IRS2_PERIOD 22
#define IRS2_LINE 712
#define COLUMNS_LINE 2100 /* of outputs of 512 columns, as simulations have them */
#define LAG 64            /* samples: at this lag own and common noise have decayed */
#define BLOCK 16          /* lines of one piece */

enum order { ALTERNATING, PARALLEL, COLUMNS, N_ORDERS };

/* Length of a transform: 64 times a product of 2, 3, 5 and 7. */
static size_t good_length(size_t least)
{
    for (size_t m = least / 64 + 1;; m++) {
        size_t rest = m;
        static const size_t primes[] = {2, 3, 5, 7};
        for (size_t i = 0; i < 4; i++) {
            while (rest % primes[i] == 0) {
                rest /= primes[i];
            }
        }
        if (rest == 1) {
            return 64 * m;
        }
    }
}

static void set_order(const struct flicker *f, enum order order, bool irs2,
                      struct gp_readout *r)
{
    static const char *const names[] = {
        "four outputs of 512 rows in alternating directions",
        "four outputs of 512 rows in one direction", "four outputs of 512 columns"};
    const size_t nx = (size_t)f->nx, ny = (size_t)f->ny;
    *r = (struct gp_readout){.n_outputs = 1, .n_lines = nx, .length = ny};
    r->name = "one output";
    r->group = r->group_period = ny;
    r->line = ny + OVERHEAD;
    r->step[0] = (long)nx;
    if (nx == FRAME && ny == FRAME) {
        r->name = names[order];
        r->n_outputs = GP_MAX_OUTPUTS;
        for (size_t c = 0; c < GP_MAX_OUTPUTS; c++) {
            const bool backwards = order == ALTERNATING && c % 2 == 1;
            r->start[c] = order == COLUMNS
                              ? c * ROWS
                              : (c * ROWS + (backwards ? ROWS - 1 : 0)) * nx;
            r->step[c] = backwards ? -(long)nx : (long)nx;
        }
        if (order == COLUMNS) {
            r->n_lines = ROWS;
            r->line = COLUMNS_LINE;
        } else {
            r->length = ROWS;
            r->group = irs2 ? IRS2_GROUP : ROWS;
            r->group_period = irs2 ? IRS2_PERIOD : ROWS;
            r->line = irs2 ? IRS2_LINE : ROWS + OVERHEAD;
        }
    }
    r->n = good_length((r->n_lines + 1) * r->line);
}

/* Mean product of background pixels of different outputs, of which one is read `lag`
 * pixels later in its line. */
static double shared(const struct flicker *f, const struct gp_readout *r, size_t lag)
{
    double sum = 0;
    size_t pairs = 0;
    for (int a = 0; a < r->n_outputs; a++) {
        for (int b = 0; b < r->n_outputs; b++) {
            if (a == b) {
                continue;
            }
            for (size_t j = 0; j + lag < r->length; j += 5) {
                const size_t pa = r->start[a] + (size_t)((long)j * r->step[a]);
                const size_t pb = r->start[b] + (size_t)((long)(j + lag) * r->step[b]);
                for (size_t l = 0; l < r->n_lines; l += 5) {
                    if (f->mask[pa + l] && f->mask[pb + l]) {
                        sum += (double)f->image[pa + l] * (double)f->image[pb + l];
                        pairs++;
                    }
                }
            }
        }
    }
    return pairs ? sum / (double)pairs : 0;
}

void gp_readout_choose(const struct flicker *f, bool irs2, struct gp_readout *ret)
{
    set_order(f, ALTERNATING, irs2, ret);
    if (ret->n_outputs == 1) {
        return;
    }
    double square = 0;
    size_t n = 0;
    for (size_t i = 0; i < (size_t)FRAME * FRAME; i += 3) {
        if (f->mask[i]) {
            square += (double)f->image[i] * (double)f->image[i];
            n++;
        }
    }
    /* Another order than the instrument's needs a clear sign: a peak at the same time. */
    double best = n ? 0.02 * square / (double)n : 0;
    for (enum order order = ALTERNATING; order < N_ORDERS; order++) {
        struct gp_readout r;
        set_order(f, order, irs2, &r);
        const double peak = shared(f, &r, 0) - shared(f, &r, LAG);
        if (peak > best) {
            best = peak;
            *ret = r;
        }
    }
}

struct copy {
    const struct gp_readout *r;
    float *series, *image;
    const float *from;
};

static size_t pieces(const struct gp_readout *r)
{
    return (r->n_lines + BLOCK - 1) / BLOCK;
}

static int gather(size_t piece, int thread, void *arg, struct err *err)
{
    const struct copy *copy = arg;
    const struct gp_readout *r = copy->r;
    const size_t c = piece / pieces(r), first = piece % pieces(r) * BLOCK;
    const size_t end = first + BLOCK < r->n_lines ? first + BLOCK : r->n_lines;
    float *series = copy->series + c * r->n;
    (void)thread;
    (void)err;
    memset(series + first * r->line, 0,
           ((end == r->n_lines ? r->n : end * r->line) - first * r->line) *
               sizeof *series);
    for (size_t j = 0; j < r->length; j++) {
        const float *row = copy->from + r->start[c] + (size_t)((long)j * r->step[c]);
        float *to = series + gp_readout_when(r, j);
        for (size_t l = first; l < end; l++) {
            to[l * r->line] = row[l];
        }
    }
    return 0;
}

static int scatter(size_t piece, int thread, void *arg, struct err *err)
{
    const struct copy *copy = arg;
    const struct gp_readout *r = copy->r;
    const size_t c = piece / pieces(r), first = piece % pieces(r) * BLOCK;
    const size_t end = first + BLOCK < r->n_lines ? first + BLOCK : r->n_lines;
    (void)thread;
    (void)err;
    for (size_t j = 0; j < r->length; j++) {
        float *row = copy->image + r->start[c] + (size_t)((long)j * r->step[c]);
        const float *from = copy->from + c * r->n + gp_readout_when(r, j);
        for (size_t l = first; l < end; l++) {
            row[l] = from[l * r->line];
        }
    }
    return 0;
}

int gp_readout_gather(const struct stage_env *env, const struct gp_readout *r,
                      const float *image, float *series, struct err *err)
{
    struct copy copy = {.r = r, .series = series, .from = image};
    return par_for(env->par, (size_t)r->n_outputs * pieces(r), gather, &copy,
                   env->cancel, err);
}

int gp_readout_scatter(const struct stage_env *env, const struct gp_readout *r,
                       const float *series, float *image, struct err *err)
{
    struct copy copy = {.r = r, .image = image, .from = series};
    return par_for(env->par, (size_t)r->n_outputs * pieces(r), scatter, &copy,
                   env->cancel, err);
}
