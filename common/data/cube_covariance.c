#include "common/data/cube_covariance.h"

#include <math.h>
#include <stdlib.h>
#include "common/base/mem.h"

#define MAX_ROWS 10000 /* ours have some tens */

struct cube_covariance *cube_covariance_new(size_t n, struct err *err)
{
    struct cube_covariance *v = mem_calloc(1, sizeof *v, err);
    if (!v) {
        return NULL;
    }
    v->n = n;
    v->radius_arcsec = mem_calloc(n, sizeof *v->radius_arcsec, err);
    v->factor = mem_calloc(n, sizeof *v->factor, err);
    if (!v->radius_arcsec || !v->factor) {
        cube_covariance_free(v);
        return NULL;
    }
    return v;
}

void cube_covariance_free(struct cube_covariance *v)
{
    if (v) {
        free(v->radius_arcsec);
        free(v->factor);
        free(v);
    }
}

double cube_covariance_factor(const struct cube *c, double radius_arcsec)
{
    const struct cube_covariance *v = c->covariance;
    if (!v || isnan(radius_arcsec)) {
        return 1;
    }
    double r0 = 0, f0 = 1;
    for (size_t i = 0; i < v->n; i++) {
        const double r1 = v->radius_arcsec[i], f1 = v->factor[i];
        if (radius_arcsec < r1) {
            const double t = radius_arcsec > r0 ? (radius_arcsec - r0) / (r1 - r0) : 0;
            return f0 + t * (f1 - f0);
        }
        r0 = r1;
        f0 = f1;
    }
    return f0;
}

int cube_covariance_write(const struct cube_covariance *v, struct fits_out *f,
                          struct err *err)
{
    const struct fits_column columns[] = {
        {.name = "RADIUS",
         .unit = "arcsec",
         .type = FITS_DOUBLE,
         .repeat = 1,
         .data = v->radius_arcsec},
        {.name = "FACTOR", .type = FITS_DOUBLE, .repeat = 1, .data = v->factor}};
    return fits_out_table(f, "COVARIANCE", NULL, v->n, columns, 2, err);
}

static int check(const struct cube_covariance *v, const char *path, struct err *err)
{
    for (size_t i = 0; i < v->n; i++) {
        const double before = i ? v->radius_arcsec[i - 1] : 0;
        if (!(v->radius_arcsec[i] > before) || !(v->factor[i] > 0) ||
            !isfinite(v->factor[i])) {
            return err_set(err, ERR_INPUT,
                           "%s, COVARIANCE: row %zu has RADIUS %g and FACTOR %g; "
                           "expected ascending radii and positive factors",
                           path, i + 1, v->radius_arcsec[i], v->factor[i]);
        }
    }
    return 0;
}

int cube_covariance_read(struct fits_in *f, const char *path,
                         struct cube_covariance **ret, struct err *err)
{
    const int hdu = fits_in_find(f, "COVARIANCE", 0);
    size_t repeat[2] = {0, 0};
    *ret = NULL;
    if (hdu < 0) {
        return 0;
    }
    const size_t rows = (size_t)fits_in_hdu(f, hdu)->rows;
    if (rows < 1 || rows > MAX_ROWS) {
        return err_set(err, ERR_INPUT, "%s, COVARIANCE: %zu rows, expected 1 to %d",
                       path, rows, MAX_ROWS);
    }
    struct cube_covariance *v = mem_calloc(1, sizeof *v, err);
    if (!v) {
        return ERR_NOMEM;
    }
    v->n = rows;
    int code =
        fits_in_column_doubles(f, hdu, "RADIUS", &v->radius_arcsec, &repeat[0], err);
    code = code ? code
                : fits_in_column_doubles(f, hdu, "FACTOR", &v->factor, &repeat[1], err);
    if (!code && (repeat[0] != 1 || repeat[1] != 1)) {
        code =
            err_set(err, ERR_INPUT, "%s, COVARIANCE: expected one number a cell", path);
    }
    code = code ? code : check(v, path, err);
    if (code) {
        cube_covariance_free(v);
        return code;
    }
    *ret = v;
    return 0;
}
