#include "stages/imprint.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/data/dq.h"
#include "stages/stage.h"

/*
 * imprint_subtract: takes the light that leaks through the MSA off an exposure: a leakage
 * exposure (imprint), taken with the IFU shut, is subtracted.
 *
 * Needs the dataset's imprints; with fit_amplitude also regions (assign_wcs). Changes SCI
 * and DQ; ERR, VAR_POISSON and VAR_RNOISE too, unless propagate_errors is false (the
 * peer leaves them). Neither exposure has a VAR_FLAT yet. Which imprint: imprint_match;
 * how much of it: imprint_fit_amplitude, else 1. Both stand in the primary header.
 * Without an imprint that may be used the exposure stays as it is.
 * Reference: jwst user documentation, "imprint_subtract".
 * Test: tests/stages/test_imprint_subtract.c
 */

#define WORST_ERROR 0.1 /* of an amplitude, relative: worse is no measurement */

struct subtraction {
    struct imprint_choice choice;
    struct imprint_amplitude amplitude;
    const char *fit; /* "off", "fitted", "refused" */
    const char *file;
};

static const char *how_text(enum imprint_how how)
{
    switch (how) {
    case IMPRINT_SOLE:
        return "sole";
    case IMPRINT_MATCH:
        return "match";
    case IMPRINT_REMAINING:
        return "remaining";
    case IMPRINT_NEAREST:
        return "nearest";
    case IMPRINT_NONE:
        break;
    }
    return "none";
}

/* The keywords of all imprints; each must fit the exposure. */
static int read_candidates(const struct exposure_source *source,
                           const struct exposure *e, struct exposure_meta *ret,
                           struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < source->n && !code; i++) {
        struct exposure *imprint = NULL;
        code = source->open(source->user, i, false, &imprint, err);
        if (!code) {
            code = imprint_check(e, imprint, err);
            ret[i] = imprint->meta;
            source->close(source->user, i, imprint);
        }
    }
    return code;
}

/* Fit the amplitude, or say why it stays 1. */
static int find_amplitude(const struct stage_env *env, const struct params *params,
                          const struct exposure *e, const struct exposure *imprint,
                          struct subtraction *s, struct err *err)
{
    const double least = params_real(params, "amplitude_min");
    const double most = params_real(params, "amplitude_max");
    struct imprint_amplitude a;
    if (!params_bool(params, "fit_amplitude")) {
        return 0;
    }
    if (!e->regions) {
        return err_set(err, ERR_INPUT,
                       "%s: fit_amplitude needs assign_wcs before it: the gaps between "
                       "the slices are not known",
                       e->meta.filename);
    }
    int code = imprint_fit_amplitude(e, imprint, &a, err);
    if (code) {
        return code;
    }
    s->fit = "refused";
    if (isnan(a.value)) {
        stage_warn(env,
                   "%s: %zu pixels in the gaps between slices tell no amplitude of %s; "
                   "it is subtracted as it is",
                   e->meta.filename, a.n, imprint->meta.filename);
    } else if (!(a.value >= least && a.value <= most)) {
        stage_warn(env,
                   "%s: the amplitude of %s is fitted as %.4f +- %.4f, outside "
                   "%g to %g (amplitude_min, amplitude_max); it is subtracted as it is",
                   e->meta.filename, imprint->meta.filename, a.value, a.error, least,
                   most);
    } else if (!(a.error <= WORST_ERROR * a.value)) {
        stage_warn(env,
                   "%s: the amplitude of %s is fitted as %.4f +- %.4f, an error above "
                   "%g of it; it is subtracted as it is",
                   e->meta.filename, imprint->meta.filename, a.value, a.error,
                   WORST_ERROR);
    } else {
        s->amplitude = a;
        s->fit = "fitted";
    }
    return 0;
}

static void subtract(struct exposure *e, const struct exposure *imprint,
                     const struct imprint_amplitude *amplitude, bool errors)
{
    const double a = amplitude->value, a2 = a * a;
    const double error2 = amplitude->error * amplitude->error;
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        const double leak = (double)imprint->sci[i];
        e->sci[i] = (float)((double)e->sci[i] - a * leak);
        e->dq[i] |= imprint->dq[i];
        if (isnan(leak)) {
            e->dq[i] |= DQ_DO_NOT_USE;
        }
        if (errors) {
            const double poisson = a2 * (double)imprint->var_poisson[i];
            const double rnoise =
                a2 * (double)imprint->var_rnoise[i] + error2 * leak * leak;
            const double err = (double)e->err[i];
            e->var_poisson[i] = (float)((double)e->var_poisson[i] + poisson);
            e->var_rnoise[i] = (float)((double)e->var_rnoise[i] + rnoise);
            e->err[i] = (float)sqrt(err * err + poisson + rnoise);
        }
    }
}

