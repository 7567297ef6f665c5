#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "stages/flicker_gp.h"

#define BLOCK 8192 /* frequencies of one piece */
#define MAX_ROUNDS 60

/*
 * With K the covariance of the noise, D the reciprocal variance of the white noise (0 where
 * a sample is unknown) and y the data, the best linear estimate is x = (K^-1 + D)^-1 D y.
 * Be d the mean of D and G = (K^-1 + d)^-1/2; then x = G u with
 *
 *     (1 + G (D - d) G) u = G D y,
 *
 * which conjugate gradients solve in a few rounds: where the data are dense, the matrix is
 * nearly 1. G is diagonal in frequency, and for each frequency has one value for the mean
 * of the outputs and one for their differences; D is diagonal in time.
 */
struct solver {
    const struct stage_env *env;
    const struct gp_problem *problem;
    const struct gp_readout *r;
    const struct fft *fft;
    float *g_mean, *g_differences; /* n / 2 + 1: G */
    float d;                       /* mean of D */
    float *series;                 /* n_outputs series: y, scratch, x */
    float complex *u, *residual, *direction, *product; /* n_outputs spectra */
    double *sums;                                      /* one of each piece */
    float step;
};

static size_t half(const struct solver *s)
{
    return s->r->n / 2 + 1;
}

static size_t stride(const struct solver *s)
{
    return gp_readout_stride(s->r);
}

static size_t pieces(const struct solver *s)
{
    return (half(s) + BLOCK - 1) / BLOCK;
}

/* Share of a frequency in a sum over all, of which half is not stored. */
static double twice(const struct solver *s, size_t k)
{
    return k == 0 || 2 * k == s->r->n ? 1 : 2;
}

/* v[c] = G w at one frequency; w has n_outputs values. */
static inline void apply_g(const struct solver *s, size_t k, const float complex *w,
                           float complex *v)
{
    const int n = s->r->n_outputs;
    float complex mean = 0;
    for (int c = 0; c < n; c++) {
        mean += w[c];
    }
    mean *= (s->g_mean[k] - s->g_differences[k]) / (float)n;
    for (int c = 0; c < n; c++) {
        v[c] = s->g_differences[k] * w[c] + mean;
    }
}

static int start_direction(size_t piece, int thread, void *arg, struct err *err)
{
    const struct solver *s = arg;
    const size_t m = half(s);
    const int outputs = s->r->n_outputs;
    (void)thread;
    (void)err;
    for (size_t k = piece * BLOCK; k < m && k < (piece + 1) * BLOCK; k++) {
        float complex w[GP_MAX_OUTPUTS], v[GP_MAX_OUTPUTS];
        for (int c = 0; c < outputs; c++) {
            const size_t i = (size_t)c * stride(s) + k;
            w[c] = s->direction[i] = s->residual[i] + s->step * s->direction[i];
        }
        apply_g(s, k, w, v);
        for (int c = 0; c < outputs; c++) {
            s->product[(size_t)c * stride(s) + k] = v[c];
        }
    }
    return 0;
}

/* product := F (D - d) F^-1 product */
static int weigh(size_t c, int thread, void *arg, struct err *err)
{
    const struct solver *s = arg;
    const size_t n = s->r->n;
    float *series = s->series + c * n;
    const float *weight = s->problem->weight + c * n, d = s->d;
    float complex *spectrum = s->product + c * stride(s);
    (void)thread;
    (void)err;
    fft_inverse(s->fft, spectrum, series);
    for (size_t t = 0; t < n; t++) {
        series[t] *= weight[t] - d;
    }
    fft_forward(s->fft, series, spectrum);
    return 0;
}

