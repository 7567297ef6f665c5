#include "common/data/ref_cubepar.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/data/fits_io.h"

#define MAX_ROWS 10000 /* nine pairs are known; a table this long is damaged */

static int read_rows(struct fits_in *f, const char *path, struct ref_cubepar *par,
                     struct err *err)
{
    static const char *const names[] = {"WAVEMIN", "WAVEMAX", "SPAXELSIZE",
                                        "SPECTRALSTEP"};
    int hdu = 0;
    int code = fits_in_need(f, "CUBEPAR", &hdu, err);
    if (code) {
        return code;
    }
    size_t n = (size_t)fits_in_hdu(f, hdu)->rows;
    if (n == 0 || n > MAX_ROWS) {
        return err_set(err, ERR_REFERENCE,
                       "%s [CUBEPAR]: %zu rows, expected one per disperser and filter",
                       path, n);
    }
    char **disperser = NULL, **filter = NULL;
    double *numbers[4] = {0};
    code = fits_in_column_strings(f, hdu, "DISPERSER", &disperser, err);
    if (!code) {
        code = fits_in_column_strings(f, hdu, "FILTER", &filter, err);
    }
    for (int k = 0; k < 4 && !code; k++) {
        size_t repeat = 0;
        code = fits_in_column_doubles(f, hdu, names[k], &numbers[k], &repeat, err);
        if (!code && repeat != 1) {
            code = err_set(err, ERR_REFERENCE,
                           "%s [CUBEPAR]: column %s holds %zu values a row, expected 1",
                           path, names[k], repeat);
        }
    }
    if (!code) {
        par->rows = mem_calloc(n, sizeof *par->rows, err);
        code = par->rows ? 0 : ERR_NOMEM;
    }
    for (size_t i = 0; i < n && !code; i++) {
        struct ref_cubepar_row *row = &par->rows[par->n_rows++];
        snprintf(row->disperser, sizeof row->disperser, "%s", disperser[i]);
        snprintf(row->filter, sizeof row->filter, "%s", filter[i]);
        row->wave_min_um = numbers[0][i];
        row->wave_max_um = numbers[1][i];
        row->spaxel_arcsec = numbers[2][i];
        row->step_um = numbers[3][i];
    }
    for (int k = 0; k < 4; k++) {
        free(numbers[k]);
    }
    free(disperser);
    free(filter);
    return code;
}

/* A table of wavelengths; absent is fine. */
static int read_waves(struct fits_in *f, const char *path, const char *extension,
                      struct ref_cubepar_waves *waves, struct err *err)
{
    int hdu = fits_in_find(f, extension, 0);
    size_t repeat = 0;
    if (hdu < 0) {
        return 0;
    }
    int code = fits_in_column_doubles(f, hdu, "WAVELENGTH", &waves->um, &repeat, err);
    if (code) {
        return code;
    }
    waves->n = (size_t)fits_in_hdu(f, hdu)->rows * repeat;
    for (size_t i = 0; i < waves->n; i++) {
        if (!isfinite(waves->um[i]) || (i && waves->um[i] <= waves->um[i - 1])) {
            return err_set(err, ERR_REFERENCE,
                           "%s [%s]: WAVELENGTH %g in row %zu, expected ascending",
                           path, extension, waves->um[i], i + 1);
        }
    }
    return 0;
}

int ref_cubepar_load(const char *path, void **ret_object, size_t *ret_bytes,
                     struct err *err)
{
    struct fits_in *f = NULL;
    int code = fits_in_open(path, ERR_REFERENCE, &f, err);
    if (code) {
        return code;
    }
    struct ref_cubepar *par = mem_calloc(1, sizeof *par, err);
    code = par ? read_rows(f, path, par, err) : ERR_NOMEM;
    if (!code) {
        code = read_waves(f, path, "MULTICHAN_PRISM_DRIZZLE", &par->prism, err);
    }
    if (!code) {
        code = read_waves(f, path, "MULTICHAN_MED_DRIZZLE", &par->medium, err);
    }
    if (!code) {
        code = read_waves(f, path, "MULTICHAN_HIGH_DRIZZLE", &par->high, err);
    }
    fits_in_close(f);
    if (code) {
        ref_cubepar_free(par);
        return code;
    }
    *ret_object = par;
    *ret_bytes = sizeof *par + par->n_rows * sizeof *par->rows +
                 (par->prism.n + par->medium.n + par->high.n) * sizeof(double);
    return 0;
}

void ref_cubepar_free(void *object)
{
    struct ref_cubepar *par = object;
    if (par) {
        free(par->rows);
        free(par->prism.um);
        free(par->medium.um);
        free(par->high.um);
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

const struct ref_cubepar_waves *ref_cubepar_waves_of(const struct ref_cubepar *par,
                                                     const char *disperser)
{
    size_t n = strlen(disperser);
    if (!strcasecmp(disperser, "PRISM")) {
        return &par->prism;
    }
    return n && (disperser[n - 1] == 'H' || disperser[n - 1] == 'h') ? &par->high
                                                                     : &par->medium;
}
