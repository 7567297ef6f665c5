#include "stages/flicker_quality.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/math/fft.h"
#include "common/math/robust.h"

#define PIXEL_SECONDS 1e-5
#define OUTLIER_SIGMA 5.0F
#define LEAST_PIXELS 32  /* of a column or output */
#define THIN_COLUMNS 0.1 /* more of them than this share: not cleaned */
#define PIECES 64        /* sums are added in this order for any number of threads */

static const double band_end_hz[FLICKER_BANDS] = {100, 1e3, 1e4, 5e4};

/* ---- pixels held out ---- */

/* A number of 0 .. 2^32 - 1 that looks random, of a pixel's place. */
static uint32_t scramble(size_t i)
{
    uint64_t z = (uint64_t)i * 0x9E3779B97F4A7C15U + 0x632BE59BD9B4E019U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return (uint32_t)(z >> 32);
}

size_t flicker_hold_out(struct flicker *f, double share, uint8_t *held)
{
    const size_t n = (size_t)f->nx * (size_t)f->ny;
    const double limit = share * 4294967296.0;
    size_t taken = 0;
    for (size_t i = 0; i < n; i++) {
        held[i] = f->mask[i] && (double)scramble(i) < limit;
        taken += held[i];
        f->mask[i] = f->mask[i] && !held[i];
    }
    return taken;
}

/* ---- power by frequency ---- */

struct series {
    const struct flicker *f;
    const uint8_t *held;
    const struct fft *fft; /* of 2 ny */
    bool after;
    double mean;
    double *power; /* PIECES * (ny + 1): sums of the columns' periodograms */
    double *pairs; /* the same of their masks */
    float *line;   /* 2 ny for each thread */
    float complex *half;
};

static float value(const struct flicker *f, size_t i, bool after)
{
    return f->image[i] - (after ? f->noise[i] : 0);
}

static void add_periodogram(const struct series *s, float *line, float complex *half,
                            double *sum)
{
    fft_forward(s->fft, line, half);
    for (size_t k = 0; k <= (size_t)s->f->ny; k++) {
        const double re = (double)crealf(half[k]), im = (double)cimagf(half[k]);
        sum[k] += re * re + im * im;
    }
}

static int piece_body(size_t piece, int thread, void *arg, struct err *err)
{
    const struct series *s = arg;
    const size_t nx = (size_t)s->f->nx, ny = (size_t)s->f->ny;
    float *line = s->line + (size_t)thread * 2 * ny;
    float complex *half = s->half + (size_t)thread * (ny + 1);
    (void)err;
    for (size_t x = piece * nx / PIECES; x < (piece + 1) * nx / PIECES; x++) {
        memset(line, 0, 2 * ny * sizeof *line);
        for (size_t y = 0; y < ny; y++) {
            const size_t i = y * nx + x;
            line[y] =
                s->held[i] ? (float)((double)value(s->f, i, s->after) - s->mean) : 0;
        }
        add_periodogram(s, line, half, s->power + piece * (ny + 1));
        memset(line, 0, 2 * ny * sizeof *line);
        for (size_t y = 0; y < ny; y++) {
            line[y] = s->held[y * nx + x];
        }
        add_periodogram(s, line, half, s->pairs + piece * (ny + 1));
    }
    return 0;
}

/* Sum the pieces and turn them into sums over pairs by lag, in line[0..ny-1]. */
static void by_lag(const struct series *s, const double *sums, float *line)
{
    const size_t ny = (size_t)s->f->ny;
    for (size_t k = 0; k <= ny; k++) {
        double sum = 0;
        for (size_t piece = 0; piece < PIECES; piece++) {
            sum += sums[piece * (ny + 1) + k];
        }
        s->half[k] = (float complex)(sum / (2 * (double)ny));
    }
    fft_inverse(s->fft, s->half, line);
}

/* Power of the band from..to (per pixel) of an autocovariance. */
static double band_power(const double *covariance, size_t ny, double from, double to)
{
    double sum = 2 * (to - from) * covariance[0];
    for (size_t lag = 1; lag < ny; lag++) {
        const double t = M_PI * (double)lag;
        sum += 2 * covariance[lag] * (sin(2 * t * to) - sin(2 * t * from)) / t;
    }
    return sum;
}

static int measure(const struct stage_env *env, struct series *s, double *ret_whole,
                   double *bands, struct err *err)
{
    const size_t nx = (size_t)s->f->nx, ny = (size_t)s->f->ny;
    double sum = 0, n = 0;
    for (size_t i = 0; i < nx * ny; i++) {
        sum += s->held[i] ? (double)value(s->f, i, s->after) : 0;
        n += s->held[i];
    }
    s->mean = sum / n;
    memset(s->power, 0, 2 * PIECES * (ny + 1) * sizeof *s->power);
    int code = par_for(env->par, PIECES, piece_body, s, env->cancel, err);
    if (code) {
        return code;
    }
    /* the lines and spectra of thread 0 have room for both */
    double *covariance = s->power;
    by_lag(s, s->pairs, s->line);
    for (size_t lag = 0; lag < ny; lag++) {
        s->pairs[lag] = (double)s->line[lag];
    }
    by_lag(s, s->power, s->line);
    for (size_t lag = 0; lag < ny; lag++) {
        const double pairs = s->pairs[lag];
        const double taper = (1 + cos(M_PI * (double)lag / (double)ny)) / 2;
        covariance[lag] = pairs > 0.5 ? taper * (double)s->line[lag] / pairs : 0;
    }
    *ret_whole = covariance[0];
    double from = 0;
    for (int b = 0; b < FLICKER_BANDS; b++) {
        const double to = band_end_hz[b] * PIXEL_SECONDS;
        bands[b] = band_power(covariance, ny, from, to);
        from = to;
    }
    return 0;
}

