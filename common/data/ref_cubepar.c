#include "common/data/ref_cubepar.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/data/fits_io.h"

#define MAX_ROWS 10000 /* nine pairs are known; a table this long is damaged */

/* Columns of a table, all with the same number of rows; NULL where an optional one is
 * absent. */
struct columns {
    size_t n;
    char **disperser, **filter;
    double *numbers[5];
};

static void columns_done(struct columns *c)
{
    free(c->disperser);
    free(c->filter);
    for (int k = 0; k < 5; k++) {
        free(c->numbers[k]);
    }
}

/* names: ends with NULL; those from `needed` on may be absent. keyed: DISPERSER and
 * FILTER, too. On failure nothing is kept. */
static int columns_read(struct fits_in *f, int hdu, const char *path, bool keyed,
                        const char *const *names, int needed, struct columns *ret,
                        struct err *err)
{
    const char *table = fits_in_hdu(f, hdu)->extname;
    struct columns c = {.n = (size_t)fits_in_hdu(f, hdu)->rows};
    int code = 0;
    if (c.n == 0 || c.n > MAX_ROWS) {
        return err_set(err, ERR_REFERENCE, "%s [%s]: %zu rows, expected 1 to %d", path,
                       table, c.n, MAX_ROWS);
    }
    if (keyed) {
        code = fits_in_column_strings(f, hdu, "DISPERSER", &c.disperser, err);
        code = code ? code : fits_in_column_strings(f, hdu, "FILTER", &c.filter, err);
    }
    for (int k = 0; names[k] && !code; k++) {
        size_t repeat = 0;
        if (k >= needed && !fits_in_has_column(f, hdu, names[k], NULL, NULL)) {
            continue;
        }
        code = fits_in_column_doubles(f, hdu, names[k], &c.numbers[k], &repeat, err);
        if (!code && repeat != 1) {
            code = err_set(err, ERR_REFERENCE,
                           "%s [%s]: column %s holds %zu values a row, expected 1",
                           path, table, names[k], repeat);
        }
    }
    if (code) {
        columns_done(&c);
        return code;
    }
    *ret = c;
    return 0;
}

static int read_rows(struct fits_in *f, const char *path, struct ref_cubepar *par,
                     struct err *err)
{
    static const char *const names[] = {"WAVEMIN", "WAVEMAX", "SPAXELSIZE",
                                        "SPECTRALSTEP", NULL};
    struct columns c;
    int hdu = 0;
    int code = fits_in_need(f, "CUBEPAR", &hdu, err);
    code = code ? code : columns_read(f, hdu, path, true, names, 4, &c, err);
    if (code) {
        return code;
    }
    par->rows = mem_calloc(c.n, sizeof *par->rows, err);
    code = par->rows ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < c.n && !code; i++) {
        struct ref_cubepar_row *row = &par->rows[par->n_rows++];
        snprintf(row->disperser, sizeof row->disperser, "%s", c.disperser[i]);
        snprintf(row->filter, sizeof row->filter, "%s", c.filter[i]);
        row->wave_min_um = c.numbers[0][i];
        row->wave_max_um = c.numbers[1][i];
        row->spaxel_arcsec = c.numbers[2][i];
        row->step_um = c.numbers[3][i];
    }
    columns_done(&c);
    return code;
}

static double number(const double *column, size_t i)
{
    return column ? column[i] : (double)NAN;
}

static const char *const regions_names[] = {"ROISPATIAL", "ROISPECTRAL", "POWER",
                                            "SOFTRAD",    "SCALERAD",    NULL};

/* Row i of a table with (some of) the columns above. */
static struct ref_cubepar_shepard shepard(const double *const *column, size_t i)
{
    return (struct ref_cubepar_shepard){number(column[0], i), number(column[1], i),
                                        number(column[2], i), number(column[3], i),
                                        number(column[4], i)};
}

static int read_regions(struct fits_in *f, const char *path,
                        enum ref_cubepar_weighting w, struct ref_cubepar *par,
                        struct err *err)
{
    const char *extension = w == CUBEPAR_MSM ? "CUBEPAR_MSM" : "CUBEPAR_EMSM";
    const int hdu = fits_in_find(f, extension, 0);
    struct columns c;
    if (hdu < 0) {
        return 0;
    }
    int code = columns_read(f, hdu, path, true, regions_names, 2, &c, err);
    if (code) {
        return code;
    }
    par->regions[w] = mem_calloc(c.n, sizeof *par->regions[w], err);
    code = par->regions[w] ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < c.n && !code; i++) {
        struct ref_cubepar_region *r = &par->regions[w][par->n_regions[w]++];
        snprintf(r->disperser, sizeof r->disperser, "%s", c.disperser[i]);
        snprintf(r->filter, sizeof r->filter, "%s", c.filter[i]);
        r->shepard = shepard((const double *const *)c.numbers, i);
    }
    columns_done(&c);
    return code;
}

