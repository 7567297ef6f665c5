#include "stages/adaptive_trace_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "stages/trace_detector.h"
#include "stages/trace_sky.h"

/*
 * adaptive_trace_model: the light of compact sources, whose traces are tilted against the
 * rows of the detector, sampled so that single spaxels no longer swing with wavelength.
 *
 * Inputs:    calibrated exposures with WCS, slice map and errors
 * Outputs:   sampling = detector: the peer's model of each column; with oversample other
 *            than 1 planes of so many times the rows. sampling = sky (ours): samples at
 *            positions that are fixed on the sky. Keywords TRC*.
 * Reference: jwst 3.0.0, adaptive_trace_model; Law et al. 2023, AJ 166, 45 (the swing).
 *            docs/algorithms.md
 * Test:      tests/stages/test_adaptive_trace_model.c
 */

struct tracer {
    struct stage_env env; /* exposures are opened after the stage has ended */
    bool on_sky, keep;
    struct trace_settings sky;
    struct trace_detector_settings detector;
    /* Of all exposures so far: the largest figures. */
    struct trace_sky_result most;
    int most_slices; /* modelled on the detector */
};

static const struct trace_detector_settings defaults = {10, 1, 0.1, false};

static int check(const struct exposure *e, struct err *err)
{
    if (!e->sci || !e->err || !e->dq || !e->regions || !e->wcs) {
        return err_set(
            err, ERR_INPUT,
            "%s: adaptive_trace_model needs SCI, ERR, DQ, REGIONS and a WCS; "
            "run assign_wcs before",
            e->meta.filename);
    }
    if (e->sampling) {
        return err_set(err, ERR_INPUT,
                       "%s has been sampled by adaptive_trace_model before",
                       e->meta.filename);
    }
    return 0;
}

/* ---- keywords ---- */

static int write_sky(const struct trace_sky_result *r, struct header *h,
                     struct err *err)
{
    int code =
        header_set_string(h, "TRCSAMPL", "SKY", "sampling of compact sources", err);
    code = code ? code
                : header_set_int(h, "TRCSLICE", r->slices, "slices sampled anew", err);
    code =
        code ? code : header_set_int(h, "TRCCELLS", r->cells, "positions of them", err);
    if (!code && !isnan(r->before)) {
        code = header_set_real(h, "TRCSWING", r->before,
                               "swing with pixel phase, brightest position", err);
    }
    if (!code && !isnan(r->after)) {
        code =
            header_set_real(h, "TRCREST", r->after, "swing left in the samples", err);
    }
    return code;
}

static int write_detector(const struct tracer *t, int slices, struct header *h,
                          struct err *err)
{
    int code = header_set_string(h, "TRCSAMPL", "DETECTOR",
                                 "sampling of compact sources", err);
    code = code ? code : header_set_int(h, "TRCSLICE", slices, "slices modelled", err);
    return code ? code
                : header_set_real(h, "TRCOVERS", t->detector.oversample,
                                  "rows per row of the detector", err);
}

/* The largest of two figures; NaN: unknown. */
static double larger(double a, double b)
{
    return isnan(a) || b > a ? b : a;
}

static int describe(const void *user, struct header *h, struct err *err)
{
    const struct tracer *t = user;
    return t->on_sky ? write_sky(&t->most, h, err)
                     : write_detector(t, t->most_slices, h, err);
}

/* ---- planes that are wanted, too ---- */

/* Takes the plane over. */
static int keep(const struct tracer *t, const struct exposure *e, const char *suffix,
                float *plane, struct err *err)
{
    struct exposure *k = plane ? exposure_new(e->nx, e->ny, err) : NULL;
    if (!plane) {
        return 0;
    }
    if (!k) {
        free(plane);
        return ERR_NOMEM;
    }
    k->sci = plane;
    k->meta = e->meta;
    int code = header_copy(&k->primary, &e->primary, err);
    code = code ? code : header_copy(&k->science, &e->science, err);
    if (code) {
        exposure_free(k);
        return code;
    }
    return stage_keep(&t->env, suffix, k, err);
}

static int keep_planes(const struct tracer *t, const struct exposure *e,
                       struct trace_detector_planes *planes, struct err *err)
{
    const size_t n = exposure_pixels(e);
    float *used = mem_alloc(n, sizeof *used, err);
    if (used) {
        memcpy(used, e->trace_model, n * sizeof *used);
    }
    int code = used ? 0 : ERR_NOMEM;
    struct {
        const char *suffix;
        float *plane;
    } all[] = {{"spline_full", planes->full},
               {"spline_used", used},
               {"linear_interp", planes->linear},
               {"spline_residual", planes->residual}};
    for (int i = 0; i < 4; i++) {
        if (code) {
            free(all[i].plane);
        } else {
            code = keep(t, e, all[i].suffix, all[i].plane, err);
        }
    }
    return code;
}

/* ---- one exposure ---- */

