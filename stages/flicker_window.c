#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/math/fft.h"
#include "common/math/robust.h"
#include "stages/flicker.h"
#include "stages/flicker_fourier.h"

/*
 * NSClean of a window of the detector. Lines follow one another with an overhead of 12
 * ticks of 10 us, so that several are one series in time; a section has about 512
 * background pixels, and sections overlap by half. Fitted: what is slower than 1211 Hz,
 * and alternating columns (above 49943 Hz).
 * Reference: Rauscher 2023, arXiv:2306.03250; jwst user documentation.
 */
#define OVERHEAD 12 /* ticks between lines */
#define TICK 10e-6  /* s */
#define OUTLIER_SIGMA 4.0
#define MAD_TO_SIGMA 1.4825
#define LEAST_SHARE 0.05 /* of a section's pixels, to fit it */
#define SECTION_PIXELS 512

static const double edges[4] = {1061, 1211, 49943,
                                49957}; /* Hz: pass, stop, stop, pass */

struct section {
    size_t first, n; /* lines, in readout order */
    float *model;    /* n * ny; NULL: too few pixels, not fitted */
};

struct job {
    struct flicker *f;
    struct section *sections;
};

/* The column that is read as line `line`. */
static size_t column(const struct flicker *f, size_t line)
{
    return f->nrs2 ? (size_t)f->nx - 1 - line : line;
}

static double gain(double hz)
{
    if (hz < edges[0] || hz >= edges[3]) {
        return 1;
    }
    if (hz < edges[1]) {
        return (cos(M_PI * (hz - edges[0]) / (edges[1] - edges[0])) + 1) / 2;
    }
    return hz < edges[2]
               ? 0
               : (cos(M_PI * (hz - edges[2]) / (edges[3] - edges[2]) + M_PI) + 1) / 2;
}

/* ---- one section ---- */

struct fit {
    size_t ticks;
    int vectors;
    size_t *at; /* frequency of each vector, in cycles per section */
    float *weight, *series;
    float complex *half;   /* ticks / 2 + 1 */
    float complex *square; /* spectrum of the weights */
    double complex *matrix, *right, *result;
    struct fft *fft;
};

static int fit_new(struct fit *t, size_t ticks, struct err *err)
{
    const size_t half = ticks / 2 + 1;
    t->ticks = ticks;
    t->at = mem_alloc(half, sizeof *t->at, err);
    t->weight = mem_calloc(2 * ticks, sizeof *t->weight, err);
    t->half = mem_alloc(2 * half, sizeof *t->half, err);
    if (!t->at || !t->weight || !t->half) {
        return ERR_NOMEM;
    }
    t->series = t->weight + ticks;
    t->square = t->half + half;
    for (size_t k = 0; k < half; k++) {
        if (gain((double)k / ((double)ticks * TICK)) > 0) {
            t->at[t->vectors++] = k;
        }
    }
    const size_t n = (size_t)t->vectors;
    t->matrix = mem_alloc(n * n + 2 * n, sizeof *t->matrix, err);
    if (!t->matrix) {
        return ERR_NOMEM;
    }
    t->right = t->matrix + n * n;
    t->result = t->right + n;
    return fft_new(ticks, &t->fft, err);
}

static void fit_done(struct fit *t)
{
    free(t->at);
    free(t->weight);
    free(t->half);
    free(t->matrix);
    fft_free(t->fft);
}

/*
 * Squared weights: the reciprocal of the local density of used ticks, a Gaussian of an
 * eighth of the shortest wave that is fitted. As in the peer the density is that of the
 * tick before.
 */
static void weigh(const struct flicker *f, const struct section *s, struct fit *t)
{
    const size_t ny = (size_t)f->ny, nx = (size_t)f->nx, step = ny + OVERHEAD;
    const double sigma = 1 / ((edges[0] + edges[1]) / 2) / TICK / 8;
    for (size_t line = 0; line < s->n; line++) {
        const size_t x = column(f, s->first + line);
        for (size_t y = 0; y < ny; y++) {
            t->weight[line * step + y] = f->mask[y * nx + x];
        }
    }
    for (size_t i = 0; i < t->ticks; i++) {
        t->series[(i + 1) % t->ticks] = t->weight[i];
    }
    fft_forward(t->fft, t->series, t->half);
    for (size_t k = 0; k <= t->ticks / 2; k++) {
        const double w = 2 * M_PI * (double)k / (double)t->ticks * sigma;
        t->half[k] *= (float)(exp(-0.5 * w * w) / (double)t->ticks);
    }
    fft_inverse(t->fft, t->half, t->series);
    for (size_t i = 0; i < t->ticks; i++) {
        const float p = t->weight[i] > 0 ? 1 / t->series[i] : 0;
        t->weight[i] = isfinite(p) ? p * p : 0;
    }
}

