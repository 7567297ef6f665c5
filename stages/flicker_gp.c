#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/data/dq.h"
#include "stages/flicker_gp.h"

#define ENOUGH 3e-3       /* more rounds remove no more noise inside the slices */
#define LEAST_WHITE 1e-3F /* share of the typical variance of white noise */

struct fit {
    const struct stage_env *env;
    struct flicker f; /* with a mask of its own */
    struct gp_readout readout;
    struct fft *fft;
    float *y, *weight; /* n_outputs series of readout.n */
    struct gp_covariance covariance;
};

/* The image's background pixels as a series: their values, or 1. */
static int gather(struct fit *fit, bool values, float *series, struct err *err)
{
    const struct flicker *f = &fit->f;
    const size_t n = (size_t)f->nx * (size_t)f->ny;
    for (size_t i = 0; i < n; i++) {
        f->noise[i] = !f->mask[i] ? 0 : values ? f->image[i] : 1;
    }
    return gp_readout_gather(fit->env, &fit->readout, f->noise, series, err);
}

/*
 * Reciprocal variance of the white noise of background pixels, 0 of all others. The
 * exposure's variances say how it differs between pixels, the covariance how large it is.
 */
static int weigh(struct fit *fit, struct err *err)
{
    const struct flicker *f = &fit->f;
    const struct exposure *e = f->exposure;
    const size_t n = (size_t)f->nx * (size_t)f->ny;
    const bool known = e->var_rnoise && e->var_poisson;
    double sum = 0;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        const float flat = f->flat ? f->flat[i] : 1;
        const float v =
            known ? (e->var_rnoise[i] + e->var_poisson[i]) / (flat * flat) : 1;
        f->noise[i] = f->mask[i] && isfinite(v) && v > 0 ? v : 0;
        sum += (double)f->noise[i];
        used += f->noise[i] > 0;
    }
    const float typical = used ? (float)(sum / (double)used) : 1;
    const float white = (float)fit->covariance.white;
    for (size_t i = 0; i < n; i++) {
        const float share = f->noise[i] / typical;
        const float least = share > LEAST_WHITE ? share : LEAST_WHITE;
        f->noise[i] = share > 0 ? 1 / (white * least) : 0;
    }
    return gp_readout_gather(fit->env, &fit->readout, f->noise, fit->weight, err);
}

/*
 * The covariance, from the data in y; or from the file, but for the white noise, which
 * light adds to.
 */
static int find_covariance(struct fit *fit, struct err *err)
{
    struct gp_covariance *cov = &fit->covariance, given;
    const char *path = fit->f.covariance_file;
    int code = path ? gp_covariance_read(path, &given, err) : 0;
    code = code ? code : gather(fit, true, fit->y, err);
    code = code ? code : gather(fit, false, fit->weight, err);
    code = code ? code
                : gp_covariance_estimate(fit->env, &fit->readout, fit->fft, fit->y,
                                         fit->weight, cov, err);
    if (!code && fit->f.save_covariance) {
        code = gp_covariance_keep(fit->env, fit->f.exposure, cov, err);
    }
    if (!code && path) {
        const double ratio = cov->n_nodes ? cov->within[0] / given.within[0] : 1;
        if (ratio < 0.25 || ratio > 4) {
            stage_warn(fit->env,
                       "%s: its 1/f noise has %.2g times the variance of that in %s",
                       fit->f.exposure->meta.filename, ratio, path);
        }
        given.white = cov->n_nodes ? cov->white : given.white;
        *cov = given;
    }
    const double least = code ? 0 : (double)LEAST_WHITE * cov->within[0];
    cov->white = cov->white > least ? cov->white : least;
    return code;
}

