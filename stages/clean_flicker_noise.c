#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/data/dq.h"
#include "stages/flicker.h"
#include "stages/flicker_auto.h"
#include "stages/flicker_check.h"

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

static bool is_gp(const struct params *params)
{
    return !strcmp(params_string(params, "fit_method"), "gp");
}

/* Where the mask is cut. gp needs noise that is not cut off: at least 3 sigma. */
static double cut_sigma(const struct params *params)
{
    const double sigma = params_real(params, "n_sigma");
    return is_gp(params) && sigma > 0 && sigma < 3 ? 3 : sigma;
}

static int scene_mask(const struct stage_env *env, const struct params *params,
                      struct flicker *f, struct flicker_light *light, struct err *err)
{
    const struct exposure *e = f->exposure;
    const char *user_mask = params_string(params, "user_mask");
    const struct flicker_cut cut = {.lower = 3,
                                    .upper = cut_sigma(params),
                                    .fit_histogram =
                                        params_bool(params, "fit_histogram")};
    if (user_mask) {
        return flicker_mask_read(user_mask, e, f->mask, err);
    }
    const bool automatic = params_bool(params, "auto_mask");
    flicker_mask_start(e, automatic || params_bool(params, "mask_science_regions"),
                       f->mask);
    int code = automatic ? flicker_auto_mask(env, f, light, err) : 0;
    if (code) {
        return code;
    }
    return cut.upper > 0 ? flicker_clip(env, f, &cut, &f->level, err) : 0;
}

/* Take the background off f->image and narrow the mask. */
static int take_background(const struct stage_env *env, const struct params *params,
                           struct flicker *f, struct err *err)
{
    const double sigma = cut_sigma(params);
    const struct flicker_cut cut = {.lower = sigma, .upper = sigma, .lower_half = true};
    float rest;
    f->level = 0;
    int code = flicker_background(env, params, f, err);
    if (code || sigma <= 0 || params_is_none(params, "background_method")) {
        return code;
    }
    return flicker_clip(env, f, &cut, &rest, err);
}

static int fit(const struct stage_env *env, const struct params *params,
               struct flicker *f, struct err *err)
{
    const char *method = params_string(params, "fit_method");
    const bool is_full = flicker_is_full_frame(f);
    if (!strcmp(method, "fft")) {
        return is_full ? flicker_fft(env, f, err) : flicker_window(env, f, err);
    }
    if (is_gp(params)) {
        f->covariance_file = params_string(params, "gp_covariance_file");
        f->save_covariance = params_bool(params, "save_covariance");
        return flicker_gp(env, f, err);
    }
    bool by_channel = params_bool(params, "fit_by_channel");
    if (by_channel && !is_full) {
        stage_warn(env, "%s: fit_by_channel needs a full frame, and is left out",
                   f->exposure->meta.filename);
        by_channel = false;
    }
    return flicker_median(env, f, by_channel, err);
}

/* Columns that have data, but no background pixel. */
static size_t empty_columns(const struct flicker *f)
{
    size_t n = 0;
    for (size_t x = 0; x < (size_t)f->nx; x++) {
        bool has_data = false, has_background = false;
        for (size_t y = 0; y < (size_t)f->ny && !has_background; y++) {
            const size_t i = y * (size_t)f->nx + x;
            has_data |= f->image[i] != 0 && !(f->exposure->dq[i] & DQ_DO_NOT_USE);
            has_background = f->mask[i];
        }
        n += has_data && !has_background;
    }
    return n;
}

struct change {
    const struct flicker *f;
    struct exposure *e;
};

static void subtract(void *arg, size_t first, size_t end)
{
    const struct change *c = arg;
    const struct flicker *f = c->f;
    struct exposure *e = c->e;
    for (size_t i = first; i < end; i++) {
        const float flat = f->flat ? f->flat[i] : 1;
        e->sci[i] -= f->noise[i] * flat;
        if (f->variance && e->var_rnoise && e->err) {
            const float v = f->variance[i] * flat * flat;
            e->var_rnoise[i] += v;
            e->err[i] = sqrtf(e->err[i] * e->err[i] + v);
        }
    }
}

