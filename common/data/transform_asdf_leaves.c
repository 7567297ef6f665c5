#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/transform_asdf.h"

/* Leaves whose numbers are arrays: polynomials, tables, affine maps, rotations. */

/*
 * Domain or window of n_axes intervals as x0 x1 (y0 y1). false: there is none, or an old
 * one that is not numeric (versions before 1.2 meant something else by it).
 */
static bool intervals(const struct asdf_node *node, const char *key, int n_axes,
                      double ret[4])
{
    const struct asdf_node *x = asdf_get(node, key);

    for (int i = 0; i < n_axes; i++) {
        const struct asdf_node *one = n_axes == 1 ? x : asdf_item(x, (size_t)i);

        for (size_t k = 0; k < 2; k++) {
            if (!asdf_real(asdf_item(one, k), &ret[2 * i + (int)k])) {
                return false;
            }
        }
    }
    return true;
}

struct transform *asdf_build_polynomial(struct asdf_builder *b,
                                        const struct asdf_node *node)
{
    struct asdf_array a;
    struct transform *t = NULL;
    double domain[4], window[4];

    if (!asdf_build_array(b, node, "coefficients", ASDF_ANY_LENGTH, &a)) {
        return NULL;
    }
    const double *d = intervals(node, "domain", a.n_axes, domain) ? domain : NULL;
    const double *w = intervals(node, "window", a.n_axes, window) ? window : NULL;

    if (a.n_axes == 1 && a.n > 0 && a.n <= 1000) {
        t = transform_polynomial1d((int)a.n, a.values, d, w, b->err);
    } else if (a.n_axes == 2 && a.shape[0] == a.shape[1] && a.n > 0 &&
               a.shape[0] <= 100) {
        t = transform_polynomial2d((int)a.shape[0] - 1, a.values, d, w, b->err);
    } else {
        asdf_build_error(b, node, "coefficients must be a list or a square matrix");
    }
    free(a.values);
    return t;
}

struct transform *asdf_build_ortho(struct asdf_builder *b, const struct asdf_node *node)
{
    struct asdf_array a;
    struct transform *t = NULL;
    double domain[4], window[4];
    const char *type;

    if (!asdf_build_word(b, node, "polynomial_type", &type) ||
        !asdf_build_array(b, node, "coefficients", ASDF_ANY_LENGTH, &a)) {
        return NULL;
    }
    const double *d = intervals(node, "domain", a.n_axes, domain) ? domain : NULL;
    const double *w = intervals(node, "window", a.n_axes, window) ? window : NULL;

    if ((a.n_axes == 1 || a.n_axes == 2) && a.n > 0 && a.n <= 10000) {
        t = transform_ortho(type, a.n_axes, (int)a.shape[0],
                            a.n_axes == 2 ? (int)a.shape[1] : 1, a.values, d, w,
                            b->err);
    } else {
        asdf_build_error(b, node, "coefficients must be a list or a matrix");
    }
    free(a.values);
    return t;
}