/* A table of wavelengths; absent is fine. */
static int read_waves(struct fits_in *f, const char *path, const char *extension,
                      bool with_shepard, struct ref_cubepar_waves *waves,
                      struct err *err)
{
    static const char *const centre[] = {"WAVELENGTH", NULL};
    const int hdu = fits_in_find(f, extension, 0);
    struct columns c = {0}, more = {0};
    if (hdu < 0) {
        return 0;
    }
    int code = columns_read(f, hdu, path, false, centre, 1, &c, err);
    for (size_t i = 0; i < c.n && !code; i++) {
        const double *um = c.numbers[0];
        if (!isfinite(um[i]) || (i && um[i] <= um[i - 1])) {
            code = err_set(err, ERR_REFERENCE,
                           "%s [%s]: WAVELENGTH %g in row %zu, expected ascending",
                           path, extension, um[i], i + 1);
        }
    }
    if (!code && with_shepard) {
        code = columns_read(f, hdu, path, false, regions_names, 2, &more, err);
        waves->shepard = code ? NULL : mem_calloc(c.n, sizeof *waves->shepard, err);
        code = code || waves->shepard ? code : ERR_NOMEM;
    }
    for (size_t i = 0; i < c.n && !code && with_shepard; i++) {
        waves->shepard[i] = shepard((const double *const *)more.numbers, i);
    }
    if (!code) {
        waves->n = c.n;
        waves->um = c.numbers[0];
        c.numbers[0] = NULL;
    }
    columns_done(&c);
    columns_done(&more);
    return code;
}

int ref_cubepar_load(const char *path, void **ret_object, size_t *ret_bytes,
                     struct err *err)
{
    static const char *const weightings[] = {"DRIZZLE", "MSM", "EMSM"},
                             *const resolutions[] = {"PRISM", "MED", "HIGH"};
    struct fits_in *f = NULL;
    int code = fits_in_open(path, ERR_REFERENCE, &f, err);
    if (code) {
        return code;
    }
    struct ref_cubepar *par = mem_calloc(1, sizeof *par, err);
    code = par ? read_rows(f, path, par, err) : ERR_NOMEM;
    for (int w = CUBEPAR_MSM; w <= CUBEPAR_EMSM && !code; w++) {
        code = read_regions(f, path, (enum ref_cubepar_weighting)w, par, err);
    }
    size_t bytes = sizeof *par;
    for (int i = 0; i < 3 * CUBEPAR_WEIGHTINGS && !code; i++) {
        const int w = i / 3, r = i % 3;
        char name[40];
        snprintf(name, sizeof name, "MULTICHAN_%s_%s", resolutions[r], weightings[w]);
        code = read_waves(f, path, name, w != CUBEPAR_DRIZZLE, &par->waves[w][r], err);
        bytes += par->waves[w][r].n *
                 (sizeof(double) + (w ? sizeof(struct ref_cubepar_shepard) : 0));
    }
    fits_in_close(f);
    if (code) {
        ref_cubepar_free(par);
        return code;
    }
    *ret_object = par;
    *ret_bytes = bytes + par->n_rows * sizeof *par->rows +
                 (par->n_regions[CUBEPAR_MSM] + par->n_regions[CUBEPAR_EMSM]) *
                     sizeof(struct ref_cubepar_region);
    return 0;
}

void ref_cubepar_free(void *object)
{
    struct ref_cubepar *par = object;
    if (par) {
        free(par->rows);
        for (int w = 0; w < CUBEPAR_WEIGHTINGS; w++) {
            free(par->regions[w]);
            for (int r = 0; r < 3; r++) {
                free(par->waves[w][r].um);
                free(par->waves[w][r].shepard);
            }
        }
        free(par);
    }
}

const struct ref_cubepar_row *ref_cubepar_find(const struct ref_cubepar *par,
                                               const char *disperser,
                                               const char *filter)
{
    const struct ref_cubepar_row *found = NULL; /* of two the later, as in the peer */
    for (size_t i = 0; i < par->n_rows; i++) {
        if (!strcasecmp(par->rows[i].disperser, disperser) &&
            !strcasecmp(par->rows[i].filter, filter)) {
            found = &par->rows[i];
        }
    }
    return found;
}

const struct ref_cubepar_shepard *
ref_cubepar_find_shepard(const struct ref_cubepar *par, enum ref_cubepar_weighting w,
                         const char *disperser, const char *filter)
{
    const struct ref_cubepar_shepard *found = NULL; /* the later, as above */
    for (size_t i = 0; i < par->n_regions[w]; i++) {
        const struct ref_cubepar_region *r = &par->regions[w][i];
        if (!strcasecmp(r->disperser, disperser) && !strcasecmp(r->filter, filter)) {
            found = &r->shepard;
        }
    }
    return found;
}

const struct ref_cubepar_waves *ref_cubepar_waves_of(const struct ref_cubepar *par,
                                                     enum ref_cubepar_weighting w,
                                                     const char *disperser)
{
    const size_t n = strlen(disperser);
    const bool high = n && (disperser[n - 1] == 'H' || disperser[n - 1] == 'h');
    return &par->waves[w][!strcasecmp(disperser, "PRISM") ? 0 : high ? 2 : 1];
}
