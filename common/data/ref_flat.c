#include "common/data/ref_flat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/data/fits_io.h"

/* A column as one vector: a table of scalars, or the first row of a table of arrays. */
static int read_vector(struct fits_in *f, int hdu, const char *column, double **ret,
                       size_t *ret_n, struct err *err)
{
    double *values;
    size_t repeat;
    int code = fits_in_column_doubles(f, hdu, column, &values, &repeat, err);
    if (code) {
        return code;
    }
    size_t rows = fits_in_hdu(f, hdu)->rows;
    *ret = values;
    *ret_n = rows == 0 ? 0 : repeat > 1 ? repeat : rows;
    for (size_t i = 0; i < *ret_n; i++) {
        values[i] = (double)(float)values[i]; /* the datamodel's columns are float32 */
    }
    return 0;
}

/* The number of elements in use according to NELEM, at most n. */
static int used_elements(struct fits_in *f, int hdu, size_t *n, struct err *err)
{
    int64_t *nelem;
    size_t repeat;
    if (!fits_in_has_column(f, hdu, "nelem", NULL, NULL)) {
        return 0;
    }
    int code = fits_in_column_ints(f, hdu, "nelem", &nelem, &repeat, err);
    if (!code) {
        if (nelem[0] >= 0 && (uint64_t)nelem[0] < *n) {
            *n = (size_t)nelem[0];
        }
        free(nelem);
    }
    return code;
}

/* Columns of a fast variation, of one length. */
struct fast_columns {
    double *um, *flat, *error;
    size_t n;
};

static int read_fast_columns(struct fits_in *f, int hdu, const char *path,
                             struct fast_columns *c, struct err *err)
{
    size_t n_flat = 0, n_error = 0;
    int code = read_vector(f, hdu, "wavelength", &c->um, &c->n, err);
    if (!code) {
        code = read_vector(f, hdu, "data", &c->flat, &n_flat, err);
    }
    if (!code && fits_in_has_column(f, hdu, "error", NULL, NULL)) {
        code = read_vector(f, hdu, "error", &c->error, &n_error, err);
    } else if (!code) {
        n_error = c->n;
        c->error = mem_alloc(c->n, sizeof *c->error, err);
        code = c->error ? 0 : ERR_NOMEM;
        for (size_t i = 0; !code && i < c->n; i++) {
            c->error[i] = (double)NAN; /* old files have no error: unknown, not zero */
        }
    }
    if (!code && (n_flat != c->n || n_error != c->n)) {
        code =
            err_set(err, ERR_REFERENCE,
                    "%s: HDU FAST_VARIATION: columns wavelength, data and error must "
                    "be of one length, not %zu, %zu and %zu",
                    path, c->n, n_flat, n_error);
    }
    if (!code && c->n > 0) {
        code = used_elements(f, hdu, &c->n, err);
    }
    return code;
}

/* Leave those of the rows that say something. */
static int keep_used_rows(const char *path, struct fast_columns *c, struct err *err)
{
    size_t used = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (!(c->um[i] > 0) || isnan(c->flat[i]) || c->flat[i] == 0) {
            continue;
        }
        if (used && c->um[i] < c->um[used - 1]) {
            return err_set(err, ERR_REFERENCE,
                           "%s: HDU FAST_VARIATION, column wavelength: must "
                           "increase, but %.9g follows %.9g",
                           path, c->um[i], c->um[used - 1]);
        }
        c->um[used] = c->um[i];
        c->flat[used] = c->flat[i];
        c->error[used++] = c->error[i];
    }
    c->n = used;
    return used ? 0
                : err_set(
                      err, ERR_REFERENCE,
                      "%s: HDU FAST_VARIATION: no row has a wavelength above 0 and a "
                      "flat value other than 0",
                      path);
}

static int fast_table(struct fits_in *f, const char *path, struct ref_flat *r,
                      size_t *bytes, struct err *err)
{
    int hdu;
    struct fast_columns c = {0};
    int code = fits_in_need(f, "FAST_VARIATION", &hdu, err);
    code = code ? code : read_fast_columns(f, hdu, path, &c, err);
    code = code ? code : keep_used_rows(path, &c, err);
    code = code ? code : interp_init(&r->fast, c.n, c.um, c.flat, err);
    code = code ? code : interp_init(&r->fast_error, c.n, c.um, c.error, err);
    if (!code) {
        *bytes += 6 * c.n * sizeof(double);
    }
    free(c.um);
    free(c.flat);
    free(c.error);
    return code;
}