/* sum of the squared weights times exp(-2 pi i k m / ticks), for any whole k. */
static double complex weights_at(const struct fit *t, size_t a, size_t b)
{
    return a >= b ? (double complex)t->square[a - b]
                  : conj((double complex)t->square[b - a]);
}

static void solve(const struct flicker *f, const struct section *s, struct fit *t)
{
    const size_t ny = (size_t)f->ny, nx = (size_t)f->nx, step = ny + OVERHEAD;
    memcpy(t->series, t->weight, t->ticks * sizeof *t->series);
    fft_forward(t->fft, t->series, t->square);
    memset(t->series, 0, t->ticks * sizeof *t->series);
    for (size_t line = 0; line < s->n; line++) {
        const size_t x = column(f, s->first + line);
        for (size_t y = 0; y < ny; y++) {
            const size_t i = line * step + y;
            t->series[i] = t->weight[i] * f->image[y * nx + x];
        }
    }
    fft_forward(t->fft, t->series, t->half);
    for (int i = 0; i < t->vectors; i++) {
        t->right[i] = (double complex)t->half[t->at[i]];
        for (int k = 0; k <= i; k++) {
            t->matrix[i * t->vectors + k] = weights_at(t, t->at[i], t->at[k]);
        }
    }
    flicker_fourier_solve(t->matrix, t->right, t->vectors, t->result);
    memset(t->half, 0, (t->ticks / 2 + 1) * sizeof *t->half);
    for (int i = 0; i < t->vectors; i++) {
        const double hz = (double)t->at[i] / ((double)t->ticks * TICK);
        t->half[t->at[i]] = (float complex)(t->result[i] * gain(hz));
    }
    fft_inverse(t->fft, t->half, t->series);
}

static int fit_section(size_t i, int thread, void *arg, struct err *err)
{
    const struct job *job = arg;
    struct section *s = &job->sections[i];
    const size_t ny = (size_t)job->f->ny, nx = (size_t)job->f->nx, step = ny + OVERHEAD;
    size_t used = 0;
    (void)thread;
    for (size_t line = 0; line < s->n; line++) {
        const size_t x = column(job->f, s->first + line);
        for (size_t y = 0; y < ny; y++) {
            used += job->f->mask[y * nx + x];
        }
    }
    if ((double)used <= LEAST_SHARE * (double)(s->n * ny)) {
        return 0;
    }
    struct fit t = {0};
    int code = fit_new(&t, s->n * step, err);
    s->model = code ? NULL : mem_alloc(s->n * ny, sizeof *s->model, err);
    if (s->model) {
        weigh(job->f, s, &t);
        solve(job->f, s, &t);
        for (size_t line = 0; line < s->n; line++) {
            memcpy(s->model + line * ny, t.series + line * step, ny * sizeof *s->model);
        }
    }
    fit_done(&t);
    return code ? code : s->model ? 0 : ERR_NOMEM;
}

/* ---- the window ---- */

/* Pixels 4 sigma from the median leave the mask, with their four neighbours. */
static int drop_outliers(struct flicker *f, struct err *err)
{
    const size_t nx = (size_t)f->nx, n = nx * (size_t)f->ny;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (f->mask[i]) {
            f->noise[used++] = f->image[i];
        }
    }
    uint8_t *out = mem_calloc(n, 1, err);
    if (!out || used == 0) {
        free(out);
        return out ? 0 : ERR_NOMEM;
    }
    const float median = robust_median(f->noise, used);
    for (size_t i = 0; i < used; i++) {
        f->noise[i] = fabsf(f->noise[i] - median);
    }
    const double limit =
        OUTLIER_SIGMA * MAD_TO_SIGMA * (double)robust_median(f->noise, used);
    for (size_t i = 0; i < n; i++) {
        out[i] = f->mask[i] && (double)fabsf(f->image[i] - median) > limit;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t x = i % nx;
        if (out[i] || (x > 0 && out[i - 1]) || (x + 1 < nx && out[i + 1]) ||
            (i >= nx && out[i - nx]) || (i + nx < n && out[i + nx])) {
            f->mask[i] = 0;
        }
    }
    free(out);
    return 0;
}

