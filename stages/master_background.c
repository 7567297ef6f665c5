#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/math/interp.h"
#include "stages/background_spectrum.h"
#include "stages/stage.h"

/*
 * master_background: takes the sky's spectrum off calibrated exposures, pixel by pixel at
 * the pixel's wavelength.
 *
 * Inputs:    x1d spectra of dedicated backgrounds, or the user's; exposures with WAVELENGTH,
 *            of a point source also PATHLOSS_PS and PATHLOSS_UN
 * Outputs:   SCI of every exposure, as it is opened; MASTERBG, MBKGLOW, MBKGHIGH; the error
 *            of the spectrum as one that all pixels of a wavelength have in common
 * Algorithm: spectra combined as the peer's combine_1d (background_spectrum.h), linear
 *            interpolation in wavelength; times uniform / point path loss for a point source
 * Never twice: where S_BKDSUB or S_MSBSUB of any exposure is COMPLETE nothing is
 *            subtracted, unless force_subtract (as in the peer)
 * Agreement: jwst 3.0.0 master_background. Where slices' boxes overlap the peer takes the
 *            wavelength of the wrong slice; this takes the pixel's own.
 * Beyond it: user_background is honoured without background members; where it does not
 *            reach, that is said (there, as in the peer, nothing is subtracted); an exposure
 *            that it does not reach at all is an error; errors propagate
 *            (propagate_errors=false: not, as in the peer)
 */

/* What each exposure has subtracted. */
struct master {
    struct stage_env env; /* for what is said when an exposure is opened */
    struct interp value, error;
    char name[256]; /* for MASTERBG */
    bool propagate;
};

static double low_of(const struct master *m)
{
    return m->value.x[0];
}

static double high_of(const struct master *m)
{
    return m->value.x[m->value.n - 1];
}

static int write_keywords(const struct master *m, struct header *h, struct err *err)
{
    int code =
        header_set_string(h, "MASTERBG", m->name, "Master background file used", err);
    code =
        code ? code
             : header_set_real(h, "MBKGLOW", low_of(m),
                               "[um] Lowest wavelength of the master background", err);
    return code ? code
                : header_set_real(h, "MBKGHIGH", high_of(m),
                                  "[um] Highest wavelength of the master background",
                                  err);
}

/* A point source was divided by another path loss than the sky it stands in. */
static const float *ratio_planes(const struct exposure *e, const float **ret_point)
{
    const bool point = !strcasecmp(e->meta.source_type, "POINT");
    *ret_point = point ? e->pathloss_ps : NULL;
    return point && e->pathloss_ps ? e->pathloss_un : NULL;
}

/* Pixels in slices, and those of them that the spectrum does not reach. */
struct reach {
    size_t n, missed;
    double low, high; /* wavelengths of the exposure, um */
};

static int say_reach(const struct master *m, const struct exposure *e,
                     const struct reach *r, struct err *err)
{
    if (r->n && r->missed == r->n) {
        return err_set(err, ERR_PARAM,
                       "master_background: %s reaches from %.4f to %.4f um, none of it "
                       "in %s (%.4f to %.4f um)",
                       m->name, low_of(m), high_of(m), e->meta.filename, r->low,
                       r->high);
    }
    if (r->missed) {
        stage_warn(
            &m->env,
            "%s reaches from %.4f to %.4f um, %s from %.4f to %.4f um: nothing is "
            "subtracted from %.2g %% of its pixels",
            m->name, low_of(m), high_of(m), e->meta.filename, r->low, r->high,
            100 * (double)r->missed / (double)r->n);
    }
    return 0;
}

static int subtract(const struct master *m, struct exposure *e, struct err *err)
{
    const size_t n = exposure_pixels(e);
    const float *point, *uniform = ratio_planes(e, &point);
    struct reach r = {0, 0, INFINITY, -INFINITY};
    size_t hint = 0;
    for (size_t i = 0; i < n; i++) {
        const double um = e->wavelength[i];
        if (isnan(um)) {
            continue;
        }
        float sky = (float)interp_at(&m->value, um, 0, 0, &hint);
        sky *= uniform ? uniform[i] / point[i] : 1;
        e->sci[i] -= sky;
        r.n++;
        r.missed += um < low_of(m) || um > high_of(m);
        r.low = fmin(r.low, um);
        r.high = fmax(r.high, um);
    }
    if (!uniform && !strcasecmp(e->meta.source_type, "POINT")) {
        stage_warn(&m->env,
                   "%s is of a point source without path loss: the background is not "
                   "corrected for it either",
                   e->meta.filename);
    }
    return say_reach(m, e, &r, err);
}

