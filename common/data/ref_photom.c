#include "common/data/ref_photom.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/data/fits_io.h"

/* The columns of PHOTOM as read; arrays of rows * length values. */
struct columns {
    size_t rows, length;
    char **filter, **grating;
    double *photmj, *um, *response;
    int64_t *nelem; /* NULL: all elements count */
};

static void columns_done(struct columns *c)
{
    free(c->filter);
    free(c->grating);
    free(c->photmj);
    free(c->um);
    free(c->response);
    free(c->nelem);
}

static int read_columns(struct fits_in *f, int hdu, const char *path, struct columns *c,
                        struct err *err)
{
    size_t one = 1, other = 0;
    int code = fits_in_column_strings(f, hdu, "filter", &c->filter, err);
    if (!code) {
        code = fits_in_column_strings(f, hdu, "grating", &c->grating, err);
    }
    if (!code) {
        code = fits_in_column_doubles(f, hdu, "photmj", &c->photmj, &one, err);
    }
    if (!code) {
        code = fits_in_column_doubles(f, hdu, "wavelength", &c->um, &c->length, err);
    }
    if (!code) {
        code = fits_in_column_doubles(f, hdu, "relresponse", &c->response, &other, err);
    }
    if (!code && one == 1 && fits_in_has_column(f, hdu, "nelem", NULL, NULL)) {
        code = fits_in_column_ints(f, hdu, "nelem", &c->nelem, &one, err);
    }
    if (!code && (one != 1 || other != c->length || !c->length)) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: HDU PHOTOM: photmj and nelem must hold one value per row, "
                       "wavelength and relresponse (%zu and %zu) as many as each other",
                       path, c->length, other);
    }
    c->rows = fits_in_hdu(f, hdu)->rows;
    return code;
}

/* Trailing blanks of FITS strings do not count. */
static void copy_trimmed(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from);
    for (size_t n = strlen(to); n && to[n - 1] == ' ';) {
        to[--n] = '\0';
    }
}

static int one_row(const struct columns *c, size_t i, const char *path,
                   struct photom_row *row, struct err *err)
{
    double *um = c->um + i * c->length, *response = c->response + i * c->length;
    size_t n = c->length;
    copy_trimmed(row->filter, sizeof row->filter, c->filter[i]);
    copy_trimmed(row->grating, sizeof row->grating, c->grating[i]);
    row->photmj = (float)c->photmj[i];
    if (c->nelem && c->nelem[i] >= 0 && (uint64_t)c->nelem[i] < n) {
        n = (size_t)c->nelem[i];
    }
    double highest = 0;
    for (size_t k = 0; k < n; k++) {
        highest = um[k] > highest ? um[k] : highest;
    }
    /* Tables in metres exist; the columns of the datamodel are floats. */
    float scale = highest > 0 && highest < 1e-4 ? 1e6F : 1;
    for (size_t k = 0; k < n; k++) {
        um[k] = (double)((float)um[k] * scale);
        response[k] = (double)(float)response[k];
        if (!(um[k] >= (k ? um[k - 1] : 0))) {
            return err_set(err, ERR_REFERENCE,
                           "%s: HDU PHOTOM, row %zu, column wavelength: must increase, "
                           "but element %zu is %.9g um",
                           path, i + 1, k + 1, um[k]);
        }
    }
    if (!n) {
        return err_set(err, ERR_REFERENCE,
                       "%s: HDU PHOTOM, row %zu: nelem must be at least 1", path,
                       i + 1);
    }
    return interp_init(&row->response, n, um, response, err);
}

/* A table of time coefficients must have the rows of PHOTOM. */
static int check_time_table(struct fits_in *f, const char *extname, const char *path,
                            const struct columns *c, struct err *err)
{
    int hdu = fits_in_find(f, extname, 0);
    if (hdu < 0) {
        return 0;
    }
    char **filter = NULL, **grating = NULL;
    int code = fits_in_column_strings(f, hdu, "filter", &filter, err);
    if (!code) {
        code = fits_in_column_strings(f, hdu, "grating", &grating, err);
    }
    size_t rows = fits_in_hdu(f, hdu)->rows;
    bool same = rows == c->rows;
    for (size_t i = 0; !code && same && i < rows; i++) {
        same = !strcmp(filter[i], c->filter[i]) && !strcmp(grating[i], c->grating[i]);
    }
    if (!code && !same) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: HDU %s must have the rows of HDU PHOTOM, with the same "
                       "filter and grating",
                       path, extname);
    }
    free(filter);
    free(grating);
    return code;
}

static int read_rows(struct fits_in *f, const char *path, struct ref_photom *r,
                     size_t *bytes, struct err *err)
{
    static const char *const time_tables[] = {
        "TIMECOEFF_LINEAR", "TIMECOEFF_EXPONENTIAL", "TIMECOEFF_POWERLAW"};
    struct columns c = {0};
    int hdu;
    int code = fits_in_need(f, "PHOTOM", &hdu, err);
    if (!code) {
        code = read_columns(f, hdu, path, &c, err);
    }
    for (int i = 0; !code && i < 3; i++) {
        code = check_time_table(f, time_tables[i], path, &c, err);
    }
    if (!code) {
        r->rows = mem_calloc(c.rows, sizeof *r->rows, err);
        code = r->rows ? 0 : ERR_NOMEM;
    }
    for (size_t i = 0; !code && i < c.rows; i++) {
        r->n = i + 1;
        code = one_row(&c, i, path, &r->rows[i], err);
    }
    *bytes += c.rows * (sizeof *r->rows + 3 * c.length * sizeof(double));
    columns_done(&c);
    return code;
}

int ref_photom_load(const char *path, void **ret, size_t *ret_bytes, struct err *err)
{
    struct fits_in *f;
    size_t bytes = sizeof(struct ref_photom);
    int code = fits_in_open(path, ERR_REFERENCE, &f, err);
    if (code) {
        return code;
    }
    struct ref_photom *r = mem_calloc(1, sizeof *r, err);
    code = r ? 0 : ERR_NOMEM;
    if (!code) {
        r->path = mem_strdup(path, err);
        code = r->path ? read_rows(f, path, r, &bytes, err) : ERR_NOMEM;
    }
    fits_in_close(f);
    if (code) {
        ref_photom_free(r);
        return code;
    }
    *ret = r;
    *ret_bytes = bytes;
    return 0;
}

void ref_photom_free(void *object)
{
    struct ref_photom *r = object;
    if (r) {
        for (size_t i = 0; i < r->n; i++) {
            interp_done(&r->rows[i].response);
        }
        free(r->rows);
        free(r->path);
        free(r);
    }
}

int ref_photom_find(const struct ref_photom *r, const char *filter, const char *grating,
                    const struct photom_row **ret, struct err *err)
{
    size_t found = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (!strcasecmp(r->rows[i].filter, filter) &&
            !strcasecmp(r->rows[i].grating, grating)) {
            *ret = &r->rows[i];
            found++;
        }
    }
    if (found != 1) {
        return err_set(
            err, ERR_REFERENCE,
            "%s: HDU PHOTOM has %zu rows with filter %s and grating %s, must "
            "have one",
            r->path, found, filter, grating);
    }
    return 0;
}
