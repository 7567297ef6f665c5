#include "common/data/ref_extract1d.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/asdf.h"

/* A column of `n` finite values as single precision, the model's own type. */
static int read_column(const struct asdf *a, const char *path, const char *key,
                       size_t *n, float **ret, struct err *err)
{
    const struct asdf_node *node = asdf_get(asdf_root(a), key);
    if (!node) {
        return err_set(err, ERR_REFERENCE,
                       "%s: %s is missing; an extract1d reference "
                       "has data.wavelength, radius, inner_bkg and outer_bkg",
                       path, key);
    }
    struct asdf_array array;
    int code = asdf_array(node, &array, err);
    if (code) {
        return code;
    }
    if (array.n == 0 || (*n && array.n != *n)) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: %s has %zu values; as many as the "
                       "wavelengths, and at least 1, are right",
                       path, key, array.n);
    }
    float *column = code ? NULL : mem_alloc(array.n, sizeof *column, err);
    if (!code && !column) {
        code = ERR_NOMEM;
    }
    for (size_t i = 0; !code && i < array.n; i++) {
        column[i] = (float)array.values[i];
        if (!isfinite(column[i])) {
            code =
                err_set(err, ERR_REFERENCE, "%s: %s[%zu] is not finite", path, key, i);
        }
    }
    if (code) {
        free(column);
    } else {
        *n = array.n;
        *ret = column;
    }
    free(array.values);
    return code;
}

/* A unit string, if there, must be one of two spellings. */
static int check_unit(const struct asdf *a, const char *path, const char *key,
                      const char *unit, const char *other, struct err *err)
{
    const struct asdf_node *node = asdf_get(asdf_root(a), key);
    const char *text;
    if (!node || !asdf_string(node, &text) || !strcmp(text, unit) ||
        !strcmp(text, other)) {
        return 0;
    }
    return err_set(err, ERR_REFERENCE, "%s: %s is '%s'; '%s' is right", path, key, text,
                   unit);
}

static int read_method(const struct asdf *a, const char *path, struct ref_extract1d *r,
                       struct err *err)
{
    const struct asdf_node *root = asdf_root(a), *node;
    const char *method = "subpixel";
    if ((node = asdf_get(root, "meta.method")) && !asdf_is_null(node) &&
        !asdf_string(node, &method)) {
        return err_set(err, ERR_REFERENCE, "%s: meta.method is not a string", path);
    }
    if (!strcmp(method, "subpixel")) {
        r->method = APERTURE_SUBPIXEL;
    } else if (!strcmp(method, "exact")) {
        r->method = APERTURE_EXACT;
    } else if (!strcmp(method, "center")) {
        r->method = APERTURE_CENTER;
    } else {
        return err_set(err, ERR_REFERENCE,
                       "%s: meta.method is '%s'; subpixel, exact or "
                       "center is right",
                       path, method);
    }
    long long subpixels = 1;
    node = asdf_get(root, "meta.subpixels");
    if (r->method == APERTURE_SUBPIXEL &&
        (!node || !asdf_int(node, &subpixels) || subpixels < 1 || subpixels > 1000)) {
        return err_set(err, ERR_REFERENCE,
                       "%s: meta.subpixels is missing or out of "
                       "range; an integer from 1 to 1000 is right",
                       path);
    }
    r->subpixels = (int)subpixels;
    node = asdf_get(root, "meta.subtract_background");
    if (node && !asdf_is_null(node) && !asdf_bool(node, &r->subtract_background)) {
        return err_set(err, ERR_REFERENCE,
                       "%s: meta.subtract_background is not a "
                       "boolean",
                       path);
    }
    return 0;
}

/* Insertion sort by wavelength: the rows come sorted, or nearly so. */
static void sort_rows(struct ref_extract1d *r)
{
    float *columns[4] = {r->wavelength, r->radius, r->inner_bkg, r->outer_bkg};
    for (size_t i = 1; i < r->n; i++) {
        for (size_t j = i; j > 0 && r->wavelength[j - 1] > r->wavelength[j]; j--) {
            for (int c = 0; c < 4; c++) {
                float t = columns[c][j];
                columns[c][j] = columns[c][j - 1];
                columns[c][j - 1] = t;
            }
        }
    }
}

int ref_extract1d_load(const char *path, void **ret_object, size_t *ret_bytes,
                       struct err *err)
{
    struct asdf *a = NULL;
    struct ref_extract1d *r = mem_calloc(1, sizeof *r, err);
    int code = r ? asdf_read(path, &a, err) : ERR_NOMEM;
    if (code) {
        goto out;
    }
    static const char *const keys[4] = {"data.wavelength", "data.radius",
                                        "data.inner_bkg", "data.outer_bkg"};
    float **columns[4] = {&r->wavelength, &r->radius, &r->inner_bkg, &r->outer_bkg};
    for (int c = 0; !code && c < 4; c++) {
        code = read_column(a, path, keys[c], &r->n, columns[c], err);
    }
    if (!code) {
        code = check_unit(a, path, "data.wavelength_units", "micron", "um", err);
    }
    static const char *const units[3] = {"data.radius_units", "data.inner_bkg_units",
                                         "data.outer_bkg_units"};
    for (int c = 0; !code && c < 3; c++) {
        code = check_unit(a, path, units[c], "arcsec", "arcseconds", err);
    }
    if (!code) {
        code = read_method(a, path, r, err);
    }
    if (code) {
        goto out;
    }
    sort_rows(r);
    *ret_object = r;
    *ret_bytes = sizeof *r + 4 * r->n * sizeof(float);
    r = NULL;
out:
    if (a) {
        asdf_free(a);
    }
    ref_extract1d_free(r);
    return code;
}

void ref_extract1d_free(void *object)
{
    struct ref_extract1d *r = object;
    if (r) {
        free(r->wavelength);
        free(r->radius);
        free(r->inner_bkg);
        free(r->outer_bkg);
        free(r);
    }
}

double ref_extract1d_at(const struct ref_extract1d *r, const float *column,
                        double wavelength_um)
{
    if (r->n == 1) {
        return (double)column[0];
    }
    size_t hi = 1; /* first row not below, within 1..n-1: the ends extrapolate */
    while (hi < r->n - 1 && (double)r->wavelength[hi] < wavelength_um) {
        hi++;
    }
    /* The slope in single precision, as the peer's table type makes it. */
    float slope =
        (column[hi] - column[hi - 1]) / (r->wavelength[hi] - r->wavelength[hi - 1]);
    return (double)slope * (wavelength_um - (double)r->wavelength[hi - 1]) +
           (double)column[hi - 1];
}
