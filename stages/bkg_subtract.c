#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/robust.h"
#include "stages/background_average.h"
#include "stages/background_record.h"
#include "stages/stage.h"

/*
 * bkg_subtract: takes the mean of background exposures off an exposure: dedicated ones, or
 * those of the other nods.
 *
 * Inputs:    SCI, ERR, DQ, variances; background exposures, opened one at a time
 * Outputs:   SCI, DQ (flags of all backgrounds are added); ERR and variances; VAR_BKG,
 *            the variance of what was subtracted, for those who combine exposures from
 *            which the same background was taken; BKGNEXP, BKGEXPS, BKGMED
 * Algorithm: the sigma-clipped mean (background_average.h), subtracted
 * Agreement: jwst 3.0.0 bkg_subtract. As there nothing is subtracted (S_BKDSUB = SKIPPED)
 *            where a background's GWA_XTIL or GWA_YTIL differs by more than 1e-8.
 * Beyond it: a background of another disperser, filter, detector, unit or window is an
 *            error; where no background has a value the pixel is DO_NOT_USE; the variance
 *            of the mean is added to VAR_POISSON, VAR_RNOISE, VAR_FLAT and ERR, each kind
 *            separately (propagate_errors=false: not, as in the peer)
 */

/* The background and the exposure disagree in a keyword. */
static int differs(const struct exposure *b, const struct exposure *e,
                   const char *keyword, const char *was, const char *expected,
                   struct err *err)
{
    return err_set(err, ERR_INPUT, "%s: %s is '%s'; a background for %s must have '%s'",
                   b->meta.filename, keyword, was, e->meta.filename, expected);
}

static int check_texts(const struct exposure *b, const struct exposure *e,
                       struct err *err)
{
    const struct {
        const char *keyword, *b, *e;
    } texts[] = {{"GRATING", b->meta.grating, e->meta.grating},
                 {"FILTER", b->meta.filter, e->meta.filter},
                 {"DETECTOR", b->meta.detector, e->meta.detector},
                 {"BUNIT", b->meta.bunit, e->meta.bunit}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcasecmp(texts[i].b, texts[i].e)) {
            return differs(b, e, texts[i].keyword, texts[i].b, texts[i].e, err);
        }
    }
    return 0;
}

static int check_window(const struct exposure *b, const struct exposure *e,
                        struct err *err)
{
    const struct {
        const char *keyword;
        int b, e;
    } numbers[] = {{"SUBSIZE1", b->nx, e->nx},
                   {"SUBSIZE2", b->ny, e->ny},
                   {"SUBSTRT1", b->meta.substrt1, e->meta.substrt1},
                   {"SUBSTRT2", b->meta.substrt2, e->meta.substrt2}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].b != numbers[i].e) {
            char was[16], expected[16];
            snprintf(was, sizeof was, "%d", numbers[i].b);
            snprintf(expected, sizeof expected, "%d", numbers[i].e);
            return differs(b, e, numbers[i].keyword, was, expected, err);
        }
    }
    return 0;
}

/* NaN is near to nothing. */
static bool same_tilt(double a, double b)
{
    return fabs(a - b) <= EXPOSURE_TILT_TOLERANCE;
}

/* Headers only. *ret_fits false: said, and nothing is to be subtracted. */
static int check_one(const struct stage_env *env, const struct exposure *b,
                     const struct exposure *e, bool *ret_fits, struct err *err)
{
    int code = check_texts(b, e, err);
    code = code ? code : check_window(b, e, err);
    if (!code && !(same_tilt(b->meta.gwa_xtilt, e->meta.gwa_xtilt) &&
                   same_tilt(b->meta.gwa_ytilt, e->meta.gwa_ytilt))) {
        *ret_fits = false;
        stage_warn(env,
                   "nothing subtracted: the grating wheel was elsewhere: %s has "
                   "GWA_XTIL = %.9g, GWA_YTIL = %.9g, the background %s %.9g and %.9g",
                   e->meta.filename, e->meta.gwa_xtilt, e->meta.gwa_ytilt,
                   b->meta.filename, b->meta.gwa_xtilt, b->meta.gwa_ytilt);
    }
    return code;
}