static int correct(void *user, struct exposure *e, bool pixels, struct err *err)
{
    const struct master *m = user;
    int code = write_keywords(m, &e->primary, err);
    if (code || !pixels) {
        return code;
    }
    if (!e->wavelength || !e->sci) {
        return err_set(err, ERR_INPUT,
                       "%s has no WAVELENGTH: master_background needs what assign_wcs "
                       "writes",
                       e->meta.filename);
    }
    return subtract(m, e, err);
}

/*
 * What is subtracted in a plane is a mean over some rows of the spectrum: pixels whose centres
 * lie up to a plane's width off count, the less the farther off they are (drizzle), and each
 * is interpolated between two rows. Rows that are planes of a drizzled cube are correlated
 * with their neighbours, by ROW_CORRELATION (docs/accuracy.md).
 */
#define ROW_CORRELATION 0.25
enum { SAMPLES = 16, MOST_ROWS = 64 };

static double common_error(const void *user, double um, double width_um)
{
    const struct master *m = user;
    const struct interp *t = &m->error;
    double weight[MOST_ROWS] = {0}, total = 0, variance = 0;
    const double from = fmax(um - width_um, t->x[0]);
    size_t first = 0;
    if (!m->propagate || !(um >= t->x[0] && um <= t->x[t->n - 1])) {
        return 0;
    }
    first = from < t->x[t->n - 1] ? interp_search(t->x, t->n, from) : t->n - 1;
    for (int i = 0; i < SAMPLES; i++) {
        const double off = (2 * i + 1.0) / SAMPLES - 1, v = um + off * width_um;
        if (!(v >= t->x[0] && v < t->x[t->n - 1])) {
            continue;
        }
        const size_t row = interp_search(t->x, t->n, v);
        const double share = (v - t->x[row]) / (t->x[row + 1] - t->x[row]);
        if (row - first + 1 >= MOST_ROWS) {
            break; /* rows so fine that their errors are not what is of interest */
        }
        weight[row - first] += (1 - fabs(off)) * (1 - share);
        weight[row - first + 1] += (1 - fabs(off)) * share;
        total += 1 - fabs(off);
    }
    for (size_t k = 0; k < MOST_ROWS && first + k < t->n; k++) {
        const double own = weight[k] * t->y[first + k];
        const double next = k + 1 < MOST_ROWS && first + k + 1 < t->n
                                ? weight[k + 1] * t->y[first + k + 1]
                                : 0;
        variance += own * own + 2 * ROW_CORRELATION * own * next;
    }
    return total > 0 ? sqrt(variance) / total : t->y[first];
}

static void master_free(void *user)
{
    struct master *m = user;
    if (m) {
        interp_done(&m->value);
        interp_done(&m->error);
        free(m);
    }
}

/* ---- before anything is subtracted ---- */

static bool is_complete(const struct header *h, const char *keyword)
{
    const char *status;
    return header_get_string(h, keyword, &status) && !strcasecmp(status, "COMPLETE");
}

/* From how many exposures a background was subtracted before, by their headers. */
static int look(struct dataset *data, size_t *ret, struct err *err)
{
    const size_t n = dataset_n(data);
    *ret = 0;
    for (size_t i = 0; i < n; i++) {
        struct exposure *e;
        int code = dataset_open(data, i, false, &e, err);
        if (code) {
            return code;
        }
        *ret += is_complete(&e->primary, "S_BKDSUB") ||
                is_complete(&e->primary, "S_MSBSUB");
        dataset_close(data, i, e);
    }
    return 0;
}

/* Has a background been subtracted already? */
static int is_twice(const struct stage_env *env, const struct params *params,
                    struct dataset *data, bool *ret, struct err *err)
{
    size_t before;
    const size_t n = dataset_n(data);
    int code = look(data, &before, err);
    *ret = before && !params_bool(params, "force_subtract");
    if (!code && *ret) {
        stage_warn(env,
                   "nothing subtracted: a background was subtracted before from %zu of "
                   "%zu exposures; force_subtract = true does it all the same",
                   before, n);
    } else if (!code && before) {
        stage_warn(env,
                   "force_subtract: a background was subtracted before from %zu of %zu "
                   "exposures",
                   before, n);
    }
    return code;
}

/* ---- the spectrum ---- */

