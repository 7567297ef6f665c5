#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "stages/flicker.h"

/*
 * clean_flicker_noise (alias nsclean): takes the correlated 1/f noise of the readout off
 * a rate image, by fitting it to background pixels.
 *
 * The mask of background pixels: those outside the slices and the rows of the fixed slits
 * (mask_science_regions), less what stands n_sigma above the background. The level of the
 * background is taken off before the fit and put back after it.
 * Reference: jwst user documentation, "clean_flicker_noise"; Rauscher 2023,
 * arXiv:2306.03250. Test: tests/stages/test_clean_flicker_noise.c
 */

/* ---- the steps of one exposure ---- */

static int scene_mask(const struct params *params, struct flicker *f, struct err *err)
{
    const struct exposure *e = f->exposure;
    const size_t n = exposure_pixels(e);
    const char *user_mask = params_string(params, "user_mask");
    const double sigma = params_real(params, "n_sigma");
    if (user_mask) {
        return flicker_mask_read(user_mask, e, f->mask, err);
    }
    flicker_mask_start(e, params_bool(params, "mask_science_regions"), f->mask);
    return sigma > 0 ? flicker_clip(f->image, f->mask, n, 3, sigma, false, err) : 0;
}

/* Take the background off f->image and narrow the mask. */
static int take_background(const struct params *params, struct flicker *f,
                           struct err *err)
{
    const size_t n = exposure_pixels(f->exposure);
    const double sigma = params_real(params, "n_sigma");
    if (params_is_none(params, "background_method")) {
        return 0;
    }
    int code = flicker_background(f, err);
    return !code && sigma > 0
               ? flicker_clip(f->image, f->mask, n, sigma, sigma, true, err)
               : code;
}

static int fit(const struct stage_env *env, const struct params *params,
               struct flicker *f, struct err *err)
{
    const char *method = params_string(params, "fit_method");
    if (!strcmp(method, "fft")) {
        return flicker_fft(env, f, err);
    }
    return flicker_median(env, f, params_bool(params, "fit_by_channel"), err);
}

/* Columns that have data, but no background pixel. */
static size_t empty_columns(const struct flicker *f)
{
    size_t n = 0;
    for (size_t x = 0; x < (size_t)f->nx; x++) {
        bool has_data = false, has_background = false;
        for (size_t y = 0; y < (size_t)f->ny && !has_background; y++) {
            has_data |= f->image[y * (size_t)f->nx + x] != 0;
            has_background = f->mask[y * (size_t)f->nx + x];
        }
        n += has_data && !has_background;
    }
    return n;
}

static void subtract(const struct flicker *f, struct exposure *e)
{
    const size_t n = exposure_pixels(e);
    for (size_t i = 0; i < n; i++) {
        const float flat = f->flat ? f->flat[i] : 1;
        e->sci[i] -= f->noise[i] * flat;
        if (f->variance && e->var_rnoise && e->err) {
            const float v = f->variance[i] * flat * flat;
            e->var_rnoise[i] += v;
            e->err[i] = sqrtf(e->err[i] * e->err[i] + v);
        }
    }
}

static int clean(const struct stage_env *env, const struct params *params,
                 struct flicker *f, struct exposure *e, struct err *err)
{
    const size_t n = exposure_pixels(e);
    for (size_t i = 0; i < n; i++) {
        f->image[i] = isfinite(e->sci[i]) ? e->sci[i] : 0;
    }
    int code = scene_mask(params, f, err);
    for (size_t i = 0; i < n; i++) {
        f->mask[i] &= isfinite(e->sci[i]) != 0;
    }
    if (!code && params_bool(params, "save_mask")) {
        code = flicker_keep(env, f, "mask", f->mask, NULL, err);
    }
    code = code ? code : take_background(params, f, err);
    code = code ? code : fit(env, params, f, err);
    if (code) {
        return code;
    }
    const size_t empty = empty_columns(f);
    if (empty || f->n_plain) {
        stage_warn(
            env,
            "%s: %zu of %d columns have no background pixel and stay as they are, "
            "%zu have too few for the whole fit",
            e->meta.filename, empty, f->nx, f->n_plain);
    }
    subtract(f, e);
    return 0;
}

static int one_exposure(const struct stage_env *env, const struct params *params,
                        struct exposure *e, struct err *err)
{
    const size_t n = exposure_pixels(e);
    struct flicker f = {.exposure = e, .nx = e->nx, .ny = e->ny};
    f.nrs2 = !strcmp(e->meta.detector, "NRS2");
    f.image = mem_alloc(n, sizeof *f.image, err);
    f.noise = mem_alloc(n, sizeof *f.noise, err);
    f.mask = mem_alloc(n, 1, err);
    int code = f.image && f.noise && f.mask ? 0 : ERR_NOMEM;
    code = code ? code : clean(env, params, &f, e, err);
    free(f.flat);
    free(f.image);
    free(f.mask);
    free(f.model);
    free(f.noise);
    free(f.variance);
    return code;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    return stage_each_exposure(env, params, data, one_exposure, err);
}

static const char *const types[] = {NULL};

static const struct param table[] = {
    {"fit_method", PARAM_STRING, "median", 0, 0, "fft|median", "",
     "How the noise is fitted: fft is NSClean, median that of each column", false},
    {"fit_by_channel", PARAM_BOOL, "false", 0, 0, NULL, "",
     "With median: each of the four outputs by itself", false},
    {"background_method", PARAM_STRING, "median", 0, 0, "median", "",
     "Level that is taken off before the fit and put back", true},
    {"mask_science_regions", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Leave slices, failed-open shutters and the fixed slits out of the fit", false},
    {"user_mask", PARAM_STRING, "none", 0, 0, NULL, "file",
     "FITS file of a mask to use instead, 1 on background pixels", true},
    {"n_sigma", PARAM_REAL, "2.0", 0, 100, NULL, "sigma",
     "What stands so far above the background is left out; 0 leaves all in", false},
    {"save_mask", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Write the mask of background pixels, as user_mask takes it, as <name>_mask.fits",
     false},
};

const struct stage stage_clean_flicker_noise = {
    .name = "clean_flicker_noise",
    .status_keyword = "S_CLNFNS",
    .suffix = "cfn",
    .summary = "Remove correlated 1/f noise",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
