#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/math/fft.h"
#include "common/math/robust.h"
#include "stages/flicker.h"
#include "stages/flicker_fourier.h"

/* Constants of the method, as published. Frequencies per pixel. */
#define HALF_POWER (1.0 / 256.0)
#define KILL_WIDTH (HALF_POWER / 4.0)
#define OUTLIER_SIGMA 3.0
#define DENSITY_SIGMA 32.0 /* pixels along a line */
#define SMOOTH_SIGMA 1.5   /* lines */
#define SMOOTH_REACH 12    /* lines; beyond it the Gaussian is below 1e-14 */
#define LEAST_DENSITY 1e-5F
#define EDGE 4 /* reference pixels: the first and last lines are not fitted */

#define LINES 16 /* of one piece */
#define PAD 80   /* between lines of a block, which would share a cache set */
#define MAX_VECTORS 16

struct loop {
    struct flicker *f;
    struct fft *fft;
    int vectors;
    float apodizer[MAX_VECTORS];
    float *density;          /* spectrum of the density's Gaussian, ny / 2 + 1 */
    struct scratch *scratch; /* one for each thread */
};

struct scratch {
    float *block;                           /* LINES lines of ny pixels */
    uint8_t *masks;                         /* LINES + 2 lines */
    float *line, *weight, *series, *values; /* ny each; line: one of the block */
    float complex *half;                    /* ny / 2 + 1 */
    const uint8_t *mask, *before;           /* of this line, of the one before */
    size_t n_plain;
};

static double low_pass(double frequency)
{
    if (frequency <= HALF_POWER - KILL_WIDTH / 2) {
        return 1;
    }
    if (frequency > HALF_POWER + KILL_WIDTH / 2) {
        return 0;
    }
    return (1 + cos(M_PI * (frequency - HALF_POWER) / KILL_WIDTH + M_PI / 2)) / 2;
}

/* ---- one line ---- */

/* Outliers take the median's value. */
static void fill_outliers(struct scratch *s, size_t n, size_t used)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        s->values[k] = s->line[i];
        k += s->mask[i];
    }
    const float median = robust_median(s->values, used);
    for (k = 0; k < used; k++) {
        s->values[k] = fabsf(s->values[k] - median);
    }
    const double limit =
        OUTLIER_SIGMA * 1.4826 * (double)robust_median(s->values, used);
    for (size_t i = 0; i < n; i++) {
        if (fabs((double)s->line[i] - (double)median) > limit) {
            s->line[i] = median;
        }
    }
}

/*
 * Squared weights: the reciprocal of the local density of used pixels. As in the peer the
 * density is that of the line read before, one pixel on; where that has none, no weight.
 */
static void weigh(const struct loop *l, struct scratch *s, size_t n)
{
    s->series[0] = s->before[n - 1];
    for (size_t i = 1; i < n; i++) {
        s->series[i] = s->before[i - 1];
    }
    fft_forward(l->fft, s->series, s->half);
    for (size_t k = 0; k <= n / 2; k++) {
        s->half[k] *= l->density[k];
    }
    fft_inverse(l->fft, s->half, s->series);
    for (size_t i = 0; i < n; i++) {
        const float d = s->series[i] / (float)n;
        const float p = s->mask[i] && d > LEAST_DENSITY ? 1 / d : 0;
        s->weight[i] = p * p;
    }
}

/* The noise of a line into s->line. */
static void fit_line(const struct loop *l, struct scratch *s, size_t n)
{
    double complex t[MAX_VECTORS * MAX_VECTORS], r[MAX_VECTORS], a[MAX_VECTORS];
    const int vectors = l->vectors;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        used += s->mask[i];
    }
    if (used == 0) {
        memset(s->line, 0, n * sizeof *s->line);
        return;
    }
    fill_outliers(s, n, used);
    weigh(l, s, n);
    memcpy(s->series, s->weight, n * sizeof *s->series);
    fft_forward(l->fft, s->series, s->half);
    for (int i = 0; i < vectors; i++) { /* Toeplitz */
        for (int k = 0; k <= i; k++) {
            t[i * vectors + k] = (double complex)s->half[i - k];
        }
    }
    for (size_t i = 0; i < n; i++) {
        s->series[i] = s->weight[i] * s->line[i];
    }
    fft_forward(l->fft, s->series, s->half);
    for (int k = 0; k < vectors; k++) {
        r[k] = (double complex)s->half[k];
    }
    s->n_plain += flicker_fourier_solve(t, r, vectors, a) < vectors;
    memset(s->half, 0, (n / 2 + 1) * sizeof *s->half);
    for (int k = 0; k < vectors; k++) {
        s->half[k] = (float complex)a[k] * l->apodizer[k];
    }
    fft_inverse(l->fft, s->half, s->line);
}