static int check_all(const struct stage_env *env, const struct exposure_source *source,
                     const struct exposure *e, bool *ret_fit, struct err *err)
{
    *ret_fit = true;
    for (size_t i = 0; i < source->n && *ret_fit; i++) {
        struct exposure *b;
        int code = source->open(source->user, i, false, &b, err);
        if (code) {
            return code;
        }
        code = check_one(env, b, e, ret_fit, err);
        source->close(source->user, i, b);
        if (code) {
            return code;
        }
    }
    return 0;
}

/* ---- the mean ---- */

/* The names of those that were averaged. */
struct names {
    char (*list)[256];
    size_t n;
};

static int stack_all(const struct stage_env *env, const struct exposure_source *source,
                     struct background_stack *stack, struct names *names,
                     struct err *err)
{
    for (size_t i = 0; i < source->n; i++) {
        struct exposure *b;
        int code = source->open(source->user, i, true, &b, err);
        if (code) {
            return code;
        }
        memcpy(names->list[names->n++], b->meta.filename, sizeof names->list[0]);
        code = background_stack_add(stack, b, err);
        source->close(source->user, i, b);
        if (code) {
            return code;
        }
        stage_progress(env, 0.8 * (double)(i + 1) / (double)source->n);
    }
    return 0;
}

/* The mean of all backgrounds, with the headers of e. */
static int average(const struct stage_env *env, const struct params *params,
                   const struct exposure_source *source, const struct exposure *e,
                   struct exposure *ret, struct names *names, struct err *err)
{
    struct background_stack *stack = NULL;
    const long rounds =
        params_is_none(params, "maxiters") ? 0 : params_int(params, "maxiters");
    ret->meta = e->meta;
    int code = header_copy(&ret->primary, &e->primary, err);
    code = code ? code : header_copy(&ret->science, &e->science, err);
    code = code ? code : background_stack_new(e->nx, e->ny, source->n, &stack, err);
    code = code ? code : stack_all(env, source, stack, names, err);
    code = code ? code
                : background_stack_mean(stack, params_real(params, "sigma"), rounds,
                                        env->par, env->cancel, ret, err);
    background_stack_free(stack);
    return code;
}

/* ---- subtracting ---- */

static void add_variance(struct exposure *e, const struct exposure *b)
{
    const size_t n = exposure_pixels(e);
    for (size_t i = 0; i < n; i++) {
        double added = (double)b->var_poisson[i] + (double)b->var_rnoise[i];
        e->var_poisson[i] += b->var_poisson[i];
        e->var_rnoise[i] += b->var_rnoise[i];
        if (e->var_flat && b->var_flat) {
            e->var_flat[i] += b->var_flat[i];
            added += (double)b->var_flat[i];
        }
        e->err[i] = (float)sqrt((double)e->err[i] * (double)e->err[i] + added);
        e->var_background[i] = (float)added;
    }
}

static int subtract(struct exposure *e, const struct exposure *b, bool propagate,
                    struct err *err)
{
    const size_t n = exposure_pixels(e);
    for (size_t i = 0; i < n; i++) {
        e->sci[i] -= b->sci[i];
        e->dq[i] |= b->dq[i];
    }
    if (propagate) {
        e->var_background = mem_alloc(n, sizeof *e->var_background, err);
        if (!e->var_background) {
            return ERR_NOMEM;
        }
        add_variance(e, b);
    }
    return 0;
}

/* Median in the slices of what is good; 0 if there is none. */
static int level(const struct exposure *b, const uint8_t *regions, double *ret,
                 struct err *err)
{
    const size_t n = exposure_pixels(b);
    size_t used = 0;
    float *values = mem_alloc(n, sizeof *values, err);
    if (!values) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        if (!(b->dq[i] & DQ_DO_NOT_USE) && (!regions || regions[i])) {
            values[used++] = b->sci[i];
        }
    }
    *ret = used ? (double)robust_median(values, used) : 0;
    free(values);
    return 0;
}

static int record(const struct stage_env *env, struct exposure *e,
                  const struct exposure *b, const struct names *names, struct err *err)
{
    double median = 0;
    const char **list = mem_alloc(names->n, sizeof *list, err);
    for (size_t i = 0; i < names->n && list; i++) {
        list[i] = names->list[i];
    }
    int code = list ? background_record(&e->primary, list, names->n,
                                        e->var_background != NULL, err)
                    : ERR_NOMEM;
    code = code ? code : level(b, e->regions, &median, err);
    code = code ? code
                : header_set_real(&e->primary, "BKGMED", median,
                                  "Median of the background subtracted (BUNIT of rate)",
                                  err);
    if (!code) {
        stage_note(env, "%s: mean of %zu %s subtracted (%s%s), median %.4g %s",
                   e->meta.filename, names->n,
                   names->n == 1 ? "background" : "backgrounds", list[0],
                   names->n == 1 ? "" : ", ...", median, e->meta.bunit);
    }
    free(list);
    return code;
}