/* Of a sky exposure, for the product's header. */
static int describe(const struct spectrum *from, struct spectrum *s, struct err *err)
{
    s->meta = from->meta;
    strcpy(s->source_type, "EXTENDED");
    int code = header_copy(&s->primary, &from->primary, err);
    return code ? code
                : header_set_int(&s->primary, "BKGNEXP", (long)s->npixels[0],
                                 "Background spectra averaged", err);
}

static int make_spectrum(const struct stage_env *env, const struct params *params,
                         const struct dataset *data, struct spectrum **ret,
                         char name[256], struct err *err)
{
    const char *path = params_string(params, "user_background");
    if (path) {
        if (data->n_background_spectra) {
            stage_note(env, "user_background goes before the background members");
        }
        snprintf(name, 256, "%s", path_base(path));
        return background_spectrum_read(path, ret, err);
    }
    struct spectrum *s = NULL;
    long width = params_int(params, "median_kernel");
    int code = background_spectrum_combine(env, data->background_spectra,
                                           data->n_background_spectra, &s, err);
    if (!code && width % 2 == 0) {
        width--;
        stage_note(env, "median_kernel must be odd: %ld", width);
    }
    if (!code && width > 1) {
        code = background_spectrum_smooth(s, (size_t)width, err);
    }
    code = code ? code : describe(data->background_spectra[0], s, err);
    if (code) {
        spectrum_free(s);
        return code;
    }
    snprintf(name, 256, "%s",
             data->n_background_spectra > 1 ? "MULTIPLE"
                                            : data->background_spectra[0]->filename);
    *ret = s;
    return 0;
}

static int make_master(const struct stage_env *env, const struct params *params,
                       const struct spectrum *s, const char *name, struct master **ret,
                       struct err *err)
{
    struct master *m = mem_calloc(1, sizeof *m, err);
    if (!m) {
        return ERR_NOMEM;
    }
    m->env = *env;
    strcpy(m->name, name);
    m->propagate = params_bool(params, "propagate_errors");
    int code = interp_init(&m->value, s->n, s->wavelength, s->surf_bright, err);
    code = code ? code : interp_init(&m->error, s->n, s->wavelength, s->sb_error, err);
    if (code) {
        master_free(m);
        return code;
    }
    *ret = m;
    return 0;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    struct spectrum *s = NULL;
    struct master *m = NULL;
    char name[256] = "";
    bool twice = false;
    if (!data->n_background_spectra && params_is_none(params, "user_background")) {
        stage_note(env, "no background spectrum was given: nothing to subtract");
        stage_skipped(env);
        return 0;
    }
    int code = is_twice(env, params, data, &twice, err);
    if (code || twice) {
        if (twice) {
            stage_skipped(env);
        }
        return code;
    }
    code = make_spectrum(env, params, data, &s, name, err);
    code = code ? code : make_master(env, params, s, name, &m, err);
    if (!code) {
        stage_note(env, "%s, %.4f to %.4f um, is subtracted from %zu exposures", name,
                   low_of(m), high_of(m), dataset_n(data));
        const struct corrector c = {.correct = correct,
                                    .common_error = common_error,
                                    .done = master_free,
                                    .user = m};
        code = dataset_correct(data, &c, err);
        m = NULL;
    }
    const bool is_own = params_is_none(params, "user_background");
    if (!code && is_own && params_bool(params, "save_background")) {
        code = stage_keep_spectrum(env, "masterbg1d", s, err);
        s = NULL;
    }
    master_free(m);
    spectrum_free(s);
    return code;
}

static const char *const types[] = {NULL};

static const struct param table[] = {
    {"median_kernel", PARAM_INT, "1", 1, 9999, NULL, "rows",
     "Moving median over the combined background; 1: none", false},
    {"user_background", PARAM_STRING, "none", 0, 0, NULL, "file",
     "FITS file of an x1d spectrum to subtract instead", true},
    {"save_background", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Write the combined background as a product, _masterbg1d", false},
    {"force_subtract", PARAM_BOOL, "false", 0, 0, NULL, "",
     "Subtract even if a background was subtracted before", false},
    {"propagate_errors", PARAM_BOOL, "true", 0, 0, NULL, "",
     "Add the error of what is subtracted; false: not, as in the peer", false},
};

const struct stage stage_master_background = {
    .name = "master_background",
    .status_keyword = "S_MSBSUB",
    .suffix = "mbsub",
    .summary = "Subtract the sky's spectrum, pixel by pixel",
    .reference_types = types,
    .params = table,
    .n_params = sizeof table / sizeof *table,
    .run = run,
};