/* Columns x0..x0+n-1 of the image into lines of the block, and back. Rows are gone through
 * once, in the order of memory. */
static void gather(const struct flicker *f, size_t x0, size_t n, float *block)
{
    const size_t nx = (size_t)f->nx, ny = (size_t)f->ny, step = ny + PAD;
    for (size_t y = 0; y < ny; y++) {
        for (size_t k = 0; k < n; k++) {
            block[k * step + y] = f->image[y * nx + x0 + k];
        }
    }
}

static void gather_mask(const struct flicker *f, size_t x0, size_t n, uint8_t *block)
{
    const size_t nx = (size_t)f->nx, ny = (size_t)f->ny, step = ny + PAD;
    for (size_t y = 0; y < ny; y++) {
        for (size_t k = 0; k < n; k++) {
            block[k * step + y] = f->mask[y * nx + x0 + k];
        }
    }
}

static void scatter(const float *block, size_t x0, size_t n, struct flicker *f)
{
    const size_t nx = (size_t)f->nx, ny = (size_t)f->ny, step = ny + PAD;
    for (size_t y = 0; y < ny; y++) {
        for (size_t k = 0; k < n; k++) {
            f->noise[y * nx + x0 + k] = block[k * step + y];
        }
    }
}

static int body(size_t piece, int thread, void *arg, struct err *err)
{
    const struct loop *l = arg;
    struct scratch *s = &l->scratch[thread];
    const size_t nx = (size_t)l->f->nx, ny = (size_t)l->f->ny, x0 = piece * LINES;
    const size_t step = ny + PAD;
    const size_t n = nx - x0 < LINES ? nx - x0 : LINES;
    const size_t left = x0 > 0, right = x0 + n < nx;
    (void)err;
    gather(l->f, x0, n, s->block);
    gather_mask(l->f, x0 - left, n + left + right, s->masks);
    for (size_t k = 0; k < n; k++) {
        const size_t x = x0 + k;
        s->line = s->block + k * step;
        s->mask = s->masks + (k + left) * step;
        if (x < EDGE || x >= nx - EDGE) {
            memset(s->line, 0, ny * sizeof *s->line);
        } else {
            s->before = l->f->nrs2 ? s->mask + step : s->mask - step;
            fit_line(l, s, ny);
        }
    }
    scatter(s->block, x0, n, l->f);
    return 0;
}

/* ---- smoothing over lines ---- */

struct smoothing {
    const struct flicker *f;
    float kernel[2 * SMOOTH_REACH + 1];
    float *rows; /* nx + 2 * reach for each thread */
};

/* to[x] = sum over k of kernel[k] * from[x + k]; from has 2 * SMOOTH_REACH more. */
__attribute__((optimize("O3"))) static void
convolve(const float *kernel, const float *from, size_t n, float *to)
{
    memset(to, 0, n * sizeof *to);
    for (size_t k = 0; k <= 2 * SMOOTH_REACH; k++) {
        const float w = kernel[k], *at = from + k;
        for (size_t x = 0; x < n; x++) {
            to[x] += w * at[x];
        }
    }
}

/* A row with its ends repeated beyond each other, as in a transform, and the smoothed
 * one, which lands on the line read next. */