static int on_sky(struct tracer *t, struct exposure *e, struct err *err)
{
    struct trace_sky_result r;
    struct trace_settings s = t->sky;
    if (!strcasecmp(e->meta.grating, "PRISM")) {
        s.window = s.window > 30 ? s.window / 3 : s.window; /* it changes faster */
    }
    int code = trace_sky_apply(e, &s, t->env.par, t->env.cancel, &r, err);
    if (!code && !r.cells) {
        stage_note(&t->env, "%s: nothing compact and bright enough to sample anew",
                   e->meta.filename);
    } else if (!code && isnan(r.before)) {
        stage_note(&t->env, "%s: %d slices, %d positions fixed on the sky",
                   e->meta.filename, r.slices, r.cells);
    } else if (!code) {
        stage_note(&t->env,
                   "%s: %d slices, %d positions fixed on the sky; the brightest swung "
                   "by %.1f %% with the phase of the pixels, now by %.2f %%",
                   e->meta.filename, r.slices, r.cells, 100 * r.before, 100 * r.after);
    }
    t->most.slices = r.slices > t->most.slices ? r.slices : t->most.slices;
    t->most.cells = r.cells > t->most.cells ? r.cells : t->most.cells;
    t->most.before = larger(t->most.before, r.before);
    t->most.after = larger(t->most.after, r.after);
    return code ? code : write_sky(&r, &e->primary, err);
}

static int on_detector(struct tracer *t, struct exposure *e, struct err *err)
{
    struct trace_detector_planes planes = {0};
    int slices = 0;
    int code = trace_detector_apply(e, &t->detector, t->env.par, t->env.cancel,
                                    t->keep ? &planes : NULL, &slices, err);
    t->most_slices = slices > t->most_slices ? slices : t->most_slices;
    if (!code) {
        stage_note(&t->env, "%s: %d slices modelled, %g rows per row", e->meta.filename,
                   slices, t->detector.oversample);
        code = write_detector(t, slices, &e->primary, err);
    }
    if (!code && t->keep) {
        return keep_planes(t, e, &planes, err);
    }
    free(planes.full);
    free(planes.linear);
    free(planes.residual);
    return code;
}

static int correct(void *user, struct exposure *e, bool pixels, struct err *err)
{
    struct tracer *t = user;
    int code = pixels ? check(e, err) : 0;
    if (code || !pixels) {
        return code;
    }
    return t->on_sky ? on_sky(t, e, err) : on_detector(t, e, err);
}

int adaptive_trace_model_of(const struct stage_env *env, struct exposure *e,
                            struct err *err)
{
    int slices;
    if (e->trace_model) {
        return 0;
    }
    int code = check(e, err);
    return code ? code
                : trace_detector_apply(e, &defaults, env->par, env->cancel, NULL,
                                       &slices, err);
}

static void tracer_free(void *user)
{
    free(user);
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    struct tracer *t = mem_calloc(1, sizeof *t, err);
    if (!t) {
        return ERR_NOMEM;
    }
    t->env = *env;
    t->most.before = t->most.after = NAN;
    t->on_sky = !strcmp(params_string(params, "sampling"), "sky");
    t->sky.window = (int)params_int(params, "window");
    t->sky.step = params_real(params, "knot_step");
    t->detector.fit_threshold = params_real(params, "fit_threshold");
    t->detector.oversample = params_real(params, "oversample");
    t->detector.slope_limit = params_real(params, "slope_limit");
    t->detector.psf_optimal = params_bool(params, "psf_optimal");
    t->keep = params_bool(params, "save_intermediate_results");
    if (t->keep && strcmp(env->recipe, "spec2") != 0) {
        stage_warn(env,
                   "save_intermediate_results: exposures are not kept in %s; run "
                   "spec2 with it",
                   env->recipe);
        t->keep = false;
    }
    const struct corrector c = {.correct = correct,
                                .done = tracer_free,
                                .user = t,
                                .few_planes = true,
                                .describe = describe};
    return dataset_correct(data, &c, err);
}

static const char *const types[] = {NULL};

static const struct param table[] = {
    {"sampling", PARAM_STRING, "detector", 0, 0, "detector|sky", "",
     "Rows of the detector, as the peer, or positions fixed on the sky", false},
    {"fit_threshold", PARAM_REAL, "10", -1000, 1000000, NULL, "sigma",
     "Slices whose light exceeds the mean by so much are modelled; 0 or less: all "
     "(sampling = detector)",
     false},
    {"oversample", PARAM_REAL, "1", 1, 10, NULL, "",
     "Rows made of each row; 1: pixels stay, the model is only there for pixel_replace "
     "(sampling = detector)",
     false},
    {"slope_limit", PARAM_REAL, "0.1", -1000, 1000, NULL, "",
     "Slope of a normalised model above which a source is compact; 0 or less: "
     "everywhere (sampling = detector)",
     false},
    {"psf_optimal", PARAM_BOOL, "false", 0, 0, NULL, "",
     "The model alone, of all light, without what is left of the data (sampling = "
     "detector)",
     false},
    {"save_intermediate_results", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Write the models, what is interpolated and the rest as products, in spec2: "
     "_spline_full, _spline_used, _linear_interp, _spline_residual (sampling = "
     "detector)",
     false},
    {"window", PARAM_INT, "90", 10, 1000, NULL, "columns",
     "Columns to each side that a model is fitted to; a third of it for PRISM "
     "(sampling = sky)",
     false},
    {"knot_step", PARAM_REAL, "0.03", 0.01, 0.5, NULL, "arcsec",
     "Distance of the model's knots along the slice (sampling = sky)", false},
};

const struct stage stage_adaptive_trace_model = {
    .name = "adaptive_trace_model",
    .status_keyword = "S_TRCMOD",
    .suffix = "trace_model",
    .summary = "Sample compact sources so that spaxels do not swing with wavelength",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
