#include "stages/stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/robust.h"
#include "stages/combine_wavelengths.h"

/*
 * combine_1d: spectra of one target, of any dispersers, into one.
 *
 * Inputs:  data->spectra (_x1d, each perhaps of several sources).
 * Outputs: data->spectrum, with weights and counts: a COMBINE1D for each source.
 * Each row of an input goes to the nearest element of the common grid
 * (stages/combine_wavelengths.h); rows with DO_NOT_USE or without flux do not. Elements are means
 * weighted by exposure time; errors add in quadrature. sigma_clip leaves values out that are
 * farther than so many median absolute deviations from the median of the spectra.
 * Elements that no row goes to are left out.
 * Agreement: jwst 3.0.0 combine_1d for files of one source; the peer mixes the sources of
 *          a file, which are kept apart here, by SOURCEID.
 * Test:    tests/stages/test_combine_1d.c
 */

/* Sums of the spectra of one source, spectrum by spectrum. */
struct stack {
    size_t n_spectra, n;                      /* spectra; elements of the grid */
    double *flux, *error, *bright, *sb_error; /* n_spectra x n */
    double *weight;                           /* likewise; 0: nothing here */
    uint32_t *dq;                             /* n */
};

static bool is_monotonic(const struct spectrum *s)
{
    bool up = s->n > 1, down = s->n > 1;
    for (size_t i = 1; i < s->n; i++) {
        up = up && s->wavelength[i] > s->wavelength[i - 1];
        down = down && s->wavelength[i] < s->wavelength[i - 1];
    }
    return up || down;
}

static bool has_flux(const struct spectrum *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (isfinite(s->flux[i])) {
            return true;
        }
    }
    return false;
}

static long source_id(const struct spectrum *s)
{
    long id = 0;
    header_get_int(&s->table, "SOURCEID", &id);
    return id;
}

/* The weight of a spectrum, by its headers. */
static int weight_of(const struct spectrum *s, const char *key, double *ret,
                     struct err *err)
{
    const char *keyword = !strcmp(key, "exposure_time") || !strcmp(key, "effexptm")
                              ? "EFFEXPTM"
                              : "EFFINTTM";
    *ret = 1;
    if (!strcmp(key, "unit_weight")) {
        return 0;
    }
    if (!header_get_real(&s->primary, keyword, ret) || !(*ret > 0)) {
        return err_set(err, ERR_INPUT,
                       "%s: %s is not there or not above 0; it is the weight by "
                       "combine_1d.exptime_key=%s (unit_weight does without)",
                       s->filename, keyword, key);
    }
    return 0;
}

static void stack_done(struct stack *t)
{
    free(t->flux);
    free(t->error);
    free(t->bright);
    free(t->sb_error);
    free(t->weight);
    free(t->dq);
}

static int stack_new(size_t n_spectra, size_t n, struct stack *t, struct err *err)
{
    size_t all;
    *t = (struct stack){.n_spectra = n_spectra, .n = n};
    if (mem_mul(n_spectra, n, &all)) {
        return err_set(err, ERR_NOMEM, "%zu spectra of %zu elements", n_spectra, n);
    }
    t->flux = mem_calloc(all, sizeof(double), err);
    t->error = mem_calloc(all, sizeof(double), err);
    t->bright = mem_calloc(all, sizeof(double), err);
    t->sb_error = mem_calloc(all, sizeof(double), err);
    t->weight = mem_calloc(all, sizeof(double), err);
    t->dq = mem_calloc(n, sizeof *t->dq, err);
    return t->flux && t->error && t->bright && t->sb_error && t->weight && t->dq
               ? 0
               : ERR_NOMEM;
}

/* Where a wavelength lies on the ascending grid, in elements; NaN outside. */
static double place(const double *grid, size_t n, double um)
{
    size_t low = 0, high = n;
    if (n < 2 || !(um >= grid[0] && um <= grid[n - 1])) {
        return n == 1 && um == grid[0] ? 0 : (double)NAN;
    }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (grid[middle] <= um) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low = low < n - 1 ? low : n - 2;
    return (double)low + (um - grid[low]) / (grid[low + 1] - grid[low]);
}

/* Spectrum number `row` onto the grid; of rows that fall on one element the last counts. */
static void add_spectrum(struct stack *t, size_t row, const struct spectrum *s,
                         const double *grid, double weight)
{
    for (size_t i = 0; i < s->n; i++) {
        double at = place(grid, t->n, s->wavelength[i]);
        if ((s->dq[i] & DQ_DO_NOT_USE) || isnan(s->flux[i]) || isnan(at)) {
            continue;
        }
        size_t k = (size_t)nearbyint(at), p = row * t->n + k;
        t->dq[k] |= s->dq[i];
        t->flux[p] = s->flux[i];
        t->error[p] = s->flux_error[i];
        t->bright[p] = s->surf_bright[i];
        t->sb_error[p] = s->sb_error[i];
        t->weight[p] = weight;
    }
}

/* Leave outliers out: their weight becomes 0. As in the peer it is flux times weight that
 * is compared, with one deviation for all elements. */