/* The wavelengths of the planes; NaN and 0 at the end are padding. */
static int plane_wavelengths(struct fits_in *f, const char *path, struct ref_flat *r,
                             size_t *bytes, struct err *err)
{
    int hdu;
    size_t n;
    double *um;
    int code = fits_in_need(f, "WAVELENGTH", &hdu, err);
    if (!code) {
        code = read_vector(f, hdu, "wavelength", &um, &n, err);
    }
    if (code) {
        return code;
    }
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (um[i] > 0) {
            um[used++] = um[i];
        }
    }
    if (used != r->sci.n) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: HDU WAVELENGTH has %zu wavelengths, but SCI has %zu planes",
                       path, used, r->sci.n);
        goto out;
    }
    r->plane_um = mem_alloc(used, sizeof *r->plane_um, err);
    if (!r->plane_um) {
        code = ERR_NOMEM;
        goto out;
    }
    for (size_t i = 0; i < used; i++) {
        r->plane_um[i] = (float)um[i];
        if (i && r->plane_um[i] < r->plane_um[i - 1]) {
            code = err_set(err, ERR_REFERENCE,
                           "%s: HDU WAVELENGTH, column wavelength: must increase, but "
                           "%.9g follows %.9g",
                           path, um[i], um[i - 1]);
            goto out;
        }
    }
    *bytes += used * sizeof(float);
out:
    free(um);
    return code;
}

static int read_dq_def(struct fits_in *f, struct ref_flat *r, size_t *bytes,
                       struct err *err)
{
    int hdu = fits_in_find(f, "DQ_DEF", 0);
    size_t rows = hdu < 0 ? 0 : fits_in_hdu(f, hdu)->rows;
    if (!rows) {
        return 0;
    }
    int64_t *stored = NULL;
    char **names = NULL;
    size_t repeat;
    int code = fits_in_column_ints(f, hdu, "value", &stored, &repeat, err);
    if (!code) {
        code = fits_in_column_strings(f, hdu, "name", &names, err);
    }
    if (!code) {
        r->dq_def = mem_calloc(rows, sizeof *r->dq_def, err);
        code = r->dq_def ? 0 : ERR_NOMEM;
    }
    for (size_t i = 0; !code && i < rows; i++) {
        uint32_t standard;
        names[i][strcspn(names[i], " ")] = '\0';
        if (dq_by_name(names[i], &standard)) { /* others mean nothing here */
            r->dq_def[r->n_dq_def++] =
                (struct dq_translation){(uint32_t)stored[i * repeat], standard};
        }
    }
    r->has_dq_def = true;
    *bytes += rows * sizeof *r->dq_def;
    free(stored);
    free(names);
    return code;
}

/* ERR or DQ beside SCI: absent, one plane, or one per plane of SCI. */
static int side_image(struct fits_in *f, const char *path, const char *extname,
                      enum ref_planes_kind kind, const struct ref_planes *sci,
                      struct ref_planes *ret, size_t *bytes, struct err *err)
{
    int hdu = fits_in_find(f, extname, 0);
    if (hdu < 0) {
        return 0;
    }
    int code = ref_planes_open(f, hdu, path, kind, ret, bytes, err);
    if (!code && (ret->nx != sci->nx || ret->ny != sci->ny ||
                  (ret->n != 1 && ret->n != sci->n))) {
        code =
            err_set(err, ERR_REFERENCE,
                    "%s: HDU %s is %zu x %zu x %zu, SCI %zu x %zu x %zu: the sizes "
                    "must agree",
                    path, extname, ret->nx, ret->ny, ret->n, sci->nx, sci->ny, sci->n);
    }
    return code;
}

