#include "cli/sim/detector.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/fft.h"
#include "common/math/rng.h"

#define N ((size_t)SIM_FRAME * SIM_FRAME)
#define OUTPUTS 4
#define COLUMNS (SIM_FRAME / OUTPUTS)
#define LINE 2100 /* samples from one column to the next: the frame and the overhead */
#define EDGE 4    /* reference pixels */

/* One output's series of 1/f noise, unit standard deviation, in readout order. */
static int flicker_series(struct rng *rng, float *series, size_t n, struct err *err)
{
    float complex *spectrum = mem_alloc(n / 2 + 1, sizeof *spectrum, err);
    if (!spectrum) {
        return ERR_NOMEM;
    }
    spectrum[0] = 0;
    for (size_t k = 1; k <= n / 2; k++) {
        float amplitude = (float)(1 / sqrt((double)k));
        float re = (float)rng_normal(rng);
        spectrum[k] = amplitude * (re + (float)rng_normal(rng) * (float complex)I);
    }
    int code = fft_to_real(n, spectrum, series, err);
    free(spectrum);
    if (code) {
        return code;
    }
    double sum = 0;
    for (size_t t = 0; t < n; t++) {
        sum += (double)series[t] * (double)series[t];
    }
    float k = (float)(1 / sqrt(sum / (double)n));
    for (size_t t = 0; t < n; t++) {
        series[t] *= k;
    }
    return 0;
}

static int add_flicker(double amplitude, struct rng *rng, float *image, struct err *err)
{
    const size_t n = (size_t)COLUMNS * LINE;
    float *common = mem_alloc(n, sizeof *common, err);
    float *own = mem_alloc(n, sizeof *own, err);
    int code = common && own ? flicker_series(rng, common, n, err) : ERR_NOMEM;
    for (size_t a = 0; a < OUTPUTS && !code; a++) {
        code = flicker_series(rng, own, n, err);
        for (size_t x = 0; x < COLUMNS && !code; x++) {
            for (size_t y = 0; y < SIM_FRAME; y++) {
                size_t t = x * LINE + y;
                image[y * SIM_FRAME + a * COLUMNS + x] =
                    (float)(amplitude *
                            (0.85 * (double)common[t] + 0.5268 * (double)own[t]));
            }
        }
    }
    free(common);
    free(own);
    return code;
}

/* A faint print-through of the closed shutters and two failed-open ones. */
static double leakage_at(double x, double y)
{
    static const double trace[2][2] = {{431, 0.9}, {1320, 1.5}};
    double light = 0.02 * (0.5 + 0.5 * sin(x / 300) * cos(y / 410));
    for (int i = 0; i < 2; i++) {
        double d = (y - trace[i][0] - 0.004 * x) / 1.6;
        if (x > 150 && x < 1900 && fabs(d) < 6) {
            light += trace[i][1] * exp(-0.5 * d * d);
        }
    }
    return light;
}

static void add_cosmic_rays(long n, struct rng *rng, struct detector_frame *f)
{
    for (long i = 0; i < n; i++) {
        size_t x = EDGE + rng_below(rng, SIM_FRAME - 2 * EDGE - 3);
        size_t y = EDGE + rng_below(rng, SIM_FRAME - 2 * EDGE - 3);
        size_t w = 1 + rng_below(rng, 3), h = 1 + rng_below(rng, 3);
        float charge = (float)pow(10, -0.3 + 1.6 * rng_uniform(rng));
        for (size_t j = y; j < y + h; j++) {
            for (size_t k = x; k < x + w; k++) {
                f->sci[j * SIM_FRAME + k] += charge;
                f->cosmic[j * SIM_FRAME + k] = 1;
            }
        }
    }
}

static void add_bad_pixels(double share, struct rng *rng, struct detector_frame *f)
{
    for (size_t i = 0; i < N; i++) {
        double u = rng_uniform(rng);
        if (u < 0.8 * share) {
            f->dq[i] |= DQ_DO_NOT_USE | DQ_HOT;
            f->sci[i] += (float)(5 * rng_normal(rng));
        } else if (u < share) {
            f->dq[i] |= DQ_DO_NOT_USE | DQ_DEAD;
            f->sci[i] = NAN;
        }
        size_t x = i % SIM_FRAME, y = i / SIM_FRAME;
        if (x < EDGE || y < EDGE || x >= SIM_FRAME - EDGE || y >= SIM_FRAME - EDGE) {
            f->dq[i] |= DQ_DO_NOT_USE | DQ_REFERENCE_PIXEL;
        }
    }
}

int detector_expose(const struct detector_noise *noise, struct detector_frame *f,
                    struct err *err)
{
    struct rng rng;
    rng_init(&rng, noise->seed, 0);
    if (noise->leakage > 0) {
        for (size_t i = 0; i < N; i++) {
            f->signal[i] +=
                (float)(noise->leakage *
                        leakage_at((double)(i % SIM_FRAME), (double)(i / SIM_FRAME)));
        }
    }
    for (size_t i = 0; i < N; i++) {
        double light = (double)f->signal[i];
        double var_p = light > 0 ? light / noise->exposure_time : 0;
        double var_r = noise->read_noise * noise->read_noise;
        double drawn = noise->draw ? var_p + var_r : 0;
        f->var_poisson[i] = (float)var_p;
        f->var_rnoise[i] = (float)var_r;
        f->err[i] = (float)sqrt(var_p + var_r);
        f->sci[i] = (float)(light + sqrt(drawn) * rng_normal(&rng));
        f->dq[i] = 0;
        f->cosmic[i] = 0;
        f->flicker[i] = 0;
    }
    if (noise->flicker > 0) {
        rng_init(&rng, noise->seed, 1);
        int code = add_flicker(noise->flicker, &rng, f->flicker, err);
        if (code) {
            return code;
        }
        for (size_t i = 0; i < N; i++) {
            f->sci[i] += f->flicker[i];
        }
    }
    rng_init(&rng, noise->seed, 2);
    add_cosmic_rays(noise->cosmic_rays, &rng, f);
    rng_init(&rng, noise->seed, 3);
    add_bad_pixels(noise->bad_fraction, &rng, f);
    return 0;
}