static int write_keywords(struct exposure *e, const struct subtraction *s,
                          struct err *err)
{
    struct header *h = &e->primary;
    int code = header_set_string(h, "IMPRHOW", how_text(s->choice.how),
                                 "Choice of the imprint", err);
    if (code || s->choice.how == IMPRINT_NONE) {
        return code;
    }
    code = header_set_string(h, "IMPRFILE", s->file, "Imprint subtracted", err);
    if (!code) {
        code = header_set_real(h, "IMPRDIST", s->choice.distance,
                               "[arcsec] From its pointing to this one", err);
    }
    if (!code) {
        code = header_set_string(h, "IMPRFIT", s->fit, "Fit of its amplitude", err);
    }
    if (!code) {
        code = header_set_real(h, "IMPRAMP", s->amplitude.value,
                               "Its amplitude as subtracted", err);
    }
    if (!code) {
        code = header_set_real(h, "IMPRAERR", s->amplitude.error,
                               "Error of the amplitude", err);
    }
    return code;
}

/* Subtract the imprint that was chosen. */
static int use_imprint(const struct stage_env *env, const struct params *params,
                       const struct exposure_source *source, struct exposure *e,
                       struct subtraction *s, struct err *err)
{
    struct exposure *imprint = NULL;
    int code = source->open(source->user, s->choice.index, true, &imprint, err);
    if (code) {
        return code;
    }
    s->file = imprint->meta.filename;
    code = find_amplitude(env, params, e, imprint, s, err);
    if (!code) {
        subtract(e, imprint, &s->amplitude, params_bool(params, "propagate_errors"));
        stage_note(env,
                   "%s: subtracted imprint %s (%s, %.3f arcsec away), amplitude %.4f "
                   "+- %.4f (%s)",
                   e->meta.filename, s->file, how_text(s->choice.how),
                   s->choice.distance, s->amplitude.value, s->amplitude.error, s->fit);
        code = write_keywords(e, s, err);
    }
    source->close(source->user, s->choice.index, imprint);
    return code;
}

static int one_exposure(const struct stage_env *env, const struct params *params,
                        const struct exposure_source *source, struct exposure *e,
                        struct err *err)
{
    struct subtraction s = {
        .choice = {IMPRINT_NONE, 0, (double)NAN}, .amplitude = {1, 0, 0}, .fit = "off"};
    const size_t n = source ? source->n : 0;
    struct exposure_meta *candidates = mem_alloc(n + 1, sizeof *candidates, err);
    int code = candidates ? 0 : ERR_NOMEM;
    if (!code && n) {
        code = read_candidates(source, e, candidates, err);
    }
    if (!code) {
        s.choice =
            imprint_match(&e->meta, candidates, n, params_bool(params, "use_nearest"));
    }
    free(candidates);
    if (code || s.choice.how != IMPRINT_NONE) {
        return code ? code : use_imprint(env, params, source, e, &s, err);
    }
    if (n) {
        stage_warn(env,
                   "%s: none of %zu imprints matches its observation %s and dither "
                   "position %ld, and use_nearest is false; leakage is not subtracted",
                   e->meta.filename, n, e->meta.observation, e->meta.pattern_number);
    } else {
        stage_note(env, "%s: no imprint was given; leakage is not subtracted",
                   e->meta.filename);
    }
    stage_skipped(env);
    return write_keywords(e, &s, err);
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    const size_t n = dataset_n(data);
    int code = 0;
    for (size_t i = 0; i < n && !code; i++) {
        struct exposure *e;
        code = dataset_open(data, i, true, &e, err);
        if (!code) {
            code = one_exposure(env, params, data->imprints, e, err);
            dataset_close(data, i, e);
        }
    }
    return code;
}

static const char *const types[] = {NULL};

static const struct param table[] = {
    {"use_nearest", PARAM_BOOL, "true", 0, 0, NULL, "",
     "Of several imprints of which none matches use the nearest; false skips, as the "
     "peer does",
     false},
    {"fit_amplitude", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Fit the imprint's amplitude in the gaps between the slices; false takes 1, as "
     "the "
     "peer does",
     false},
    {"amplitude_min", PARAM_REAL, "0.3", 0, 1, NULL, "",
     "Lowest fitted amplitude that is believed; below it 1 is taken", false},
    {"amplitude_max", PARAM_REAL, "3", 1, 1000, NULL, "",
     "Highest fitted amplitude that is believed; above it 1 is taken", false},
    {"propagate_errors", PARAM_BOOL, "true", 0, 0, NULL, "",
     "Add the imprint's variances; false leaves the errors, as the peer does", false},
};

const struct stage stage_imprint_subtract = {
    .name = "imprint_subtract",
    .status_keyword = "S_IMPRNT",
    .suffix = "imprint_subtract",
    .summary = "Subtract light that leaks through the MSA",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