static void start(void *arg, size_t first, size_t end)
{
    struct flicker *f = arg;
    const float *sci = f->exposure->sci;
    for (size_t i = first; i < end; i++) {
        f->image[i] = isfinite(sci[i]) ? sci[i] / (f->flat ? f->flat[i] : 1) : 0;
    }
}

static void mask_finite(void *arg, size_t first, size_t end)
{
    struct flicker *f = arg;
    for (size_t i = first; i < end; i++) {
        f->mask[i] &= isfinite(f->exposure->sci[i]) != 0;
    }
}

/* The planes that were asked for, in the peer's sense: the noise is what was added to the
 * exposure. Overwrites f->noise. */
static int keep_planes(const struct stage_env *env, const struct params *params,
                       struct flicker *f, struct err *err)
{
    const struct exposure *e = f->exposure;
    const size_t n = exposure_pixels(e);
    int code = 0;
    if (params_bool(params, "save_background")) {
        if (!f->model) {
            f->model = mem_alloc(n, sizeof *f->model, err);
            code = f->model ? 0 : ERR_NOMEM;
            for (size_t i = 0; !code && i < n; i++) {
                f->model[i] = f->level;
            }
        }
        code = code ? code : flicker_keep(env, f, "flicker_bkg", NULL, f->model, err);
    }
    if (!code && params_bool(params, "save_noise")) {
        for (size_t i = 0; i < n; i++) {
            const float flat = f->flat ? f->flat[i] : 1;
            f->noise[i] = isfinite(e->sci[i]) ? -f->noise[i] * flat : NAN;
        }
        code = flicker_keep(env, f, "flicker_noise", NULL, f->noise, err);
    }
    return code;
}

/* Why nothing can be cleaned, before a mask is made, or NULL. */
static const char *out_of_reach(const struct params *params)
{
    const char *background = params_string(params, "background_method");
    return background && !strcmp(background, "median_image")
               ? "median_image needs several integrations, a rate image has one"
               : NULL;
}

static int leave_as_is(const struct stage_env *env, struct exposure *e, const char *why,
                       struct err *err)
{
    stage_warn(env, "%s: left as it is: %s", e->meta.filename, why);
    stage_skipped(env);
    return header_set_string(&e->primary, "CFN_LEFT", why,
                             "why 1/f noise was not subtracted", err);
}

static int tell_columns(const struct stage_env *env, const struct flicker *f,
                        struct exposure *e, struct err *err)
{
    const size_t empty = empty_columns(f);
    if (empty || f->n_plain) {
        stage_warn(env,
                   "%s: %zu of %d columns have no background pixel and stay as they "
                   "are, %zu have too few for the whole fit",
                   e->meta.filename, empty, f->nx, f->n_plain);
    }
    int code = header_set_int(&e->primary, "CFN_NOBG", (long)empty,
                              "columns without background, not cleaned", err);
    return code ? code
                : header_set_int(&e->primary, "CFN_FEW", (long)f->n_plain,
                                 "lines fitted with fewer vectors", err);
}

static int clean(const struct stage_env *env, const struct params *params,
                 struct flicker *f, struct flicker_check *check, struct exposure *e,
                 struct err *err)
{
    const size_t n = exposure_pixels(e);
    int code = params_bool(params, "apply_flat_field") ? flicker_flat(env, f, err) : 0;
    code = code ? code : flicker_pixels(env, f, start, f, err);
    code = code ? code : scene_mask(env, params, f, &check->light, err);
    code = code ? code : flicker_pixels(env, f, mask_finite, f, err);
    if (!code && params_bool(params, "save_mask")) {
        code = flicker_keep(env, f, "mask", f->mask, NULL, err);
    }
    if (!code && !memchr(f->mask, 1, n)) {
        return leave_as_is(env, e, "the mask has no background pixel", err);
    }
    code = code ? code : take_background(env, params, f, err);
    flicker_forget(f);
    code = code ? code : flicker_check_before(env, params, f, check, err);
    if (!code && check->verdict == FLICKER_CLEAN) {
        code = fit(env, params, f, err);
        code = code ? code : flicker_check_after(env, params, f, e, check, err);
    }
    if (!code && check->verdict != FLICKER_CLEAN) {
        return leave_as_is(env, e, flicker_verdict_text(check->verdict), err);
    }
    struct change change = {f, e};
    code = code ? code : flicker_pixels(env, f, subtract, &change, err);
    if (!code) {
        /* gp cleans columns without background, too */
        code = is_gp(params) ? 0 : tell_columns(env, f, e, err);
    }
    return code ? code : keep_planes(env, params, f, err);
}

