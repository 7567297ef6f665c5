#include "common/data/ref_wcs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/asdf.h"

/* Open the file and make room for the object; on failure neither is left. */
static int open_reference(const char *path, size_t size, struct asdf **ret_asdf,
                          void **ret_object, size_t *ret_bytes, struct err *err)
{
    struct asdf *a = NULL;
    int code = asdf_read(path, &a, err);
    if (code) {
        return code;
    }
    void *object = mem_calloc(1, size, err);
    if (!object) {
        asdf_free(a);
        return ERR_NOMEM;
    }
    *ret_asdf = a;
    *ret_object = object;
    *ret_bytes = size + asdf_bytes(a); /* programs are about as big as their trees */
    return 0;
}

/* Close the file; hand the object over, or free it if something failed. */
static int close_reference(int code, struct asdf *a, void *object,
                           void (*release)(void *), void **ret)
{
    asdf_free(a);
    if (code) {
        release(object);
        return code;
    }
    *ret = object;
    return 0;
}

static int get_transform(const struct asdf *a, const char *path, const char *key,
                         int n_in, int n_out, struct transform **ret, struct err *err)
{
    const struct asdf_node *node = asdf_get(asdf_root(a), key);
    if (!node) {
        return err_set(err, ERR_REFERENCE, "%s: there is no transform at '%s'", path,
                       key);
    }
    struct transform *t = NULL;
    int code = asdf_transform(node, &t, err);
    if (code) {
        return code;
    }
    if (transform_n_inputs(t) != n_in || transform_n_outputs(t) != n_out) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: the transform at '%s' has %d inputs and %d outputs; it "
                       "should have %d and %d",
                       path, key, transform_n_inputs(t), transform_n_outputs(t), n_in,
                       n_out);
        transform_release(t);
        return code;
    }
    *ret = t;
    return 0;
}

/* A transform and its inverse; the inverse may drop the wavelength. */
static int get_optics(const struct asdf *a, const char *path, const char *key, int n_in,
                      int n_out, struct ref_optics *ret, struct err *err)
{
    int code = get_transform(a, path, key, n_in, n_out, &ret->forward, err);
    if (code) {
        return code;
    }
    code = transform_inverse(ret->forward, &ret->inverse, err);
    if (code) {
        err_prefix(err, "%s: the inverse of '%s'", path, key);
        return code;
    }
    int back_in = transform_n_inputs(ret->inverse);
    int back_out = transform_n_outputs(ret->inverse);
    if (back_in != n_in || (back_out != 2 && back_out != n_out)) {
        return err_set(err, ERR_REFERENCE,
                       "%s: the inverse of '%s' has %d inputs and %d outputs; it "
                       "should have %d and 2",
                       path, key, back_in, back_out, n_in);
    }
    return 0;
}

static void optics_done(struct ref_optics *o)
{
    transform_release(o->forward);
    transform_release(o->inverse);
}

static int get_real(const struct asdf *a, const char *path, const char *key,
                    double *ret, struct err *err)
{
    double v;
    const struct asdf_node *node = asdf_get(asdf_root(a), key);
    if (!node || !asdf_real(node, &v) || !isfinite(v)) {
        return err_set(err, ERR_REFERENCE, "%s: '%s' should be a finite number", path,
                       key);
    }
    *ret = v;
    return 0;
}

static int get_reals(const struct asdf *a, const char *path, const char *key, size_t n,
                     double *ret, struct err *err)
{
    const struct asdf_node *node = asdf_get(asdf_root(a), key);
    if (!node) {
        return err_set(err, ERR_REFERENCE, "%s: '%s' is missing; %zu numbers expected",
                       path, key, n);
    }
    struct asdf_array v;
    int code = asdf_array(node, &v, err);
    if (code) {
        return code;
    }
    if (v.n < n) {
        code = err_set(err, ERR_REFERENCE, "%s: '%s' has %zu numbers; %zu expected",
                       path, key, v.n, n);
    } else {
        memcpy(ret, v.values, n * sizeof *ret);
    }
    free(v.values);
    return code;
}

/* ---- camera, collimator, ote, fore, ifufore, chromcorr ---- */

void ref_optics_free(void *object)
{
    struct ref_optics *o = object;
    if (o) {
        optics_done(o);
        free(o);
    }
}

static int load_optics(const char *path, int n_in, int n_out, void **ret,
                       size_t *ret_bytes, struct err *err)
{
    struct asdf *a;
    void *object;
    int code =
        open_reference(path, sizeof(struct ref_optics), &a, &object, ret_bytes, err);
    if (code) {
        return code;
    }
    code = get_optics(a, path, "model", n_in, n_out, object, err);
    return close_reference(code, a, object, ref_optics_free, ret);
}

int ref_optics_load_2to2(const char *path, void **ret, size_t *ret_bytes,
                         struct err *err)
{
    return load_optics(path, 2, 2, ret, ret_bytes, err);
}

int ref_optics_load_3to2(const char *path, void **ret, size_t *ret_bytes,
                         struct err *err)
{
    return load_optics(path, 3, 2, ret, ret_bytes, err);
}

