#include "stages/pixel_replace.h"

#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "stages/adaptive_trace_model.h"
#include "stages/stage.h"

/*
 * pixel_replace: estimates the values of bad pixels, so that spectra and cubes have no gaps.
 *
 * Inputs:    calibrated exposures: SCI, DQ, ERR and variances; regions for fit_profile
 * Outputs:   the same, pixels filled: FLUX_ESTIMATED set, DO_NOT_USE taken off; in spec3 of
 *            every exposure as it is opened. PXALGO and PXNREPL in the header
 * Algorithm: pixel_replace.h
 * Agreement: jwst 3.0.0 pixel_replace, pixel by pixel; off by default as there
 */

enum algorithm { FIT_PROFILE, MINGRAD, TRACE_MODEL };

static const char *const names[] = {"fit_profile", "mingrad", "trace_model"};

struct filler {
    enum algorithm algorithm;
    int n_adjacent;
    struct stage_env env;
};

static int fill(const struct filler *f, struct exposure *e, size_t *n, struct err *err)
{
    struct par *par = f->env.par;
    int code = 0;
    switch (f->algorithm) {
    case FIT_PROFILE:
        return pixel_replace_profile(e, f->n_adjacent, par, f->env.cancel, n, err);
    case TRACE_MODEL:
        code = e->trace_model ? 0 : adaptive_trace_model_of(&f->env, e, err);
        return code ? code : pixel_replace_trace(e, par, f->env.cancel, n, err);
    default:
        return pixel_replace_mingrad(e, par, f->env.cancel, n, err);
    }
}

static int correct(void *user, struct exposure *e, bool pixels, struct err *err)
{
    const struct filler *f = user;
    size_t n = 0;
    int code = pixels ? fill(f, e, &n, err) : 0;
    if (code || !pixels) {
        return code;
    }
    code = header_set_string(&e->primary, "PXALGO", names[f->algorithm],
                             "Algorithm of pixel_replace", err);
    return code ? code
                : header_set_int(&e->primary, "PXNREPL", (long)n,
                                 "Pixels that pixel_replace has filled", err);
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    struct filler *f = mem_calloc(1, sizeof *f, err);
    if (!f) {
        return ERR_NOMEM;
    }
    while (strcmp(params_string(params, "algorithm"), names[f->algorithm])) {
        f->algorithm++; /* one of them: the table says so */
    }
    f->n_adjacent = (int)params_int(params, "n_adjacent_cols");
    f->env = *env;
    const struct corrector c = {.correct = correct, .done = free, .user = f};
    int code = dataset_correct(data, &c, err);
    for (size_t i = 0; i < data->n_exposures && !data->source && !code; i++) {
        const struct exposure *e = data->exposures[i];
        long n = 0;
        header_get_int(&e->primary, "PXNREPL", &n);
        stage_note(env, "%s: %ld pixels filled (%s)", e->meta.filename, n,
                   params_string(params, "algorithm"));
    }
    return code;
}

static const char *const types[] = {NULL};

static const struct param table[] = {
    {"algorithm", PARAM_STRING, "mingrad", 0, 0, "fit_profile|mingrad|trace_model", "",
     "mingrad: mean of the two neighbours that differ less; fit_profile: profile "
     "across "
     "the slice of the columns around; trace_model: the model of compact sources, else "
     "mingrad",
     false},
    {"n_adjacent_cols", PARAM_INT, "3", 1, 1000, NULL, "columns",
     "Columns on either side that fit_profile takes the profile from", false},
};

const struct stage stage_pixel_replace = {
    .name = "pixel_replace",
    .status_keyword = "S_PXREPL",
    .suffix = "pixel_replace",
    .summary = "Estimate the values of bad pixels",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