struct transform *asdf_build_tabular(struct asdf_builder *b,
                                     const struct asdf_node *node)
{
    struct asdf_array values = {0}, x = {0}, y = {0};
    struct transform *t = NULL;
    enum transform_outside outside = TRANSFORM_OUTSIDE_EXTRAPOLATE;
    const char *method = "linear";
    double fill = NAN;
    bool strict = false;

    asdf_string(asdf_get(node, "method"), &method);
    asdf_bool(asdf_get(node, "bounds_error"), &strict);
    if (asdf_real(asdf_get(node, "fill_value"), &fill)) {
        outside = TRANSFORM_OUTSIDE_FILL;
    }
    if (strict) { /* what would be an error of the peer is no number here */
        outside = TRANSFORM_OUTSIDE_FILL;
        fill = NAN;
    }
    if (strcmp(method, "linear") != 0 && strcmp(method, "nearest") != 0) {
        return asdf_build_error(b, node, "tabular: method '%s'; linear and nearest",
                                method);
    }
    const bool nearest = method[0] == 'n';

    if (!asdf_build_array(b, node, "lookup_table", ASDF_ANY_LENGTH, &values)) {
        return NULL;
    }
    if ((values.n_axes != 1 && values.n_axes != 2) || values.n > 10000000) {
        asdf_build_error(b, node, "tabular: a table of %d axes; 1 or 2 are right",
                         values.n_axes);
    } else if (asdf_build_array(b, node, "points.0", values.shape[0], &x)) {
        if (values.n_axes == 1) {
            t = (nearest ? transform_nearest1d : transform_tabular1d)(
                (int)x.n, x.values, values.values, outside, fill, b->err);
        } else if (asdf_build_array(b, node, "points.1", values.shape[1], &y)) {
            t = transform_tabular2d((int)x.n, x.values, (int)y.n, y.values,
                                    values.values, nearest, outside, fill, b->err);
            free(y.values);
        }
        free(x.values);
    }
    free(values.values);
    return t;
}

struct transform *asdf_build_affine(struct asdf_builder *b,
                                    const struct asdf_node *node)
{
    struct asdf_array matrix, translation;
    double shift[2] = {0.0, 0.0}, m[4];

    if (!asdf_build_array(b, node, "matrix", 4, &matrix)) {
        return NULL;
    }
    memcpy(m, matrix.values, sizeof(m));
    free(matrix.values);
    if (asdf_get(node, "translation") != NULL) {
        if (!asdf_build_array(b, node, "translation", 2, &translation)) {
            return NULL;
        }
        memcpy(shift, translation.values, sizeof(shift));
        free(translation.values);
    }
    return transform_affine(m, shift, b->err);
}

struct transform *asdf_build_rotate3d(struct asdf_builder *b,
                                      const struct asdf_node *node)
{
    const char *direction;
    double angles[3];

    if (!asdf_build_word(b, node, "direction", &direction) ||
        !asdf_build_real(b, node, "phi", &angles[0]) ||
        !asdf_build_real(b, node, "theta", &angles[1]) ||
        !asdf_build_real(b, node, "psi", &angles[2])) {
        return NULL;
    }
    if (strcmp(direction, "native2celestial") == 0 ||
        strcmp(direction, "celestial2native") == 0) {
        return transform_rotate_native(angles[0], angles[1], angles[2],
                                       direction[0] == 'n', b->err);
    }
    if (strlen(direction) != 3) {
        return asdf_build_error(b, node, "rotate3d: direction '%s' is not known",
                                direction);
    }
    return transform_rotation_spherical(direction, angles, b->err);
}

bool asdf_build_turns(struct asdf_builder *b, const struct asdf_node *node,
                      double angles[16], const char **ret_axes)
{
    struct asdf_array a;

    if (!asdf_build_word(b, node, "axes_order", ret_axes)) {
        return false;
    }
    if (strlen(*ret_axes) < 1 || strlen(*ret_axes) > 16) {
        asdf_build_error(b, node, "axes_order '%s' has not 1 to 16 letters", *ret_axes);
        return false;
    }
    if (!asdf_build_array(b, node, "angles", strlen(*ret_axes), &a)) {
        return false;
    }
    memcpy(angles, a.values, a.n * sizeof(double));
    free(a.values);
    return true;
}

struct transform *asdf_build_rotate_sequence(struct asdf_builder *b,
                                             const struct asdf_node *node)
{
    const char *axes, *type;
    double angles[16];

    if (!asdf_build_turns(b, node, angles, &axes) ||
        !asdf_build_word(b, node, "rotation_type", &type)) {
        return NULL;
    }
    if (strcmp(type, "cartesian") == 0) {
        return transform_rotation(axes, angles, b->err);
    }
    if (strcmp(type, "spherical") == 0) {
        return transform_rotation_spherical(axes, angles, b->err);
    }
    return asdf_build_error(b, node, "rotation_type '%s'; cartesian or spherical",
                            type);
}