int ref_chromcorr_load(const char *path, void **ret, size_t *ret_bytes, struct err *err)
{
    return load_optics(path, 3, 3, ret, ret_bytes, err);
}

/* ---- fpa ---- */

void ref_fpa_free(void *object)
{
    struct ref_fpa *f = object;
    if (f) {
        optics_done(&f->detector[0]);
        optics_done(&f->detector[1]);
        free(f);
    }
}

int ref_fpa_load(const char *path, void **ret, size_t *ret_bytes, struct err *err)
{
    struct asdf *a;
    void *object;
    int code =
        open_reference(path, sizeof(struct ref_fpa), &a, &object, ret_bytes, err);
    if (code) {
        return code;
    }
    struct ref_fpa *f = object;
    code = get_optics(a, path, "nrs1_model", 2, 2, &f->detector[0], err);
    if (!code) {
        code = get_optics(a, path, "nrs2_model", 2, 2, &f->detector[1], err);
    }
    return close_reference(code, a, f, ref_fpa_free, ret);
}

/* ---- disperser ---- */

void ref_disperser_free(void *object)
{
    struct ref_disperser *d = object;
    if (d) {
        transform_release(d->tilt_x_sensor.model);
        transform_release(d->tilt_y_sensor.model);
        free(d);
    }
}

static int get_tilt(const struct asdf *a, const char *path, const char *group,
                    struct ref_tilt *ret, struct err *err)
{
    char key[64];
    snprintf(key, sizeof key, "%s.tilt_model", group);
    int code = get_transform(a, path, key, 1, 1, &ret->model, err);
    if (!code) {
        snprintf(key, sizeof key, "%s.zeroreadings", group);
        code = get_reals(a, path, key, 1, &ret->zero_reading, err);
    }
    return code;
}

static int get_glass(const struct asdf *a, const char *path, struct ref_disperser *d,
                     struct err *err)
{
    int code = get_real(a, path, "angle", &d->prism_angle, err);
    if (!code) {
        code = get_reals(a, path, "kcoef", 3, d->kcoef, err);
    }
    if (!code) {
        code = get_reals(a, path, "lcoef", 3, d->lcoef, err);
    }
    if (!code) {
        code = get_reals(a, path, "tcoef", 6, d->tcoef, err);
    }
    if (!code) {
        code = get_real(a, path, "tref", &d->tref_k, err);
    }
    if (!code) {
        code = get_real(a, path, "pref", &d->pref_atm, err);
    }
    d->has_glass = true;
    return code;
}

int ref_disperser_load(const char *path, void **ret, size_t *ret_bytes, struct err *err)
{
    static const struct {
        const char *key;
        size_t offset;
    } angles[] = {{"theta_x", offsetof(struct ref_disperser, theta_x)},
                  {"theta_y", offsetof(struct ref_disperser, theta_y)},
                  {"theta_z", offsetof(struct ref_disperser, theta_z)},
                  {"tilt_y", offsetof(struct ref_disperser, tilt_y)}};
    struct asdf *a;
    void *object;
    int code =
        open_reference(path, sizeof(struct ref_disperser), &a, &object, ret_bytes, err);
    if (code) {
        return code;
    }
    struct ref_disperser *d = object;
    for (size_t i = 0; i < sizeof angles / sizeof angles[0] && !code; i++) {
        double v = 0.0;
        code = get_real(a, path, angles[i].key, &v, err);
        memcpy((char *)object + angles[i].offset, &v, sizeof v);
    }
    if (!code) {
        code = get_tilt(a, path, "gwa_tiltx", &d->tilt_x_sensor, err);
    }
    if (!code) {
        code = get_tilt(a, path, "gwa_tilty", &d->tilt_y_sensor, err);
    }
    if (!code && asdf_get(asdf_root(a), "groovedensity")) {
        d->has_grooves = true;
        code = get_real(a, path, "groovedensity", &d->grooves_per_m, err);
    }
    if (!code && asdf_get(asdf_root(a), "kcoef")) {
        code = get_glass(a, path, d, err);
    }
    return close_reference(code, a, d, ref_disperser_free, ret);
}

/* ---- ifuslicer ---- */

void ref_ifuslicer_free(void *object)
{
    struct ref_ifuslicer *s = object;
    if (s) {
        optics_done(&s->plane);
        free(s);
    }
}

