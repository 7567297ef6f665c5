#include "common/data/ref_msa.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/data/asdf.h"

#define FIELDS 5 /* number, centre x and y, size x and y */

void ref_msa_free(void *object)
{
    struct ref_msa *m = object;
    for (int q = 0; m && q < REF_MSA_QUADRANTS; q++) {
        transform_release(m->quadrant[q].plane);
        free(m->quadrant[q].shutter);
    }
    free(m);
}

static int read_shutters(const char *path, const struct asdf_node *node,
                         struct msa_quadrant *q, struct err *err)
{
    struct asdf_array rows;
    int code = asdf_array(node, &rows, err);
    if (code) {
        return code;
    }
    const size_t n = rows.n / FIELDS;
    if (n < 1 || n > REF_MSA_COLUMNS * REF_MSA_ROWS || rows.n % FIELDS) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: '%s' has %zu numbers; %d for each of up to %d shutters "
                       "expected",
                       path, asdf_path(node), rows.n, FIELDS,
                       REF_MSA_COLUMNS * REF_MSA_ROWS);
    }
    q->shutter = code ? NULL : mem_calloc(n, sizeof *q->shutter, err);
    for (size_t i = 0; q->shutter && i < n && !code; i++) {
        const double *v = rows.values + FIELDS * i;
        q->shutter[i] = (struct msa_shutter){v[1], v[2], v[3], v[4]};
        if (!isfinite(v[1]) || !isfinite(v[2]) || !isfinite(v[3]) || !isfinite(v[4])) {
            code = err_set(err, ERR_REFERENCE,
                           "%s: '%s' row %zu: centre and size in m expected", path,
                           asdf_path(node), i);
        }
    }
    q->n = n;
    free(rows.values);
    return code || q->shutter ? code : ERR_NOMEM;
}

static int read_quadrant(const char *path, const struct asdf *a, int number,
                         struct msa_quadrant *q, struct err *err)
{
    char key[32];
    snprintf(key, sizeof key, "Q%d.model", number);
    const struct asdf_node *model = asdf_get(asdf_root(a), key);
    snprintf(key, sizeof key, "Q%d.data", number);
    const struct asdf_node *data = asdf_get(asdf_root(a), key);
    if (!model && !data) {
        return 0;
    }
    if (!model || !data) {
        return err_set(err, ERR_REFERENCE, "%s: Q%d has no %s", path, number,
                       model ? "data" : "model");
    }
    int code = asdf_transform(model, &q->plane, err);
    if (!code &&
        (transform_n_inputs(q->plane) != 2 || transform_n_outputs(q->plane) != 2)) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: the transform at '%s' has %d inputs and %d outputs; it "
                       "should have 2 and 2",
                       path, asdf_path(model), transform_n_inputs(q->plane),
                       transform_n_outputs(q->plane));
    }
    return code ? code : read_shutters(path, data, q, err);
}

int ref_msa_load(const char *path, void **ret, size_t *ret_bytes, struct err *err)
{
    struct asdf *a = NULL;
    int code = asdf_read(path, &a, err);
    struct ref_msa *m = code ? NULL : mem_calloc(1, sizeof *m, err);
    if (!code && !m) {
        code = ERR_NOMEM;
    }
    size_t n = 0;
    for (int q = 0; q < REF_MSA_QUADRANTS && !code; q++) {
        code = read_quadrant(path, a, q + 1, &m->quadrant[q], err);
        n += m->quadrant[q].n;
    }
    asdf_free(a);
    if (!code && n == 0) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: none of Q1, Q2, Q3 and Q4 is there; a reference of type "
                       "msa expected",
                       path);
    }
    if (code) {
        ref_msa_free(m);
        return code;
    }
    *ret_bytes = sizeof *m + n * sizeof(struct msa_shutter) + 65536; /* and programs */
    *ret = m;
    return 0;
}