/* product := direction + G product / n; sums: direction . product */
static int finish_product(size_t piece, int thread, void *arg, struct err *err)
{
    const struct solver *s = arg;
    const size_t m = half(s);
    const int outputs = s->r->n_outputs;
    const float scale = 1 / (float)s->r->n;
    double sum = 0;
    (void)thread;
    (void)err;
    for (size_t k = piece * BLOCK; k < m && k < (piece + 1) * BLOCK; k++) {
        float complex w[GP_MAX_OUTPUTS], v[GP_MAX_OUTPUTS];
        for (int c = 0; c < outputs; c++) {
            w[c] = s->product[(size_t)c * stride(s) + k] * scale;
        }
        apply_g(s, k, w, v);
        float dot = 0;
        for (int c = 0; c < outputs; c++) {
            const size_t i = (size_t)c * stride(s) + k;
            const float complex p = s->direction[i];
            const float complex q = s->product[i] = p + v[c];
            dot += crealf(p) * crealf(q) + cimagf(p) * cimagf(q);
        }
        sum += twice(s, k) * (double)dot;
    }
    s->sums[piece] = sum;
    return 0;
}

/* One step along the direction; sums: square of the new residual. */
static int advance(size_t piece, int thread, void *arg, struct err *err)
{
    const struct solver *s = arg;
    const size_t m = half(s);
    double sum = 0;
    (void)thread;
    (void)err;
    for (size_t k = piece * BLOCK; k < m && k < (piece + 1) * BLOCK; k++) {
        float square = 0;
        for (int c = 0; c < s->r->n_outputs; c++) {
            const size_t i = (size_t)c * stride(s) + k;
            s->u[i] += s->step * s->direction[i];
            const float complex v = s->residual[i] -= s->step * s->product[i];
            square += crealf(v) * crealf(v) + cimagf(v) * cimagf(v);
        }
        sum += twice(s, k) * (double)square;
    }
    s->sums[piece] = sum;
    return 0;
}

static int loop(struct solver *s, size_t n, par_body body, double *ret_sum,
                struct err *err)
{
    int code = par_for(s->env->par, n, body, s, s->env->cancel, err);
    if (!code && ret_sum) {
        *ret_sum = 0;
        for (size_t i = 0; i < n; i++) {
            *ret_sum += s->sums[i];
        }
    }
    return code;
}

/* The right side G F D y into residual (y in series), u = 0. */
static int right_side_forward(size_t c, int thread, void *arg, struct err *err)
{
    const struct solver *s = arg;
    const size_t n = s->r->n;
    float *series = s->series + c * n;
    const float *weight = s->problem->weight + c * n;
    (void)thread;
    (void)err;
    for (size_t t = 0; t < n; t++) {
        series[t] *= weight[t];
    }
    fft_forward(s->fft, series, s->product + c * stride(s));
    return 0;
}

static int right_side(size_t piece, int thread, void *arg, struct err *err)
{
    const struct solver *s = arg;
    const size_t m = half(s);
    const float scale = 1 / sqrtf((float)s->r->n);
    double sum = 0;
    (void)thread;
    (void)err;
    for (size_t k = piece * BLOCK; k < m && k < (piece + 1) * BLOCK; k++) {
        float complex w[GP_MAX_OUTPUTS], v[GP_MAX_OUTPUTS];
        for (int c = 0; c < s->r->n_outputs; c++) {
            w[c] = s->product[(size_t)c * stride(s) + k] * scale;
        }
        apply_g(s, k, w, v);
        float square = 0;
        for (int c = 0; c < s->r->n_outputs; c++) {
            const size_t i = (size_t)c * stride(s) + k;
            s->residual[i] = v[c];
            s->direction[i] = s->u[i] = 0;
            square += crealf(v[c]) * crealf(v[c]) + cimagf(v[c]) * cimagf(v[c]);
        }
        sum += twice(s, k) * (double)square;
    }
    s->sums[piece] = sum;
    return 0;
}