static int smooth_row(size_t y, int thread, void *arg, struct err *err)
{
    const struct smoothing *s = arg;
    const size_t nx = (size_t)s->f->nx, wide = nx + 2 * SMOOTH_REACH;
    float *from = s->rows + (size_t)thread * (wide + nx), *to = from + wide;
    float *row = s->f->noise + y * nx;
    (void)err;
    memcpy(from + SMOOTH_REACH, row, nx * sizeof *row);
    memcpy(from, row + nx - SMOOTH_REACH, SMOOTH_REACH * sizeof *row);
    memcpy(from + SMOOTH_REACH + nx, row, SMOOTH_REACH * sizeof *row);
    convolve(s->kernel, from, nx, to);
    if (s->f->nrs2) {
        memcpy(row, to + 1, (nx - 1) * sizeof *row);
        row[nx - 1] = to[0];
    } else {
        memcpy(row + 1, to, (nx - 1) * sizeof *row);
        row[0] = to[nx - 1];
    }
    return 0;
}

static int smooth(const struct stage_env *env, struct flicker *f, struct err *err)
{
    const size_t threads = env->par ? (size_t)par_threads(env->par) : 1;
    struct smoothing s = {.f = f};
    for (int k = -SMOOTH_REACH; k <= SMOOTH_REACH; k++) {
        s.kernel[k + SMOOTH_REACH] =
            (float)(exp(-0.5 * k * k / (SMOOTH_SIGMA * SMOOTH_SIGMA)) /
                    (SMOOTH_SIGMA * sqrt(2 * M_PI)));
    }
    s.rows =
        mem_alloc(threads * 2 * ((size_t)f->nx + SMOOTH_REACH), sizeof *s.rows, err);
    if (!s.rows) {
        return ERR_NOMEM;
    }
    int code = par_for(env->par, (size_t)f->ny, smooth_row, &s, env->cancel, err);
    free(s.rows);
    return code;
}

/* ---- the whole image ---- */

static int scratch_new(struct loop *l, size_t threads, struct err *err)
{
    const size_t n = (size_t)l->f->ny;
    l->scratch = mem_calloc(threads, sizeof *l->scratch, err);
    for (size_t i = 0; l->scratch && i < threads; i++) {
        struct scratch *s = &l->scratch[i];
        s->block = mem_alloc((LINES + 3) * (n + PAD), sizeof *s->block, err);
        s->half = mem_alloc(n / 2 + 1, sizeof *s->half, err);
        s->masks = mem_alloc((LINES + 2) * (n + PAD), 1, err);
        if (!s->block || !s->half || !s->masks) {
            return ERR_NOMEM;
        }
        s->weight = s->block + LINES * (n + PAD);
        s->series = s->weight + n;
        s->values = s->series + n;
    }
    return l->scratch ? 0 : ERR_NOMEM;
}

static void scratch_free(struct loop *l, size_t threads)
{
    for (size_t i = 0; l->scratch && i < threads; i++) {
        l->f->n_plain += l->scratch[i].n_plain;
        free(l->scratch[i].block);
        free(l->scratch[i].half);
        free(l->scratch[i].masks);
    }
    free(l->scratch);
}

static int prepare(struct loop *l, struct err *err)
{
    const size_t n = (size_t)l->f->ny;
    while (l->vectors < MAX_VECTORS && low_pass((double)l->vectors / (double)n) > 0) {
        l->apodizer[l->vectors] = (float)low_pass((double)l->vectors / (double)n);
        l->vectors++;
    }
    l->density = mem_alloc(n / 2 + 1, sizeof *l->density, err);
    if (!l->density) {
        return ERR_NOMEM;
    }
    for (size_t k = 0; k <= n / 2; k++) {
        const double w = 2 * M_PI * (double)k / (double)n * DENSITY_SIGMA;
        l->density[k] = (float)exp(-0.5 * w * w);
    }
    return fft_new(n, &l->fft, err);
}

int flicker_fft(const struct stage_env *env, struct flicker *f, struct err *err)
{
    const size_t threads = env->par ? (size_t)par_threads(env->par) : 1;
    struct loop l = {.f = f};
    int code = prepare(&l, err);
    code = code ? code : scratch_new(&l, threads, err);
    code = code ? code
                : par_for(env->par, (size_t)(f->nx + LINES - 1) / LINES, body, &l,
                          env->cancel, err);
    scratch_free(&l, threads);
    fft_free(l.fft);
    free(l.density);
    return code ? code : smooth(env, f, err);
}