int ref_ifuslicer_load(const char *path, void **ret, size_t *ret_bytes, struct err *err)
{
    struct asdf *a;
    void *object;
    int code =
        open_reference(path, sizeof(struct ref_ifuslicer), &a, &object, ret_bytes, err);
    if (code) {
        return code;
    }
    struct ref_ifuslicer *s = object;
    double row[REF_IFU_SLICES * 5]; /* number, centre x y, size x y */
    code = get_reals(a, path, "data", REF_IFU_SLICES * 5, row, err);
    for (size_t i = 0; i < REF_IFU_SLICES && !code; i++) {
        const double *v = row + 5 * i;
        s->slice[i].x = v[1];
        s->slice[i].y = v[2];
        s->slice[i].size_x = v[3];
        s->slice[i].size_y = v[4];
        if (!isfinite(v[1]) || !isfinite(v[2]) || !(v[3] > 0.0) || !(v[4] > 0.0)) {
            code = err_set(err, ERR_REFERENCE,
                           "%s: 'data' row %zu: centre (%g, %g) m and size (%g, %g) m; "
                           "numbers, and sizes above 0, expected",
                           path, i, v[1], v[2], v[3], v[4]);
        }
    }
    if (!code) {
        code = get_optics(a, path, "model", 2, 2, &s->plane, err);
    }
    return close_reference(code, a, s, ref_ifuslicer_free, ret);
}

/* ---- ifupost ---- */

void ref_ifupost_free(void *object)
{
    struct ref_ifupost *p = object;
    if (p) {
        for (size_t i = 0; i < REF_IFU_SLICES; i++) {
            transform_release(p->slice[i].linear);
            transform_release(p->slice[i].x0);
            transform_release(p->slice[i].x1);
            transform_release(p->slice[i].y0);
            transform_release(p->slice[i].y1);
        }
        free(p);
    }
}

int ref_ifupost_load(const char *path, void **ret, size_t *ret_bytes, struct err *err)
{
    struct asdf *a;
    void *object;
    int code =
        open_reference(path, sizeof(struct ref_ifupost), &a, &object, ret_bytes, err);
    if (code) {
        return code;
    }
    struct ref_ifupost *p = object;
    for (int i = 0; i < REF_IFU_SLICES && !code; i++) {
        struct ref_ifupost_slice *s = &p->slice[i];
        const struct {
            const char *name;
            int n_out;
            struct transform **at;
        } part[] = {{"linear", 2, &s->linear},
                    {"xpoly", 1, &s->x0},
                    {"xpoly_distortion", 1, &s->x1},
                    {"ypoly", 1, &s->y0},
                    {"ypoly_distortion", 1, &s->y1}};
        for (size_t k = 0; k < sizeof part / sizeof part[0] && !code; k++) {
            char key[64];
            snprintf(key, sizeof key, "slice_%d.%s", i, part[k].name);
            code = get_transform(a, path, key, 2, part[k].n_out, part[k].at, err);
        }
    }
    return close_reference(code, a, p, ref_ifupost_free, ret);
}

/* ---- wavelengthrange ---- */

void ref_wavelengthrange_free(void *object)
{
    struct ref_wavelengthrange *r = object;
    if (r) {
        free(r->row);
        free(r);
    }
}

static int read_range(const struct asdf *a, const char *path, size_t i,
                      struct ref_waverange *row, struct err *err)
{
    char key[64];
    const char *name;
    snprintf(key, sizeof key, "waverange_selector.%zu", i);
    const struct asdf_node *node = asdf_get(asdf_root(a), key);
    if (!node || !asdf_string(node, &name) || strlen(name) >= sizeof row->selector) {
        return err_set(err, ERR_REFERENCE,
                       "%s: '%s' should be a name such as F290LP_G395H", path, key);
    }
    memcpy(row->selector, name, strlen(name) + 1);
    double order = 0.0, range[2];
    snprintf(key, sizeof key, "order.%zu", i);
    int code = get_real(a, path, key, &order, err);
    if (!code) {
        snprintf(key, sizeof key, "wavelengthrange.%zu", i);
        code = get_reals(a, path, key, 2, range, err);
    }
    if (code) {
        return code;
    }
    if (!(range[0] > 0.0 && range[1] > range[0] && range[1] < 1e-4)) {
        return err_set(err, ERR_REFERENCE,
                       "%s: '%s' is [%g, %g]; an increasing range in metres expected",
                       path, key, range[0], range[1]);
    }
    row->order = (int)lrint(order);
    row->min_m = range[0];
    row->max_m = range[1];
    return 0;
}

int ref_wavelengthrange_load(const char *path, void **ret, size_t *ret_bytes,
                             struct err *err)
{
    struct asdf *a;
    void *object;
    int code = open_reference(path, sizeof(struct ref_wavelengthrange), &a, &object,
                              ret_bytes, err);
    if (code) {
        return code;
    }
    struct ref_wavelengthrange *r = object;
    const struct asdf_node *names = asdf_get(asdf_root(a), "waverange_selector");
    size_t n = names && asdf_is_sequence(names) ? asdf_count(names) : 0;
    if (n == 0) {
        code = err_set(err, ERR_REFERENCE,
                       "%s: 'waverange_selector' should be a list of names", path);
    } else if (!(r->row = mem_calloc(n, sizeof *r->row, err))) {
        code = ERR_NOMEM;
    }
    for (size_t i = 0; i < n && !code; i++) {
        code = read_range(a, path, i, &r->row[i], err);
        r->n = i + 1;
    }
    return close_reference(code, a, r, ref_wavelengthrange_free, ret);
}