/* u into the noise of each output, in series. */
static int estimate(size_t piece, int thread, void *arg, struct err *err)
{
    const struct solver *s = arg;
    const size_t m = half(s);
    const float scale = 1 / sqrtf((float)s->r->n);
    (void)thread;
    (void)err;
    for (size_t k = piece * BLOCK; k < m && k < (piece + 1) * BLOCK; k++) {
        float complex w[GP_MAX_OUTPUTS], v[GP_MAX_OUTPUTS];
        for (int c = 0; c < s->r->n_outputs; c++) {
            w[c] = s->u[(size_t)c * stride(s) + k] * scale;
        }
        apply_g(s, k, w, v);
        for (int c = 0; c < s->r->n_outputs; c++) {
            s->product[(size_t)c * stride(s) + k] = v[c];
        }
    }
    return 0;
}

static int estimate_inverse(size_t c, int thread, void *arg, struct err *err)
{
    const struct solver *s = arg;
    (void)thread;
    (void)err;
    fft_inverse(s->fft, s->product + c * stride(s), s->series + c * s->r->n);
    return 0;
}

/* From y in series to the noise in series. */
static int iterate(struct solver *s, double enough, int *ret_rounds, struct err *err)
{
    const size_t outputs = (size_t)s->r->n_outputs;
    double first = 0, square = 0;
    int code = loop(s, outputs, right_side_forward, NULL, err);
    code = code ? code : loop(s, pieces(s), right_side, &first, err);
    square = first;
    s->step = 0;
    int round = 0;
    for (; round < MAX_ROUNDS && !code && square > enough * enough * first; round++) {
        double curvature = 0, before = square;
        code = loop(s, pieces(s), start_direction, NULL, err);
        code = code ? code : loop(s, outputs, weigh, NULL, err);
        code = code ? code : loop(s, pieces(s), finish_product, &curvature, err);
        if (code || !(curvature > 0)) {
            break;
        }
        s->step = (float)(square / curvature);
        code = loop(s, pieces(s), advance, &square, err);
        s->step = (float)(square / before);
    }
    *ret_rounds = round;
    code = code ? code : loop(s, pieces(s), estimate, NULL, err);
    return code ? code : loop(s, outputs, estimate_inverse, NULL, err);
}

static void prepare(struct solver *s)
{
    const struct gp_problem *p = s->problem;
    const size_t n = (size_t)s->r->n_outputs * s->r->n;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)p->weight[i];
    }
    s->d = (float)(sum / (double)n);
    for (size_t k = 0; k < half(s); k++) {
        s->g_mean[k] = sqrtf(p->mean[k] / (1 + s->d * p->mean[k]));
        s->g_differences[k] = sqrtf(p->differences[k] / (1 + s->d * p->differences[k]));
    }
}

static int allocate(struct solver *s, struct err *err)
{
    const size_t m = half(s), all = (size_t)s->r->n_outputs * stride(s);
    s->g_mean = mem_alloc(m, sizeof *s->g_mean, err);
    s->g_differences = mem_alloc(m, sizeof *s->g_differences, err);
    s->u = mem_alloc(all, sizeof *s->u, err);
    s->residual = mem_alloc(all, sizeof *s->residual, err);
    s->direction = mem_alloc(all, sizeof *s->direction, err);
    s->product = mem_alloc(all, sizeof *s->product, err);
    s->sums = mem_alloc(pieces(s), sizeof *s->sums, err);
    return s->g_mean && s->g_differences && s->u && s->residual && s->direction &&
                   s->product && s->sums
               ? 0
               : ERR_NOMEM;
}

int gp_solve(const struct stage_env *env, const struct gp_problem *problem,
             float *series, double enough, int *ret_rounds, struct err *err)
{
    struct solver s = {.env = env,
                       .problem = problem,
                       .r = problem->readout,
                       .fft = problem->fft,
                       .series = series};
    int code = allocate(&s, err);
    if (!code) {
        prepare(&s);
        code = iterate(&s, enough, ret_rounds, err);
    }
    free(s.g_mean);
    free(s.g_differences);
    free(s.u);
    free(s.residual);
    free(s.direction);
    free(s.product);
    free(s.sums);
    return code;
}