static int clip(struct stack *t, double sigma, struct err *err)
{
    size_t all = t->n_spectra * t->n, n_away = 0;
    double *centre = mem_alloc(t->n, sizeof *centre, err);
    double *values = mem_alloc(t->n_spectra, sizeof *values, err);
    double *away = mem_alloc(all, sizeof *away, err);
    int code = centre && values && away ? 0 : ERR_NOMEM;
    for (size_t k = 0; k < t->n && !code; k++) {
        size_t m = 0;
        for (size_t s = 0; s < t->n_spectra; s++) {
            double v = t->flux[s * t->n + k] * t->weight[s * t->n + k];
            if (v != 0) {
                values[m++] = v;
            }
        }
        centre[k] = m > 0 ? robust_median_doubles(values, m) : (double)NAN;
        for (size_t i = 0; i < m; i++) {
            away[n_away++] = fabs(values[i] - centre[k]);
        }
    }
    if (!code && n_away > 0) {
        const double deviation = robust_median_doubles(away, n_away);
        for (size_t p = 0; p < all; p++) {
            if (fabs(t->flux[p] * t->weight[p] - centre[p % t->n]) >
                sigma * deviation) {
                t->weight[p] = 0;
            }
        }
    }
    free(centre);
    free(values);
    free(away);
    return code;
}

/* Weighted means, into a spectrum without the elements that nothing went to. */
static int average(const struct stack *t, const double *grid, struct spectrum **ret,
                   struct err *err)
{
    struct spectrum *s = spectrum_new(t->n, err);
    if (!s) {
        return ERR_NOMEM;
    }
    s->weight = mem_calloc(t->n, sizeof *s->weight, err);
    s->n_inputs = mem_calloc(t->n, sizeof *s->n_inputs, err);
    if (!s->weight || !s->n_inputs) {
        spectrum_free(s);
        return ERR_NOMEM;
    }
    s->n = 0;
    for (size_t k = 0; k < t->n; k++) {
        double weight = 0, flux = 0, error = 0, bright = 0, sb_error = 0, count = 0;
        for (size_t r = 0; r < t->n_spectra; r++) {
            const size_t p = r * t->n + k;
            const double w = t->weight[p];
            if (w > 0) {
                weight += w;
                count++;
                flux += w * t->flux[p];
                error += isnan(t->error[p]) ? 0 : pow(w * t->error[p], 2);
                bright += isnan(t->bright[p]) ? 0 : w * t->bright[p];
                sb_error += isnan(t->sb_error[p]) ? 0 : pow(w * t->sb_error[p], 2);
            }
        }
        if (count > 0) {
            s->wavelength[s->n] = grid[k];
            s->flux[s->n] = flux / weight;
            s->flux_error[s->n] = sqrt(error) / weight;
            s->surf_bright[s->n] = bright / weight;
            s->sb_error[s->n] = sqrt(sb_error) / weight;
            s->dq[s->n] = t->dq[k];
            s->weight[s->n] = weight;
            s->n_inputs[s->n++] = count;
        }
    }
    *ret = s;
    return 0;
}

/* Cards of one disperser, or of one cube, say nothing of the combination. */
static const char *const of_inputs[] = {"GRATING", "FILTER", "DETECTOR", "GWA_XTIL",
                                        "GWA_YTIL"};

static int fill_header(const struct spectrum *const *inputs, size_t n,
                       struct spectrum *s, struct err *err)
{
    const struct spectrum *first = inputs[0];
    s->meta = first->meta;
    memcpy(s->source_type, first->source_type, sizeof s->source_type);
    int code = header_copy(&s->primary, &first->primary, err);
    for (size_t k = 0; k < sizeof of_inputs / sizeof *of_inputs; k++) {
        const char *text, *own = NULL;
        bool same = header_get_string(&first->primary, of_inputs[k], &own);
        for (size_t i = 1; i < n && same; i++) {
            same = header_get_string(&inputs[i]->primary, of_inputs[k], &text) &&
                   !strcmp(text, own);
        }
        if (!same && own && !code) {
            code = header_set_string(&s->primary, of_inputs[k], "MULTIPLE",
                                     "of the spectra combined", err);
        } else if (!same) {
            header_remove(&s->primary, of_inputs[k]);
        }
    }
    long id = source_id(first);
    const char *name;
    if (!code && id > 0) {
        code = header_set_int(&s->table, "SOURCEID", id, "Source ID", err);
    }
    if (!code && header_get_string(&first->table, "SRCNAME", &name)) {
        code = header_set_string(&s->table, "SRCNAME", name, "Source name", err);
    }
    return code;
}

