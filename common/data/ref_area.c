#include "common/data/ref_area.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include "common/base/mem.h"
#include "common/data/fits_io.h"

enum { SLICES = 30 };

static int fill(const int64_t *id, const double *area, size_t rows, const char *path,
                struct ref_area *r, struct err *err)
{
    bool seen[SLICES] = {false};
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < rows; i++) {
        if (id[i] >= 0 && id[i] < SLICES && !seen[id[i]]) { /* the first row counts */
            seen[id[i]] = true;
            r->arcsec2[id[i]] = (float)area[i];
        }
        if (!isnan(area[i])) {
            sum += area[i];
            n++;
        }
    }
    for (int s = 0; s < SLICES; s++) {
        if (!seen[s] || !(r->arcsec2[s] > 0)) {
            return err_set(err, ERR_REFERENCE,
                           "%s: HDU AREA: column pixarea needs a value above 0 for "
                           "slice_id %d (ids run from 0 to 29)",
                           path, s);
        }
    }
    r->mean_arcsec2 = sum / (double)n;
    return 0;
}

int ref_area_load(const char *path, void **ret, size_t *ret_bytes, struct err *err)
{
    struct fits_in *f;
    int hdu;
    int64_t *id = NULL;
    double *area = NULL;
    size_t repeat;
    int code = fits_in_open(path, ERR_REFERENCE, &f, err);
    if (code) {
        return code;
    }
    struct ref_area *r = mem_calloc(1, sizeof *r, err);
    code = r ? fits_in_need(f, "AREA", &hdu, err) : ERR_NOMEM;
    if (!code) {
        code = fits_in_column_ints(f, hdu, "slice_id", &id, &repeat, err);
    }
    if (!code && repeat == 1) {
        code = fits_in_column_doubles(f, hdu, "pixarea", &area, &repeat, err);
    }
    if (!code && repeat != 1) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: HDU AREA: columns slice_id and pixarea must hold one value "
                       "per row, not %zu",
                       path, repeat);
    }
    if (!code) {
        code = fill(id, area, fits_in_hdu(f, hdu)->rows, path, r, err);
    }
    fits_in_close(f);
    free(id);
    free(area);
    if (code) {
        free(r);
        return code;
    }
    *ret = r;
    *ret_bytes = sizeof *r;
    return 0;
}

void ref_area_free(void *object)
{
    free(object);
}