/* f->noise, from the data in y; and f->variance. */
static int estimate(struct fit *fit, const struct gp_problem *problem, int *ret_rounds,
                    struct err *err)
{
    struct flicker *f = &fit->f;
    const size_t nx = (size_t)f->nx, ny = (size_t)f->ny;
    float *errors = mem_alloc(nx * ny, sizeof *errors, err);
    f->variance = mem_alloc(nx * ny, sizeof *f->variance, err);
    int code = errors && f->variance ? 0 : ERR_NOMEM;
    code = code ? code : gp_solve(fit->env, problem, fit->y, ENOUGH, ret_rounds, err);
    code = code ? code
                : gp_readout_scatter(fit->env, &fit->readout, fit->y, f->noise, err);
    code = code ? code : gp_errors(fit->env, problem, fit->y, ENOUGH, err);
    code =
        code ? code : gp_readout_scatter(fit->env, &fit->readout, fit->y, errors, err);
    code = code ? code : gp_mean_square(fit->env, nx, ny, errors, f->variance, err);
    free(errors);
    return code;
}

static int run(struct fit *fit, struct err *err)
{
    const struct flicker *f = &fit->f;
    const struct gp_covariance *cov = &fit->covariance;
    const size_t m = fit->readout.n / 2 + 1;
    float *spectra = mem_alloc(2 * m, sizeof *spectra, err);
    const struct gp_problem problem = {.readout = &fit->readout,
                                       .fft = fit->fft,
                                       .differences = spectra,
                                       .mean = spectra + m,
                                       .weight = fit->weight};
    int code = spectra ? find_covariance(fit, err) : ERR_NOMEM;
    if (!code && !(cov->n_nodes > 0 && cov->within[0] > 0)) {
        memset(f->noise, 0, (size_t)f->nx * (size_t)f->ny * sizeof *f->noise);
        stage_warn(fit->env, "%s: stays as it is: %s", f->exposure->meta.filename,
                   cov->n_nodes ? "no 1/f noise was found"
                                : "too few background pixels to tell how the noise "
                                  "hangs together");
        free(spectra);
        return 0;
    }
    int rounds = 0;
    code = code ? code
                : gp_covariance_spectra(cov, &fit->readout, fit->fft, spectra,
                                        spectra + m, err);
    code = code ? code : weigh(fit, err);
    code = code ? code : estimate(fit, &problem, &rounds, err);
    free(spectra);
    if (!code) {
        stage_note(fit->env,
                   "%s: read by %s; 1/f noise %.3g, of which shared by the outputs "
                   "%.3g, white noise %.3g %s; %d rounds",
                   f->exposure->meta.filename, fit->readout.name, sqrt(cov->within[0]),
                   sqrt(fmax(cov->between[0], 0)), sqrt(cov->white),
                   f->exposure->meta.bunit, rounds);
    }
    return code;
}

int flicker_gp(const struct stage_env *env, struct flicker *f, struct err *err)
{
    const struct exposure *e = f->exposure;
    const size_t n = exposure_pixels(e);
    const char *pattern = "";
    struct fit fit = {.env = env, .f = *f};
    (void)header_get_string(&e->primary, "READPATT", &pattern);
    fit.f.mask = mem_alloc(n, 1, err);
    int code = fit.f.mask ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        fit.f.mask[i] = f->mask[i] && !(e->dq && (e->dq[i] & DQ_DO_NOT_USE));
    }
    if (!code) {
        gp_readout_choose(&fit.f, strstr(pattern, "IRS2") != NULL, &fit.readout);
        const size_t samples = (size_t)fit.readout.n_outputs * fit.readout.n;
        fit.y = mem_alloc(samples, sizeof *fit.y, err);
        fit.weight = mem_alloc(samples, sizeof *fit.weight, err);
        code = fit.y && fit.weight ? fft_new_aligned(fit.readout.n, &fit.fft, err)
                                   : ERR_NOMEM;
    }
    code = code ? code : run(&fit, err);
    f->variance = fit.f.variance;
    fft_free(fit.fft);
    free(fit.y);
    free(fit.weight);
    free(fit.f.mask);
    return code;
}
