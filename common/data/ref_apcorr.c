#include "common/data/ref_apcorr.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/asdf.h"

#define MAX_RADII 1000

static int read_array(const struct asdf *a, const char *path, const char *key,
                      struct asdf_array *ret, struct err *err)
{
    const struct asdf_node *node = asdf_get(asdf_root(a), key);
    if (!node) {
        return err_set(err, ERR_REFERENCE,
                       "%s: %s is missing; an apcorr reference of the IFU has "
                       "apcorr_table.wavelength, radius and apcorr",
                       path, key);
    }
    int code = asdf_array(node, ret, err);
    for (size_t i = 0; !code && i < ret->n; i++) {
        if (!isfinite(ret->values[i])) {
            code =
                err_set(err, ERR_REFERENCE, "%s: %s[%zu] is not finite", path, key, i);
        }
    }
    return code;
}

static int check_shape(const struct ref_apcorr *r, const char *path,
                       const struct asdf_array *radius, const struct asdf_array *factor,
                       struct err *err)
{
    if (r->n == 0 || radius->n != factor->n || radius->n == 0 || radius->n % r->n ||
        radius->n / r->n > MAX_RADII) {
        return err_set(err, ERR_REFERENCE,
                       "%s: apcorr_table has %zu wavelengths, %zu radii and %zu "
                       "corrections; so many radii and corrections at each wavelength "
                       "are right",
                       path, r->n, radius->n, factor->n);
    }
    for (size_t i = 0; i < radius->n; i++) {
        if (radius->values[i] < 0 || !(factor->values[i] > 0)) {
            return err_set(err, ERR_REFERENCE,
                           "%s: apcorr_table: radius %g with correction %g; radii from "
                           "0 on and corrections above 0 are right",
                           path, radius->values[i], factor->values[i]);
        }
    }
    for (size_t i = 1; i < r->n; i++) {
        if (!(r->wavelength[i] > r->wavelength[i - 1])) {
            return err_set(err, ERR_REFERENCE,
                           "%s: apcorr_table.wavelength[%zu] is %g after %g; "
                           "ascending wavelengths are right",
                           path, i, r->wavelength[i], r->wavelength[i - 1]);
        }
    }
    return 0;
}

static int check_units(const struct asdf *a, const char *path, struct ref_apcorr *r,
                       struct err *err)
{
    const struct asdf_node *node =
        asdf_get(asdf_root(a), "apcorr_table.wavelength_units");
    const char *unit = "um";
    if (node && asdf_string(node, &unit) && strcmp(unit, "um") &&
        strcmp(unit, "micron") && strcmp(unit, "microns")) {
        return err_set(err, ERR_REFERENCE,
                       "%s: apcorr_table.wavelength_units is '%s'; 'micron' is right",
                       path, unit);
    }
    unit = "arcsec";
    node = asdf_get(asdf_root(a), "apcorr_table.radius_units");
    if (node) {
        asdf_string(node, &unit);
    }
    r->in_spaxels = !strncmp(unit, "pixel", 5);
    if (!r->in_spaxels && strncmp(unit, "arcsec", 6)) {
        return err_set(err, ERR_REFERENCE,
                       "%s: apcorr_table.radius_units is '%s'; 'arcsec' or 'pixels' is "
                       "right",
                       path, unit);
    }
    return 0;
}

int ref_apcorr_load(const char *path, void **ret_object, size_t *ret_bytes,
                    struct err *err)
{
    struct asdf *a = NULL;
    struct asdf_array wavelength = {0}, radius = {0}, factor = {0};
    struct ref_apcorr *r = mem_calloc(1, sizeof *r, err);
    int code = r ? asdf_read(path, &a, err) : ERR_NOMEM;
    if (code) {
        free(r);
        return code;
    }
    code = read_array(a, path, "apcorr_table.wavelength", &wavelength, err);
    code = code ? code : read_array(a, path, "apcorr_table.radius", &radius, err);
    code = code ? code : read_array(a, path, "apcorr_table.apcorr", &factor, err);
    if (!code) {
        r->n = wavelength.n;
        r->wavelength = wavelength.values;
        wavelength.values = NULL;
        code = check_shape(r, path, &radius, &factor, err);
    }
    code = code ? code : check_units(a, path, r, err);
    if (!code) {
        r->n_radii = radius.n / r->n;
        r->radius = radius.values;
        r->factor = factor.values;
        radius.values = factor.values = NULL;
        *ret_bytes = sizeof *r + (1 + 2 * r->n_radii) * r->n * sizeof(double);
        *ret_object = r;
        r = NULL;
    }
    asdf_free(a);
    free(wavelength.values);
    free(radius.values);
    free(factor.values);
    ref_apcorr_free(r);
    return code;
}

void ref_apcorr_free(void *object)
{
    struct ref_apcorr *r = object;
    if (r) {
        free(r->wavelength);
        free(r->radius);
        free(r->factor);
        free(r);
    }
}

/* Radius and factor of row i at a wavelength. */
static void row_at(const struct ref_apcorr *r, size_t i, double um, double *ret_radius,
                   double *ret_factor)
{
    const double *radius = r->radius + i * r->n, *factor = r->factor + i * r->n;
    if (r->n == 1) {
        *ret_radius = radius[0];
        *ret_factor = factor[0];
        return;
    }
    size_t hi = 1;
    while (hi < r->n - 1 && r->wavelength[hi] < um) {
        hi++;
    }
    double t =
        (um - r->wavelength[hi - 1]) / (r->wavelength[hi] - r->wavelength[hi - 1]);
    *ret_radius = radius[hi - 1] + t * (radius[hi] - radius[hi - 1]);
    *ret_factor = factor[hi - 1] + t * (factor[hi] - factor[hi - 1]);
}

/*
 * Of the rows the two are taken that stand on both sides of the radius (at the ends the
 * two outermost); rows may come in any order of radius.
 */
double ref_apcorr_at(const struct ref_apcorr *r, double um, double radius,
                     double spaxel_arcsec)
{
    double r0 = -INFINITY, r1 = INFINITY, f0 = 1, f1 = 1; /* next below, next above */
    double below = -INFINITY, above = INFINITY, fb = 1, fa = 1; /* next but one */
    if (!r->in_spaxels) {
        radius *= spaxel_arcsec;
    }
    for (size_t i = 0; i < r->n_radii; i++) {
        double at, f;
        row_at(r, i, um, &at, &f);
        if (at <= radius && at > r0) {
            below = r0;
            fb = f0;
            r0 = at;
            f0 = f;
        } else if (at <= radius && at > below && at < r0) {
            below = at;
            fb = f;
        } else if (at > radius && at < r1) {
            above = r1;
            fa = f1;
            r1 = at;
            f1 = f;
        } else if (at > radius && at < above && at > r1) {
            above = at;
            fa = f;
        }
    }
    if (isfinite(r0) && isfinite(r1)) {
        return f0 + (f1 - f0) * (radius - r0) / (r1 - r0);
    }
    if (isfinite(r0)) {
        return isfinite(below) ? f0 + (f0 - fb) * (radius - r0) / (r0 - below) : f0;
    }
    return isfinite(above) ? f1 + (fa - f1) * (radius - r1) / (above - r1) : f1;
}