/* Background pixels of the lines before line i, i = 0..nx. */
static size_t *count_lines(const struct flicker *f, struct err *err)
{
    const size_t nx = (size_t)f->nx;
    size_t *before = mem_calloc(nx + 1, sizeof *before, err);
    for (size_t line = 0; before && line < nx; line++) {
        before[line + 1] = before[line];
        for (size_t y = 0; y < (size_t)f->ny; y++) {
            before[line + 1] += f->mask[y * nx + column(f, line)];
        }
    }
    return before;
}

/* Sections from the first line with background to the last. Room for nx of them. */
static size_t divide(const size_t *before, size_t nx, struct section *sections)
{
    size_t first = 0, end = nx, n = 0;
    while (first < nx && before[first + 1] == 0) {
        first++;
    }
    while (end > first && before[end - 1] == before[nx]) {
        end--;
    }
    while (first < end) {
        const bool is_last = 2 * (before[nx] - before[first]) <= 3 * SECTION_PIXELS;
        size_t to = first + 1;
        while (to < end && (is_last || before[to] - before[first] <= SECTION_PIXELS)) {
            to++;
        }
        sections[n] = (struct section){.first = first, .n = to - first};
        n++;
        if (to == end) {
            break;
        }
        const double half = rint((double)(to - first) / 2); /* to even, as the peer */
        first += half > 1 ? (size_t)half : 1;
    }
    return n;
}

/* The mean of the sections' models, weighted towards their middles; counts lines of
 * which there is none. */
static size_t join(struct flicker *f, const struct section *sections, size_t n,
                   double *weights)
{
    const size_t nx = (size_t)f->nx, ny = (size_t)f->ny;
    size_t left = 0;
    memset(f->noise, 0, nx * ny * sizeof *f->noise);
    for (size_t i = 0; i < n; i++) {
        const struct section *s = &sections[i];
        for (size_t k = 0; s->model && k < s->n; k++) {
            const double at = s->n > 1 ? 2.0 * (double)k / (double)(s->n - 1) - 1 : -1;
            const double w = 1.001 - fabs(at);
            const size_t x = column(f, s->first + k);
            weights[x] += w;
            for (size_t y = 0; y < ny; y++) {
                f->noise[y * nx + x] += (float)w * s->model[k * ny + y];
            }
        }
    }
    for (size_t x = 0; x < nx; x++) {
        left += weights[x] <= 0;
        for (size_t y = 0; y < ny && weights[x] > 0; y++) {
            f->noise[y * nx + x] /= (float)weights[x];
        }
    }
    return left;
}

int flicker_window(const struct stage_env *env, struct flicker *f, struct err *err)
{
    const size_t nx = (size_t)f->nx;
    struct job job = {.f = f};
    int code = drop_outliers(f, err);
    size_t *before = code ? NULL : count_lines(f, err);
    double *weights = mem_calloc(nx, sizeof *weights, err);
    job.sections = mem_calloc(nx, sizeof *job.sections, err);
    size_t n = 0;
    if (!before || !weights || !job.sections) {
        code = ERR_NOMEM;
    } else {
        n = divide(before, nx, job.sections);
        code = par_for(env->par, n, fit_section, &job, env->cancel, err);
    }
    if (!code) {
        const size_t left = join(f, job.sections, n, weights);
        if (left) {
            stage_warn(env,
                       "%s: %zu of %zu columns lie where less than one pixel in twenty "
                       "is background, and stay as they are",
                       f->exposure->meta.filename, left, nx);
        }
    }
    for (size_t i = 0; i < n; i++) {
        free(job.sections[i].model);
    }
    free(job.sections);
    free(weights);
    free(before);
    return code;
}