static int one_exposure(const struct stage_env *env, const struct params *params,
                        struct exposure *e, struct err *err)
{
    const size_t n = exposure_pixels(e);
    const char *why = out_of_reach(params);
    if (params_bool(params, "autoparam")) {
        stage_warn(env, "%s: autoparam has no rules for %s; parameters are as given",
                   e->meta.filename, e->meta.exp_type);
    }
    if (why) {
        return leave_as_is(env, e, why, err);
    }
    struct flicker f = {.exposure = e, .nx = e->nx, .ny = e->ny};
    f.nrs2 = !strcmp(e->meta.detector, "NRS2");
    f.image = mem_alloc(n, sizeof *f.image, err);
    f.noise = mem_alloc(n, sizeof *f.noise, err);
    f.mask = mem_alloc(n, 1, err);
    int code = f.image && f.noise && f.mask ? 0 : ERR_NOMEM;
    struct flicker_check check = {0};
    code = code ? code : clean(env, params, &f, &check, e, err);
    flicker_check_done(&check);
    flicker_forget(&f);
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

static const char *const types[] = {"flat", NULL}; /* optional */

static const struct param table[] = {
    {"autoparam", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Choose parameters from the exposure: there are no rules for NIRSpec, so it warns",
     false},
    {"fit_method", PARAM_STRING, "median", 0, 0, "fft|gp|median", "",
     "How the noise is fitted: fft is NSClean, gp the best linear estimate, median "
     "that "
     "of each column",
     false},
    {"fit_by_channel", PARAM_BOOL, "false", 0, 0, NULL, "",
     "With median, of a full frame: each of the four outputs by itself", false},
    {"background_method", PARAM_STRING, "median", 0, 0, "median|model|median_image", "",
     "What is taken off before the fit and put back: a level, or a smooth model; "
     "median_image needs several integrations, so that a rate image stays as it is",
     true},
    {"background_box_size", PARAM_LIST, "none", 1, 2048, NULL, "pixel",
     "Rows and columns of a box of the model; none: the largest up to 32 that fits "
     "evenly",
     true},
    {"fit_histogram", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Level and sigma for n_sigma from a Gaussian fitted to a histogram", false},
    {"mask_science_regions", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Leave slices, failed-open shutters and the fixed slits out of the fit", false},
    {"apply_flat_field", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Divide by the image that override_flat names before the fit, and multiply after "
     "it",
     false},
    {"user_mask", PARAM_STRING, "none", 0, 0, NULL, "file",
     "FITS file of a mask to use instead, 1 on background pixels", true},
    {"n_sigma", PARAM_REAL, "2.0", 0, 100, NULL, "sigma",
     "What stands so far above the background is left out; 0 leaves all in; gp: at "
     "least 3",
     false},
    {"single_mask", PARAM_BOOL, "true", 0, 0, NULL, "",
     "One mask for all integrations: a rate image has one, so that both are the same",
     false},
    {"auto_mask", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Not in the peer: leave light outside the slices out of the fit, found by itself",
     false},
    {"hold_out", PARAM_REAL, "0", 0, 0.5, NULL, "",
     "Not in the peer: share of background pixels kept out of the fit, to measure on "
     "them the noise before and after",
     false},
    {"guard", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Not in the peer: leave an exposure as it is where cleaning would do harm", false},
    {"gp_covariance_file", PARAM_STRING, "none", 0, 0, NULL, "file",
     "With gp: take the noise's covariance from this file, not from the exposure",
     true},
    {"save_covariance", PARAM_BOOL, "false", 0, 0, NULL, "",
     "With gp: write the exposure's covariance, as gp_covariance_file takes it, as "
     "<name>_covariance.fits",
     false},
    {"save_mask", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Write the mask of background pixels, as user_mask takes it, as <name>_mask.fits",
     false},
    {"save_background", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Write what background_method took off as <name>_flicker_bkg.fits", false},
    {"save_noise", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Write what was added to the exposure as <name>_flicker_noise.fits", false},
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