/* Held-out pixels that are not outliers before. */
static int choose(const struct flicker *f, const uint8_t *held, uint8_t *ret_use,
                  size_t *ret_n, struct err *err)
{
    const size_t n = (size_t)f->nx * (size_t)f->ny;
    size_t used = 0, kept = 0;
    for (size_t i = 0; i < n; i++) {
        used += held[i];
    }
    *ret_n = 0;
    if (used < 2) {
        return 0;
    }
    float *values = mem_alloc(used, sizeof *values, err);
    if (!values) {
        return ERR_NOMEM;
    }
    used = 0;
    for (size_t i = 0; i < n; i++) {
        if (held[i]) {
            values[used++] = f->image[i];
        }
    }
    const float median = robust_median(values, used);
    for (size_t i = 0; i < used; i++) {
        values[i] = fabsf(values[i] - median);
    }
    const float limit = OUTLIER_SIGMA * 1.4826F * robust_median(values, used);
    free(values);
    for (size_t i = 0; i < n; i++) {
        ret_use[i] = held[i] && fabsf(f->image[i] - median) <= limit;
        kept += ret_use[i];
    }
    *ret_n = kept;
    return 0;
}

int flicker_quality_measure(const struct stage_env *env, const struct flicker *f,
                            const uint8_t *held, struct flicker_quality *ret,
                            struct err *err)
{
    const size_t n = (size_t)f->nx * (size_t)f->ny, ny = (size_t)f->ny;
    const size_t threads = env->par ? (size_t)par_threads(env->par) : 1;
    struct flicker_quality q = {0};
    struct fft *fft = NULL;
    uint8_t *use = mem_alloc(n, 1, err);
    struct series s = {.f = f, .held = use};
    s.power = mem_alloc(2 * PIECES * (ny + 1), sizeof *s.power, err);
    s.line = mem_alloc(threads * 2 * ny, sizeof *s.line, err);
    s.half = mem_alloc(threads * (ny + 1), sizeof *s.half, err);
    int code = use && s.power && s.line && s.half ? 0 : ERR_NOMEM;
    code = code ? code : choose(f, held, use, &q.pixels, err);
    code = code ? code : fft_new(2 * ny, &fft, err);
    s.fft = fft;
    s.pairs = s.power ? s.power + PIECES * (ny + 1) : NULL;
    if (!code && q.pixels >= 2) {
        code = measure(env, &s, &q.before, q.band_before, err);
        s.after = true;
        code = code ? code : measure(env, &s, &q.after, q.band_after, err);
    }
    fft_free(fft);
    free(use);
    free(s.power);
    free(s.line);
    free(s.half);
    if (!code) {
        *ret = q;
    }
    return code;
}

/* ---- the guard ---- */

enum flicker_verdict flicker_guard_mask(const struct flicker *f, int rows)
{
    const size_t nx = (size_t)f->nx;
    size_t columns = 0, thin = 0;
    for (size_t x = 0; x < nx; x++) {
        bool has_data = false, is_thin = false;
        for (int y0 = 0; y0 < f->ny; y0 += rows) {
            const int end = y0 + rows < f->ny ? y0 + rows : f->ny;
            size_t n = 0;
            for (int y = y0; y < end; y++) {
                has_data |= f->image[(size_t)y * nx + x] != 0;
                n += f->mask[(size_t)y * nx + x];
            }
            is_thin |= n < LEAST_PIXELS;
        }
        columns += has_data;
        thin += has_data && is_thin;
    }
    return (double)thin > THIN_COLUMNS * (double)columns ? FLICKER_FEW : FLICKER_CLEAN;
}

enum flicker_verdict flicker_guard_noise(const struct flicker_quality *q)
{
    return q->pixels < 2 || q->after < q->before ? FLICKER_CLEAN : FLICKER_NO_GAIN;
}

const char *flicker_verdict_text(enum flicker_verdict v)
{
    static const char *const texts[] = {
        [FLICKER_CLEAN] = "",
        [FLICKER_FEW] = "too few background pixels in over a tenth of the columns",
        [FLICKER_LIGHT] = "scattered light is stronger than the noise",
        [FLICKER_NO_GAIN] = "background pixels held out of the fit get no less noisy",
    };
    return texts[v];
}

/* ---- the header ---- */

int flicker_quality_header(const struct flicker_quality *q, struct header *h,
                           struct err *err)
{
    static const char *const bands[FLICKER_BANDS] = {"< 100 Hz", "100 Hz - 1 kHz",
                                                     "1 - 10 kHz", "10 - 50 kHz"};
    int code = header_set_int(h, "CFN_HELD", (long)q->pixels,
                              "background pixels held out of the 1/f noise fit", err);
    for (int after = 0; after < 2 && !code; after++) {
        const char *when = after ? "after" : "before";
        const double *power = after ? q->band_after : q->band_before;
        char name[24], comment[60];
        snprintf(name, sizeof name, "CFN_%s", after ? "AFT" : "BEF");
        snprintf(comment, sizeof comment, "[(DN/s)^2] their variance %s cleaning",
                 when);
        code = header_set_real(h, name, after ? q->after : q->before, comment, err);
        for (int b = 0; b < FLICKER_BANDS && !code; b++) {
            snprintf(name, sizeof name, "CFN_%s%d", after ? "AFT" : "BEF", b + 1);
            snprintf(comment, sizeof comment, "[(DN/s)^2] %s, %s", bands[b], when);
            code = header_set_real(h, name, power[b], comment, err);
        }
    }
    return code;
}
