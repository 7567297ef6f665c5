#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/math/rng.h"
#include "stages/flicker_gp.h"

#define BLOCK 8192       /* frequencies, or samples, of one piece */
#define REACH_COLUMNS 64 /* squares are averaged over so many columns on both sides, */
#define REACH_ROWS 1     /* and rows */
#define SEED 5

/*
 * Numbers of mean 0 and square 1, independent of each other, and cheap: signs. Sums of many
 * of them, which is all that is looked at, are normal.
 */
struct signs {
    struct rng rng;
    uint64_t bits;
    int left;
};

static float sign(struct signs *s)
{
    if (s->left == 0) {
        s->bits = rng_bits(&s->rng);
        s->left = 64;
    }
    s->left--;
    const float v = s->bits & 1 ? 1 : -1;
    s->bits >>= 1;
    return v;
}

struct loop {
    const struct gp_problem *problem;
    const struct gp_readout *r;
    float complex *halfs; /* n_outputs spectra */
    float *drawn;         /* n_outputs series: the noise that was drawn */
    float *y;             /* n_outputs series: drawn, with white noise */
};

/* A spectrum of the noise, drawn for each output. */
static int draw(size_t piece, int thread, void *arg, struct err *err)
{
    const struct loop *l = arg;
    const size_t m = l->r->n / 2 + 1, stride = gp_readout_stride(l->r);
    const int outputs = l->r->n_outputs;
    const float scale = (float)(1 / sqrt(2 * (double)l->r->n));
    struct signs signs = {.left = 0};
    rng_init(&signs.rng, SEED, piece);
    (void)thread;
    (void)err;
    for (size_t k = piece * BLOCK; k < m && k < (piece + 1) * BLOCK; k++) {
        const float mean = sqrtf(l->problem->mean[k]),
                    differences = sqrtf(l->problem->differences[k]);
        float complex w[GP_MAX_OUTPUTS], sum = 0;
        for (int c = 0; c < outputs; c++) {
            const float re = scale * sign(&signs);
            w[c] = re + scale * sign(&signs) * (float complex)I;
            sum += w[c];
        }
        sum *= (mean - differences) / (float)outputs;
        for (int c = 0; c < outputs; c++) {
            l->halfs[(size_t)c * stride + k] = differences * w[c] + sum;
        }
    }
    return 0;
}

/* The noise drawn as series, and data as a detector with white noise would give them. */
static int expose(size_t c, int thread, void *arg, struct err *err)
{
    const struct loop *l = arg;
    const size_t n = l->r->n;
    float *drawn = l->drawn + c * n, *y = l->y + c * n;
    const float *weight = l->problem->weight + c * n;
    struct signs signs = {.left = 0};
    rng_init(&signs.rng, SEED + 1, c);
    (void)thread;
    (void)err;
    fft_inverse(l->problem->fft, l->halfs + c * gp_readout_stride(l->r), drawn);
    for (size_t t = 0; t < n; t++) {
        const float white = sign(&signs);
        y[t] = weight[t] > 0 ? drawn[t] + white / sqrtf(weight[t]) : 0;
    }
    return 0;
}

static int subtract(size_t c, int thread, void *arg, struct err *err)
{
    const struct loop *l = arg;
    (void)thread;
    (void)err;
    for (size_t t = c * l->r->n; t < (c + 1) * l->r->n; t++) {
        l->y[t] -= l->drawn[t];
    }
    return 0;
}

static int draw_data(const struct stage_env *env, struct loop *l, struct err *err)
{
    const size_t m = l->r->n / 2 + 1, outputs = (size_t)l->r->n_outputs;
    l->halfs = mem_alloc(outputs * gp_readout_stride(l->r), sizeof *l->halfs, err);
    int code =
        l->halfs ? par_for(env->par, (m + BLOCK - 1) / BLOCK, draw, l, env->cancel, err)
                 : ERR_NOMEM;
    code = code ? code : par_for(env->par, outputs, expose, l, env->cancel, err);
    free(l->halfs);
    return code;
}

int gp_errors(const struct stage_env *env, const struct gp_problem *problem,
              float *series, double enough, struct err *err)
{
    struct loop l = {.problem = problem, .r = problem->readout, .y = series};
    const size_t outputs = (size_t)l.r->n_outputs;
    int rounds;
    l.drawn = mem_alloc(outputs * l.r->n, sizeof *l.drawn, err);
    int code = l.drawn ? draw_data(env, &l, err) : ERR_NOMEM;
    code = code ? code : gp_solve(env, problem, series, enough, &rounds, err);
    code = code ? code : par_for(env->par, outputs, subtract, &l, env->cancel, err);
    free(l.drawn);
    return code;
}

/* ---- from errors to their variance ---- */

struct average {
    size_t nx, ny;
    const float *errors;
    float *variance;
};

static int average_row(size_t y, int thread, void *arg, struct err *err)
{
    const struct average *a = arg;
    const size_t first = y < REACH_ROWS ? 0 : y - REACH_ROWS,
                 end = y + REACH_ROWS < a->ny ? y + REACH_ROWS + 1 : a->ny;
    double sum = 0;
    size_t from = 0, to = 0; /* columns in the sum */
    (void)thread;
    (void)err;
    for (size_t x = 0; x < a->nx; x++) {
        for (; to < a->nx && to <= x + REACH_COLUMNS; to++) {
            for (size_t j = first; j < end; j++) {
                const double v = (double)a->errors[j * a->nx + to];
                sum += v * v;
            }
        }
        for (; from + REACH_COLUMNS < x; from++) {
            for (size_t j = first; j < end; j++) {
                const double v = (double)a->errors[j * a->nx + from];
                sum -= v * v;
            }
        }
        const double mean = sum / (double)((to - from) * (end - first));
        a->variance[y * a->nx + x] = (float)fmax(mean, 0);
    }
    return 0;
}

int gp_mean_square(const struct stage_env *env, size_t nx, size_t ny,
                   const float *errors, float *variance, struct err *err)
{
    struct average a = {.nx = nx, .ny = ny, .errors = errors, .variance = variance};
    return par_for(env->par, ny, average_row, &a, env->cancel, err);
}