/* Of one source. */
static int combine(const struct params *params, const struct spectrum *const *inputs,
                   size_t n, struct spectrum **ret, struct err *err)
{
    const char *key = params_string(params, "exptime_key");
    struct wavelength_list *lists = mem_alloc(n, sizeof *lists, err);
    struct spectrum *s = NULL;
    struct stack t = {0};
    double *grid = NULL;
    size_t n_grid = 0;
    int code = lists ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < n && !code; i++) {
        lists[i] = (struct wavelength_list){inputs[i]->wavelength, inputs[i]->n};
    }
    code = code ? code : combine_wavelengths(lists, n, &grid, &n_grid, err);
    code = code ? code : stack_new(n, n_grid, &t, err);
    for (size_t i = 0; i < n && !code; i++) {
        double weight;
        code = weight_of(inputs[i], key, &weight, err);
        if (!code) {
            add_spectrum(&t, i, inputs[i], grid, weight);
        }
    }
    if (!code && !params_is_none(params, "sigma_clip")) {
        code = clip(&t, params_real(params, "sigma_clip"), err);
    }
    code = code ? code : average(&t, grid, &s, err);
    code = code ? code : fill_header(inputs, n, s, err);
    stack_done(&t);
    free(grid);
    free(lists);
    if (code) {
        spectrum_free(s);
    } else {
        *ret = s;
    }
    return code;
}

/* Those that can be combined, one after another; the others are named. */
static size_t usable(const struct stage_env *env, const struct dataset *data,
                     const struct spectrum **ret)
{
    size_t n = 0;
    for (size_t i = 0; i < data->n_spectra; i++) {
        for (const struct spectrum *s = data->spectra[i]; s; s = s->next) {
            if (!has_flux(s)) {
                stage_warn(env, "%s: source %ld has no flux: left out", s->filename,
                           source_id(s));
            } else if (!is_monotonic(s)) {
                stage_warn(
                    env,
                    "%s: source %ld: the wavelengths neither ascend nor descend: "
                    "left out",
                    s->filename, source_id(s));
            } else {
                ret[n++] = s;
            }
        }
    }
    for (size_t i = 1; i < n; i++) {
        if (strcmp(ret[i]->meta.target_name, ret[0]->meta.target_name)) {
            stage_warn(env, "%s is of %s, %s of %s", ret[i]->filename,
                       ret[i]->meta.target_name, ret[0]->filename,
                       ret[0]->meta.target_name);
        }
        if (strcmp(ret[i]->source_type, ret[0]->source_type)) {
            stage_warn(env, "%s was extracted as %s, %s as %s", ret[i]->filename,
                       ret[i]->source_type, ret[0]->filename, ret[0]->source_type);
        }
    }
    return n;
}

static int run(const struct stage_env *env, const struct params *params,
               struct dataset *data, struct err *err)
{
    struct spectrum *first = NULL, **last = &first;
    size_t all = 0;
    for (size_t i = 0; i < data->n_spectra; i++) {
        for (const struct spectrum *s = data->spectra[i]; s; s = s->next) {
            all++;
        }
    }
    const struct spectrum **inputs = mem_calloc(all + 1, sizeof *inputs, err);
    const struct spectrum **same = mem_calloc(all + 1, sizeof *same, err);
    int code = inputs && same ? 0 : ERR_NOMEM;
    size_t n = code ? 0 : usable(env, data, inputs);
    if (!code && n == 0) {
        code = err_set(err, ERR_NODATA, "none of %zu spectra has flux", all);
    }
    for (size_t i = 0; i < n && !code; i++) {
        size_t n_same = 0;
        if (!inputs[i]) {
            continue; /* went with an earlier one */
        }
        const long id = source_id(inputs[i]);
        for (size_t k = i; k < n; k++) {
            if (inputs[k] && source_id(inputs[k]) == id) {
                same[n_same++] = inputs[k];
                inputs[k] = NULL;
            }
        }
        code = combine(params, same, n_same, last, err);
        if (!code) {
            stage_note(env,
                       "source %ld: %zu spectra, %zu wavelengths from %.3f to %.3f um",
                       id, n_same, (*last)->n, (*last)->wavelength[0],
                       (*last)->wavelength[(*last)->n - 1]);
            last = &(*last)->next;
        }
        stage_progress(env, (double)(i + 1) / (double)n);
    }
    free(inputs);
    free(same);
    if (code) {
        spectrum_free(first);
        return code;
    }
    spectrum_free(data->spectrum);
    data->spectrum = first;
    return 0;
}

static const char *const reference_types_used[] = {NULL};

static const struct param parameters[] = {
    {"exptime_key", PARAM_STRING, "exposure_time", 0, 0,
     "exposure_time|integration_time|effexptm|effinttm|unit_weight", "",
     "What weighs a spectrum: EFFEXPTM, EFFINTTM, or all alike", false},
    {"sigma_clip", PARAM_REAL, "none", 1e-6, 1e6, NULL, "MAD",
     "Leave values out so many median absolute deviations from the median", true},
};

const struct stage stage_combine_1d = {
    .name = "combine_1d",
    .status_keyword = "S_COMB1D",
    .suffix = "c1d",
    .summary = "Combine spectra of a target, of one or of several dispersers",
    .reference_types = reference_types_used,
    .params = parameters,
    .n_params = sizeof parameters / sizeof parameters[0],
    .run = run,
};
