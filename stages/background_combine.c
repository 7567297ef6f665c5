#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/interp.h"
#include "stages/background_spectrum.h"
#include "stages/combine_wavelengths.h"

/* One of the spectra that are combined. Borrows the columns. */
struct input {
    const struct spectrum *s;
    const double *value, *error;
    double weight;
};

/* The sky in a source's spectrum is BACKGROUND, in that of a sky exposure everything;
 * but extended sources have no aperture, and BACKGROUND is their clipped mean. */
static bool wants_background(const struct spectrum *s)
{
    bool is_sky = false;
    return !strcmp(s->source_type, "EXTENDED") ||
           (header_get_bool(&s->primary, "BKGDTARG", &is_sky) && !is_sky);
}

static bool good(const struct input *in, size_t i)
{
    return !(in->s->dq[i] & DQ_DO_NOT_USE) && isfinite(in->s->flux[i]) &&
           isfinite(in->value[i]);
}

static bool is_monotonic(const struct spectrum *s)
{
    bool rises = s->n > 1, falls = s->n > 1;
    for (size_t i = 1; i < s->n; i++) {
        rises &= s->wavelength[i] > s->wavelength[i - 1];
        falls &= s->wavelength[i] < s->wavelength[i - 1];
    }
    return rises || falls;
}

/* What can be used of the spectra. Returns how many. */
static size_t take(const struct stage_env *env, struct spectrum *const *spectra,
                   size_t n, struct input *ret)
{
    size_t used = 0;
    for (size_t k = 0; k < n; k++) {
        const struct spectrum *s = spectra[k];
        const bool background = wants_background(s);
        struct input in = {.s = s,
                           .value = background ? s->background : s->surf_bright,
                           .error = background ? s->bkgd_error : s->sb_error,
                           .weight = s->meta.exposure_time};
        size_t rows = 0;
        for (size_t i = 0; i < s->n; i++) {
            rows += good(&in, i);
        }
        if (!rows || !is_monotonic(s)) {
            stage_warn(env, "%s is left out of the background: %s", s->filename,
                       rows ? "its wavelengths are not monotonic" : "no row is good");
            continue;
        }
        if (!(in.weight > 0)) {
            stage_warn(env, "%s has no EFFEXPTM: it counts as 1 s", s->filename);
            in.weight = 1;
        }
        ret[used++] = in;
    }
    return used;
}

/* ---- values of the result ---- */

/* Row of the result nearest to a wavelength; false outside. */
static bool nearest(const struct spectrum *s, double um, size_t *ret)
{
    const double *w = s->wavelength;
    if (!(um >= w[0] && um <= w[s->n - 1])) {
        return false;
    }
    size_t i = s->n - 1;
    double share = 0;
    if (um < w[s->n - 1]) {
        i = interp_search(w, s->n, um);
        share = (um - w[i]) / (w[i + 1] - w[i]);
    }
    *ret = (size_t)rint((double)i + share);
    return true;
}

/* The last good row of an input that falls on a row of the result counts. */
static void accumulate(const struct input *in, struct spectrum *s, double *weight,
                       bool *has, double *value, double *error)
{
    memset(has, 0, s->n * sizeof *has);
    for (size_t i = 0; i < in->s->n; i++) {
        size_t k;
        if (good(in, i) && nearest(s, in->s->wavelength[i], &k)) {
            has[k] = true;
            value[k] = in->value[i];
            error[k] = isfinite(in->error[i]) ? in->error[i] : 0;
            s->dq[k] |= in->s->dq[i];
        }
    }
    for (size_t k = 0; k < s->n; k++) {
        if (has[k]) {
            const double e = error[k] * in->weight;
            s->surf_bright[k] += value[k] * in->weight;
            s->sb_error[k] += e * e;
            s->npixels[k] += 1;
            weight[k] += in->weight;
        }
    }
}

static int combine_values(const struct input *in, size_t n, struct spectrum *s,
                          struct err *err)
{
    size_t kept = 0;
    double *weight = mem_calloc(s->n, sizeof *weight, err);
    double *value = mem_alloc(s->n, sizeof *value, err);
    double *error = mem_alloc(s->n, sizeof *error, err);
    bool *has = mem_alloc(s->n, sizeof *has, err);
    int code = weight && value && error && has ? 0 : ERR_NOMEM;
    for (size_t k = 0; k < n && !code; k++) {
        accumulate(&in[k], s, weight, has, value, error);
    }
    for (size_t k = 0; k < s->n && !code; k++) {
        if (weight[k] > 0) { /* rows without data go */
            s->wavelength[kept] = s->wavelength[k];
            s->surf_bright[kept] = s->surf_bright[k] / weight[k];
            s->sb_error[kept] = sqrt(s->sb_error[k]) / weight[k];
            s->npixels[kept] = s->npixels[k];
            s->dq[kept++] = s->dq[k];
        }
    }
    s->n = kept;
    free(weight);
    free(value);
    free(error);
    free(has);
    if (!code && kept < 2) {
        code = err_set(err, ERR_NODATA,
                       "background spectra: %zu good rows in all; two at least are "
                       "needed",
                       kept);
    }
    return code;
}

/* Rows without values, at the wavelengths that the inputs make together. */
static int make_rows(const struct input *in, size_t n, struct spectrum **ret,
                     struct err *err)
{
    double *um = NULL;
    size_t n_um = 0;
    struct spectrum *s = NULL;
    struct wavelength_list *lists = mem_calloc(n, sizeof *lists, err);
    int code = lists ? 0 : ERR_NOMEM;
    for (size_t k = 0; k < n && !code; k++) {
        lists[k] = (struct wavelength_list){in[k].s->wavelength, in[k].s->n};
    }
    code = code ? code : combine_wavelengths(lists, n, &um, &n_um, err);
    if (!code && n_um < 2) {
        code =
            err_set(err, ERR_NODATA, "background spectra: no wavelengths to combine");
    }
    if (!code) {
        s = spectrum_new(n_um, err);
        code = s ? 0 : ERR_NOMEM;
    }
    if (!code) {
        memcpy(s->wavelength, um, n_um * sizeof *um);
        *ret = s;
    }
    free(lists);
    free(um);
    return code;
}

int background_spectrum_combine(const struct stage_env *env,
                                struct spectrum *const *spectra, size_t n,
                                struct spectrum **ret, struct err *err)
{
    struct spectrum *s = NULL;
    struct input *in = mem_calloc(n, sizeof *in, err);
    if (!in) {
        return ERR_NOMEM;
    }
    const size_t used = take(env, spectra, n, in);
    int code = used ? make_rows(in, used, &s, err)
                    : err_set(err, ERR_NODATA,
                              "none of %zu background spectra can be used (first: %s)",
                              n, spectra[0]->filename);
    code = code ? code : combine_values(in, used, s, err);
    free(in);
    if (code) {
        spectrum_free(s);
        return code;
    }
    *ret = s;
    return 0;
}