static int slow_images(struct fits_in *f, const char *path, struct ref_flat *r,
                       size_t *bytes, struct err *err)
{
    int hdu;
    struct header h = {0};
    int code = fits_in_need(f, "SCI", &hdu, err);
    if (!code) {
        code = ref_planes_open(f, hdu, path, REF_PLANES_FLOAT, &r->sci, bytes, err);
    }
    if (!code) {
        code = side_image(f, path, "ERR", REF_PLANES_FLOAT, &r->sci, &r->error, bytes,
                          err);
    }
    if (!code) {
        code = side_image(f, path, "DQ", REF_PLANES_WORD, &r->sci, &r->dq, bytes, err);
    }
    if (!code) {
        code = read_dq_def(f, r, bytes, err);
    }
    if (!code && r->sci.n > 1) {
        code = plane_wavelengths(f, path, r, bytes, err);
    }
    if (!code) {
        code = fits_in_header(f, 0, &h, err);
    }
    long x = 1, y = 1;
    if (!code) {
        header_get_int(&h, "SUBSTRT1", &x);
        header_get_int(&h, "SUBSTRT2", &y);
        if (x < 1 || y < 1) {
            code =
                err_set(err, ERR_REFERENCE,
                        "%s: SUBSTRT1 and SUBSTRT2 are %ld and %ld, must be at least "
                        "1",
                        path, x, y);
        }
        r->x0 = (size_t)(x - 1);
        r->y0 = (size_t)(y - 1);
    }
    header_done(&h);
    return code;
}

static int load(const char *path, bool has_table, bool has_image, void **ret,
                size_t *ret_bytes, struct err *err)
{
    struct fits_in *f;
    int code = fits_in_open(path, ERR_REFERENCE, &f, err);
    if (code) {
        return code;
    }
    size_t bytes = sizeof(struct ref_flat);
    struct ref_flat *r = mem_calloc(1, sizeof *r, err);
    code = r ? 0 : ERR_NOMEM;
    if (!code && has_table) {
        code = fast_table(f, path, r, &bytes, err);
    }
    if (!code && has_image) {
        code = slow_images(f, path, r, &bytes, err);
    }
    if (!code && !has_table && r->sci.n > 1) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: HDU SCI of a total flat must be one image, not %zu planes",
                       path, r->sci.n);
    }
    fits_in_close(f);
    if (code) {
        ref_flat_free(r);
        return code;
    }
    *ret = r;
    *ret_bytes = bytes;
    return 0;
}

int ref_fflat_load(const char *path, void **ret, size_t *ret_bytes, struct err *err)
{
    return load(path, true, false, ret, ret_bytes, err);
}

int ref_image_flat_load(const char *path, void **ret, size_t *ret_bytes,
                        struct err *err)
{
    return load(path, true, true, ret, ret_bytes, err);
}

int ref_total_flat_load(const char *path, void **ret, size_t *ret_bytes,
                        struct err *err)
{
    return load(path, false, true, ret, ret_bytes, err);
}

void ref_flat_free(void *object)
{
    struct ref_flat *r = object;
    if (r) {
        interp_done(&r->fast);
        interp_done(&r->fast_error);
        ref_planes_done(&r->sci);
        ref_planes_done(&r->error);
        ref_planes_done(&r->dq);
        free(r->plane_um);
        free(r->dq_def);
        free(r);
    }
}

bool ref_flat_covers(const struct ref_flat *r, size_t x, size_t y, size_t nx, size_t ny)
{
    return x >= r->x0 && y >= r->y0 && x + nx <= r->x0 + r->sci.nx &&
           y + ny <= r->y0 + r->sci.ny;
}

int ref_flat_dq(const struct ref_flat *r, size_t plane, size_t x, size_t y, size_t n,
                uint32_t *ret, struct err *err)
{
    int code = ref_planes_words(&r->dq, plane, x - r->x0, y - r->y0, n, ret, err);
    for (size_t i = 0; !code && r->has_dq_def && i < n; i++) {
        uint32_t standard = 0;
        for (size_t k = 0; ret[i] && k < r->n_dq_def; k++) {
            if (ret[i] & r->dq_def[k].stored) {
                standard |= r->dq_def[k].standard;
            }
        }
        ret[i] = standard;
    }
    return code;
}
