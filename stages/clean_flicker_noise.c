#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/math/robust.h"
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

static float masked_median(const struct flicker *f, float *values)
{
    const size_t n = (size_t)f->nx * (size_t)f->ny;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (f->mask[i]) {
            values[used++] = f->image[i];
        }
    }
    return used ? robust_median(values, used) : 0;
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

/* Take the level of the background off f->image and narrow the mask. */
static int level(const struct params *params, struct flicker *f, struct err *err)
{
    const size_t n = (size_t)f->nx * (size_t)f->ny;
    const double sigma = params_real(params, "n_sigma");
    if (params_is_none(params, "background_method")) {
        return 0;
    }
    int code = flicker_clip(f->image, f->mask, n, 3, 3, true, err);
    if (code) {
        return code;
    }
    const float background = masked_median(f, f->noise);
    for (size_t i = 0; i < n; i++) {
        f->image[i] -= background;
    }
    return sigma > 0 ? flicker_clip(f->image, f->mask, n, sigma, sigma, true, err) : 0;
}

static int clean(const struct stage_env *env, const struct params *params,
                 struct flicker *f, struct exposure *e, struct err *err)
{
    const size_t n = exposure_pixels(e);
    const double sigma = params_real(params, "n_sigma");
    const char *user_mask = params_string(params, "user_mask");
    int code = user_mask ? flicker_mask_read(user_mask, e, f->mask, err) : 0;
    if (!user_mask) {
        flicker_mask_start(e, params_bool(params, "mask_science_regions"), f->mask);
    }
    for (size_t i = 0; i < n; i++) {
        const bool is_finite = isfinite(e->sci[i]);
        f->image[i] = is_finite ? e->sci[i] : 0;
        f->mask[i] &= is_finite;
    }
    if (sigma > 0 && !user_mask) {
        code = flicker_clip(f->image, f->mask, n, 3, sigma, false, err);
    }
    code = code ? code : level(params, f, err);
    if (!code && !strcmp(params_string(params, "fit_method"), "fft")) {
        code = flicker_fft(env, f, err);
    } else if (!code) {
        code = flicker_median(env, f, params_bool(params, "fit_by_channel"), err);
    }
    for (size_t i = 0; i < n && !code; i++) {
        e->sci[i] -= f->noise[i];
    }
    const size_t empty = code ? 0 : empty_columns(f);
    if (empty || f->n_plain) {
        stage_warn(
            env,
            "%s: %zu of %d columns have no background pixel and stay as they are, "
            "%zu have too few for the whole fit",
            e->meta.filename, empty, f->nx, f->n_plain);
    }
    return code;
}

static int one_exposure(const struct stage_env *env, const struct params *params,
                        struct exposure *e, struct err *err)
{
    const size_t n = exposure_pixels(e);
    struct flicker f = {.nx = e->nx, .ny = e->ny};
    f.nrs2 = !strcmp(e->meta.detector, "NRS2");
    f.image = mem_alloc(n, sizeof *f.image, err);
    f.noise = mem_alloc(n, sizeof *f.noise, err);
    f.mask = mem_alloc(n, 1, err);
    int code = f.image && f.noise && f.mask ? 0 : ERR_NOMEM;
    code = code ? code : clean(env, params, &f, e, err);
    free(f.image);
    free(f.noise);
    free(f.mask);
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
