#include "stages/background_spectrum.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/base/mem.h"
#include "common/base/path.h"
#include "common/data/dq.h"
#include "common/data/fits_io.h"
#include "common/math/robust.h"

/* ---- a user's ---- */

struct row {
    double um, value, error;
};

static int by_um(const void *a, const void *b)
{
    const struct row *p = a, *q = b;
    return (p->um > q->um) - (p->um < q->um);
}

/* A column of one value a row; *ret stays NULL where it is absent and not needed. */
static int column(struct fits_in *f, int hdu, const char *path, const char *name,
                  const char *unit, bool needed, double **ret, struct err *err)
{
    size_t repeat = 1;
    char is[72] = "";
    if (!fits_in_has_column(f, hdu, name, &repeat, is)) {
        return needed ? err_set(err, ERR_PARAM, "%s: no column %s in its table", path,
                                name)
                      : 0;
    }
    if (is[0] && strcasecmp(is, unit)) {
        return err_set(err, ERR_PARAM, "%s: column %s is in '%s'; expected %s", path,
                       name, is, unit);
    }
    if (repeat != 1) {
        return err_set(err, ERR_PARAM, "%s: column %s has %zu values a row; expected 1",
                       path, name, repeat);
    }
    return fits_in_column_doubles(f, hdu, name, ret, &repeat, err);
}

static int from_rows(const struct row *rows, size_t n, struct spectrum **ret,
                     struct err *err)
{
    struct spectrum *s = spectrum_new(n, err);
    if (!s) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        s->wavelength[i] = rows[i].um;
        s->surf_bright[i] = rows[i].value;
        s->sb_error[i] = rows[i].error;
    }
    *ret = s;
    return 0;
}

/* Good rows in order, no wavelength twice. Returns their number. */
static size_t good_rows(struct row *rows, size_t n)
{
    size_t good = 0, kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(rows[i].um) && isfinite(rows[i].value)) {
            rows[i].error = isfinite(rows[i].error) ? rows[i].error : 0;
            rows[good++] = rows[i];
        }
    }
    qsort(rows, good, sizeof *rows, by_um);
    for (size_t i = 0; i < good; i++) {
        if (!kept || rows[i].um > rows[kept - 1].um) {
            rows[kept++] = rows[i];
        }
    }
    return kept;
}

static int read_table(struct fits_in *f, int hdu, const char *path,
                      struct spectrum **ret, struct err *err)
{
    const size_t n = fits_in_hdu(f, hdu)->rows;
    double *um = NULL, *value = NULL, *error = NULL, *flags = NULL;
    struct row *rows = NULL;
    int code = column(f, hdu, path, "WAVELENGTH", "um", true, &um, err);
    code =
        code ? code : column(f, hdu, path, "SURF_BRIGHT", "MJy/sr", true, &value, err);
    code = code ? code : column(f, hdu, path, "SB_ERROR", "MJy/sr", false, &error, err);
    code = code ? code : column(f, hdu, path, "DQ", "", false, &flags, err);
    if (!code) {
        rows = mem_alloc(n, sizeof *rows, err);
        code = rows ? 0 : ERR_NOMEM;
    }
    if (!code) {
        for (size_t i = 0; i < n; i++) {
            const bool bad = flags && fmod(flags[i], 2) != 0; /* DO_NOT_USE is bit 0 */
            rows[i] =
                (struct row){um[i], bad ? (double)NAN : value[i], error ? error[i] : 0};
        }
        const size_t good = good_rows(rows, n);
        code = good > 1 ? from_rows(rows, good, ret, err)
                        : err_set(err, ERR_PARAM,
                                  "%s: %zu of %zu rows are good; a background needs "
                                  "two at least",
                                  path, good, n);
    }
    free(um);
    free(value);
    free(error);
    free(flags);
    free(rows);
    return code;
}

int background_spectrum_read(const char *path, struct spectrum **ret, struct err *err)
{
    struct fits_in *f = NULL;
    int code = fits_in_open(path, ERR_PARAM, &f, err);
    if (!code) {
        int hdu = fits_in_find(f, "EXTRACT1D", 0);
        hdu = hdu >= 0 ? hdu : fits_in_find(f, "COMBINE1D", 0);
        code = hdu >= 0 && fits_in_hdu(f, hdu)->kind == FITS_TABLE
                   ? read_table(f, hdu, path, ret, err)
                   : err_set(err, ERR_PARAM,
                             "%s: no table EXTRACT1D (or COMBINE1D); expected an x1d "
                             "spectrum",
                             path);
    }
    fits_in_close(f);
    return code;
}

/* ---- smoothing ---- */

int background_spectrum_smooth(struct spectrum *s, size_t width, struct err *err)
{
    const size_t half = width / 2;
    double *window = mem_alloc(width, sizeof *window, err);
    double *out = mem_alloc(s->n, sizeof *out, err);
    if (!window || !out) {
        free(window);
        free(out);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < s->n; i++) {
        const size_t from = i > half ? i - half : 0;
        const size_t to = i + half < s->n ? i + half + 1 : s->n, m = to - from;
        memcpy(window, s->surf_bright + from, m * sizeof *window);
        out[i] = robust_median_doubles(window, m);
    }
    memcpy(s->surf_bright, out, s->n * sizeof *out);
    free(window);
    free(out);
    return 0;
}