static int subtract_backgrounds(const struct stage_env *env,
                                const struct params *params,
                                const struct exposure_source *source,
                                struct exposure *e, struct err *err)
{
    struct names names = {mem_calloc(source->n, sizeof *names.list, err), 0};
    struct exposure *b = names.list ? exposure_new(e->nx, e->ny, err) : NULL;
    int code = b ? average(env, params, source, e, b, &names, err) : ERR_NOMEM;
    code = code ? code : subtract(e, b, params_bool(params, "propagate_errors"), err);
    code = code ? code : record(env, e, b, &names, err);
    if (!code && params_bool(params, "save_combined_background")) {
        code = stage_keep(env, "combinedbackground", b, err);
        b = NULL;
    }
    exposure_free(b);
    free(names.list);
    return code;
}

/* What the peer has for other instruments. */
static void say_unused(const struct stage_env *env, const struct params *params)
{
    static const char *const names[] = {"soss_source_percentile", "soss_bkg_percentile",
                                        "wfss_mmag_extract",      "wfss_mask",
                                        "wfss_maxiter",           "wfss_rms_stop",
                                        "wfss_outlier_percent"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!params_is_none(params, names[i])) {
            stage_warn(env,
                       "%s concerns slitless spectra of NIRISS and NIRCam alone, as in "
                       "the peer",
                       names[i]);
        }
    }
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    const struct exposure_source *source = data->backgrounds;
    bool fit = false;
    say_unused(env, params);
    if (!source || !source->n) {
        stage_note(env, "no background exposure was given: nothing to subtract");
        stage_skipped(env);
        return 0;
    }
    for (size_t i = 0; i < dataset_n(data); i++) {
        struct exposure *e;
        int code = dataset_open(data, i, true, &e, err);
        if (code) {
            return code;
        }
        code = check_all(env, source, e, &fit, err);
        if (!code && fit) {
            code = subtract_backgrounds(env, params, source, e, err);
        } else if (!code) {
            stage_skipped(env);
        }
        dataset_close(data, i, e);
        if (code) {
            return code;
        }
    }
    return 0;
}

static const char *const types[] = {NULL};

#define SLITLESS "Slitless spectra alone, as in the peer: means nothing here"

static const struct param table[] = {
    {"sigma", PARAM_REAL, "3.0", 1e-3, 1e6, NULL, "sigma",
     "What lies so far from the median of the backgrounds is left out of their mean",
     false},
    {"maxiters", PARAM_INT, "none", 1, 1e6, NULL, "",
     "Rounds of clipping; none: until nothing changes", true},
    {"save_combined_background", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Write the mean of the backgrounds as a product, _combinedbackground", false},
    {"propagate_errors", PARAM_BOOL, "true", 0, 0, NULL, "",
     "Add the variance of what is subtracted; false: not, as in the peer", false},
    {"soss_source_percentile", PARAM_REAL, "none", 0, 100, NULL, "", SLITLESS, true},
    {"soss_bkg_percentile", PARAM_LIST, "none", 0, 100, NULL, "", SLITLESS, true},
    {"wfss_mmag_extract", PARAM_REAL, "none", 0, 0, NULL, "", SLITLESS, true},
    {"wfss_mask", PARAM_STRING, "none", 0, 0, NULL, "file", SLITLESS, true},
    {"wfss_maxiter", PARAM_INT, "none", 0, 0, NULL, "", SLITLESS, true},
    {"wfss_rms_stop", PARAM_REAL, "none", 0, 0, NULL, "", SLITLESS, true},
    {"wfss_outlier_percent", PARAM_REAL, "none", 0, 0, NULL, "", SLITLESS, true},
};

const struct stage stage_bkg_subtract = {
    .name = "bkg_subtract",
    .status_keyword = "S_BKDSUB",
    .suffix = "bsub",
    .summary = "Subtract the mean of background exposures",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
