#include "stages/cube_offsets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/asdf.h"

#define DEGREE (M_PI / 180)
#define MOST 3600.0 /* arcsec: more is no correction of a pointing */

static int read_names(const struct asdf_node *list, const char *path,
                      struct cube_offsets *o, struct err *err)
{
    o->n = list && asdf_is_sequence(list) ? asdf_count(list) : 0;
    if (!o->n) {
        return err_set(err, ERR_PARAM,
                       "offset_file %s: `filename` is missing; expected a list of the "
                       "exposures' names",
                       path);
    }
    o->filename = mem_calloc(o->n, sizeof *o->filename, err);
    for (size_t i = 0; i < o->n; i++) {
        const char *name = NULL;
        if (!o->filename) {
            return ERR_NOMEM;
        }
        if (!asdf_string(asdf_item(list, i), &name)) {
            return err_set(err, ERR_PARAM,
                           "offset_file %s: entry %zu of `filename` is no text", path,
                           i + 1);
        }
        o->filename[i] = mem_strdup(name, err);
        if (!o->filename[i]) {
            return ERR_NOMEM;
        }
    }
    return 0;
}

static int read_numbers(const struct asdf_node *list, const char *name,
                        const char *path, size_t n, double **ret, struct err *err)
{
    struct asdf_array a = {0};
    struct err why = {0};
    if (!list || asdf_array(list, &a, &why)) {
        return err_set(err, ERR_PARAM,
                       "offset_file %s: `%s` is missing or no list of numbers", path,
                       name);
    }
    *ret = a.values;
    if (a.n_axes != 1 || a.n != n) {
        return err_set(err, ERR_PARAM,
                       "offset_file %s: `%s` has %zu values, `filename` %zu; expected "
                       "as many",
                       path, name, a.n, n);
    }
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(a.values[i]) <= MOST)) {
            return err_set(err, ERR_PARAM,
                           "offset_file %s: `%s` is %g in entry %zu; expected arcsec, "
                           "at most %g",
                           path, name, a.values[i], i + 1, MOST);
        }
    }
    return 0;
}

static int read_tree(const struct asdf_node *root, const char *path,
                     struct cube_offsets *o, struct err *err)
{
    const char *units = NULL;
    const struct asdf_node *node = asdf_get(root, "units");
    if (!node || !asdf_string(node, &units) || strcmp(units, "arcsec")) {
        return err_set(err, ERR_PARAM,
                       "offset_file %s: `units` is %s%s%s, expected arcsec", path,
                       units ? "'" : "", units ? units : "missing", units ? "'" : "");
    }
    int code = read_names(asdf_get(root, "filename"), path, o, err);
    code = code ? code
                : read_numbers(asdf_get(root, "raoffset"), "raoffset", path, o->n,
                               &o->ra_arcsec, err);
    return code ? code
                : read_numbers(asdf_get(root, "decoffset"), "decoffset", path, o->n,
                               &o->dec_arcsec, err);
}

int cube_offsets_read(const char *path, struct cube_offsets **ret, struct err *err)
{
    struct asdf *file = NULL;
    struct cube_offsets *o = mem_calloc(1, sizeof *o, err);
    if (!o) {
        return ERR_NOMEM;
    }
    int code = asdf_read(path, &file, err);
    if (code) {
        const struct err why = *err;
        code = why.code == ERR_NOMEM
                   ? code
                   : err_set(err, ERR_PARAM, "offset_file: %s", why.message);
    } else {
        code = read_tree(asdf_root(file), path, o, err);
    }
    asdf_free(file);
    if (code) {
        cube_offsets_free(o);
        return code;
    }
    *ret = o;
    return 0;
}

void cube_offsets_free(struct cube_offsets *o)
{
    if (o) {
        for (size_t i = 0; o->filename && i < o->n; i++) {
            free(o->filename[i]);
        }
        free(o->filename);
        free(o->ra_arcsec);
        free(o->dec_arcsec);
        free(o);
    }
}

int cube_offsets_find(const struct cube_offsets *o, const char *path,
                      const char *filename, double ret[2], struct err *err)
{
    for (size_t i = 0; i < o->n; i++) {
        if (!strcmp(o->filename[i], filename)) {
            ret[0] = o->ra_arcsec[i];
            ret[1] = o->dec_arcsec[i];
            return 0;
        }
    }
    return err_set(err, ERR_PARAM,
                   "offset_file %s: no entry for %s; it has %zu, the first for %s",
                   path, filename, o->n, o->filename[0]);
}

void cube_offset_apply(const double offset[2], double *ra, double *dec)
{
    const double da = offset[0] / 3600 * DEGREE, dd = offset[1] / 3600 * DEGREE;
    const double s = sin(*dec * DEGREE), c = cos(*dec * DEGREE);
    const double x = cos(dd) * cos(da), y = cos(dd) * sin(da), z = sin(dd);
    *ra += atan2(y, x * c - z * s) / DEGREE;
    *dec = atan2(x * s + z * c, hypot(x * c - z * s, y)) / DEGREE;
}
