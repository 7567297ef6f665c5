#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/asdf.h"
#include "common/data/transform.h"
#include "tests/support.h"

/*
 * Transforms from tags. Numbers are those of the definition, or of astropy.modeling where
 * it is the definition; 1e-15 relative is four units in the last place.
 */

static char *folder;
static const char *scratch; /* a file in it */

static void setup(void)
{
    folder = support_folder();
    scratch = support_path(folder, "scratch.asdf");
}

static void teardown(void)
{
    support_remove(folder);
}

static int read_text(const char *text, struct asdf **ret, struct err *err)
{
    FILE *f = fopen(scratch, "wb");

    ck_assert_ptr_nonnull(f);
    fprintf(f,
            "#ASDF 1.0.0\n%%YAML 1.1\n%%TAG ! tag:stsci.edu:asdf/\n--- "
            "!core/asdf-1.1.0\n%s\n...\n",
            text);
    ck_assert_int_eq(fclose(f), 0);
    return asdf_read(scratch, ret, err);
}

static int build(const char *text, struct transform **ret, struct err *err)
{
    struct asdf *a = NULL;
    int rc;

    ck_assert_msg(read_text(text, &a, err) == 0, "%s", err->message);
    rc = asdf_transform(asdf_get(asdf_root(a), "model"), ret, err);
    asdf_free(a); /* a transform does not need the tree it came from */
    return rc;
}

static void eval(const struct transform *t, const double *x, double *y)
{
    const double *in[8];
    double *out[8];

    for (int i = 0; i < 8; i++) {
        in[i] = &x[i];
        out[i] = &y[i];
    }
    transform_eval(t, 1, in, out);
}

static void near(double got, double want)
{
    if (isnan(want)) {
        ck_assert(isnan(got));
    } else {
        ck_assert_msg(fabs(got - want) <= 1e-15 * fmax(1.0, fabs(want)),
                      "%.17g, not %.17g", got, want);
    }
}

#define JWST "!<tag:stsci.edu:jwst_pipeline/"
#define GWCS "!<tag:stsci.edu:gwcs/"

static const struct {
    const char *text;
    int n_in, n_out;
    double x[4], y[4];
    bool back; /* the inverse brings x back */
} rows[] = {
    {"!transform/shift-1.0.0 {offset: 1.5}", 1, 1, {2}, {3.5}, true},
    {"!transform/shift-1.2.0 {offset: !unit/quantity-1.1.0 {value: 1.5, unit: m}}",
     1,
     1,
     {2},
     {3.5},
     true},
    {"!transform/scale-1.4.0 {factor: !core/ndarray-1.0.0 {data: [4], datatype: "
     "float64}}",
     1,
     1,
     {2},
     {8},
     true},
    {"!transform/multiplyscale-1.0.0 {factor: 4}", 1, 1, {2}, {8}, true},
    {"!transform/constant-1.0.0 {value: 4}", 1, 1, {2}, {4}, false},
    {"!transform/constant-1.4.0 {value: 4, dimensions: 2}", 2, 1, {2, 3}, {4}, false},
    {"!transform/identity-1.1.0 {n_dims: 3}", 3, 3, {1, 2, 3}, {1, 2, 3}, true},
    {"!transform/remap_axes-1.1.0 {mapping: [1, 0]}", 2, 2, {1, 2}, {2, 1}, true},
    {"!transform/remap_axes-1.1.0 {mapping: [0], n_inputs: 3}",
     3,
     1,
     {1, 2, 3},
     {1},
     false},
    {"!transform/compose-1.1.0 {forward: [!transform/shift-1.0.0 {offset: 1}, "
     "!transform/scale-1.0.0 {factor: 3}]}",
     1,
     1,
     {2},
     {9},
     true},
    {"!transform/concatenate-1.1.0 {forward: [!transform/shift-1.0.0 {offset: 1}, "
     "!transform/scale-1.0.0 {factor: 3}], bounding_box: [[0, 1], [0, 1]]}",
     2,
     2,
     {2, 5},
     {3, 15},
     true},
    {"!transform/subtract-1.1.0 {forward: [!transform/shift-1.0.0 {offset: 1}, "
     "!transform/scale-1.0.0 {factor: 3}]}",
     1,
     1,
     {2},
     {-3},
     false},
    {"!transform/divide-1.1.0 {forward: [!transform/shift-1.0.0 {offset: 1}, "
     "!transform/constant-1.0.0 {value: 2}]}",
     1,
     1,
     {2},
     {1.5},
     false},
    {"!transform/power-1.1.0 {forward: [!transform/shift-1.0.0 {offset: 1}, "
     "!transform/constant-1.0.0 {value: 2}]}",
     1,
     1,
     {2},
     {9},
     false},
    {"!transform/fix_inputs-1.1.0 {forward: [!transform/subtract-1.0.0 {inputs: [p, "
     "q], "
     "forward: [!transform/remap_axes-1.0.0 {mapping: [0], n_inputs: 2}, "
     "!transform/remap_axes-1.0.0 {mapping: [1]}]}, {keys: [q], values: [10]}]}",
     1,
     1,
     {2},
     {-8},
     false},
    {"!transform/polynomial-1.0.0 {coefficients: [1, 2, 3]}", 1, 1, {2}, {17}, false},
    {"!transform/polynomial-1.2.0 {coefficients: [1, 2], domain: [0, 4], window: [-1, "
     "1]}",
     1,
     1,
     {3},
     {2},
     false},
    {"!transform/polynomial-1.2.0 {coefficients: [[1, 2, 3], [4, 5, 0], [6, 0, 0]], "
     "domain: [[-1, 1], [-1, 1]]}",
     2,
     1,
     {2, 3},
     {1 + 6 + 27 + 8 + 30 + 24},
     false},
    {"!transform/ortho_polynomial-1.0.0 {polynomial_type: chebyshev, coefficients: [1, "
     "2, "
     "3]}",
     1,
     1,
     {0.5},
     {0.5},
     false},
    {"!transform/ortho_polynomial-1.0.0 {polynomial_type: legendre, coefficients: [[0, "
     "1], "
     "[2, 4]]}",
     2,
     1,
     {0.5, 0.25},
     {0.25 + 1.0 + 0.5},
     false},
    {"!transform/tabular-1.2.0 {points: [[0, 1, 3]], lookup_table: [5, 7, 3], method: "
     "linear, bounds_error: false, fill_value: -1}",
     1,
     1,
     {2},
     {5},
     false},
    {"!transform/tabular-1.2.0 {points: [[0, 1, 3]], lookup_table: [5, 7, 3], method: "
     "linear, bounds_error: false, fill_value: -1}",
     1,
     1,
     {4},
     {-1},
     false},
    {"!transform/tabular-1.2.0 {points: [[0, 1, 3]], lookup_table: [5, 7, 8], method: "
     "linear, bounds_error: false}",
     1,
     1,
     {5},
     {9},
     true},
    {"!transform/tabular-1.0.0 {points: [[0, 1], [0, 1]], lookup_table: [[1, 2], [3, "
     "6]], "
     "method: linear, bounds_error: true}",
     2,
     1,
     {0.5, 0.5},
     {3},
     false},
    {"!transform/affine-1.2.0 {matrix: [[1, 2], [3, 4]], translation: [5, 6]}",
     2,
     2,
     {1, 2},
     {10, 17},
     true},
    {"!transform/rotate2d-1.3.0 {angle: 90}",
     2,
     2,
     {1, 0},
     {6.123233995736766e-17, 1},
     true},
    {"!transform/rotate3d-1.3.0 {phi: 10, theta: 90, psi: 180, direction: "
     "native2celestial}",
     2,
     2,
     {0, 30},
     {10, 30},
     true},
    {"!transform/rotate_sequence_3d-1.0.0 {angles: [90], axes_order: z, rotation_type: "
     "cartesian}",
     3,
     3,
     {1, 0, 2},
     {6.123233995736766e-17, -1, 2},
     true},
    {"!transform/math_functions-1.0.0 {func_name: arctan2}",
     2,
     1,
     {1, 1},
     {0.78539816339744831},
     false},
    {"!transform/math_functions-1.0.0 {func_name: remainder}",
     2,
     1,
     {-7, 3},
     {2},
     false},
    {JWST "coords-0.7.0> {model_type: unitless2directional}",
     2,
     3,
     {2, 2},
     {2.0 / 3.0, 2.0 / 3.0, 1.0 / 3.0},
     true},
    {JWST "logical-0.7.0> {condition: GT, compareto: 1, value: .nan}",
     1,
     1,
     {2},
     {NAN},
     false},
    {JWST "rotation_sequence-1.0.0> {angles: [30], axes_order: x}",
     3,
     3,
     {0, 0.6, 0.8},
     {0, 0.9196152422706632, 0.392820323027551},
     true},
    {JWST "grating_equation-1.0.0> {groove_density: 10, order: -1, output: wavelength}",
     3,
     1,
     {0.25, 9, 0.5},
     {0.075},
     false},
    {JWST "grating_equation-1.0.0> {groove_density: 2, order: -1, output: angle}",
     4,
     3,
     {0.25, 0.5, 0, 0},
     {0, 0, 1},
     false},
    {GWCS "grating_equation-1.0.0> {groove_density: 2, order: -1, output: angle}",
     3,
     3,
     {0.25, -0.5, 0},
     {0, 0, 1},
     false},
    {JWST "refraction_index_from_prism-1.0.0> {prism_angle: 30}",
     3,
     1,
     {0, 0, 0.8660254037844386},
     {1},
     false},
    {JWST
     "gwa_to_slit-0.7.0> {slits: [3, 4], models: [!transform/identity-1.0.0 {n_dims: "
     "2}, !transform/remap_axes-1.0.0 {mapping: [1, 0]}]}",
     3,
     3,
     {4, 1, 2},
     {4, 2, 1},
     true},
    {JWST
     "slit_to_msa-1.0.0> {slits: [3, 4], models: [!transform/identity-1.0.0 {n_dims: "
     "2}, !transform/remap_axes-1.0.0 {mapping: [1, 0]}]}",
     3,
     3,
     {4, 1, 2},
     {2, 1, 4},
     true},
    {GWCS "spherical_cartesian-1.0.0> {transform_type: spherical_to_cartesian, "
          "wrap_lon_at: 360}",
     2,
     3,
     {90, 0},
     {6.123233995736766e-17, 1, 0},
     true},
    {GWCS "regions_selector-1.0.0> {inputs: [x, y], outputs: [z], "
          "undefined_transform_value: -9, selector: {labels: [1, 2], transforms: "
          "[!transform/remap_axes-1.0.0 {mapping: [0], n_inputs: 2}, "
          "!transform/remap_axes-1.0.0 "
          "{mapping: [1]}]}, label_mapper: " GWCS
          "label_mapper-1.0.0> {mapper: [[1, 2], [2, "
          "1]], no_label: 0}}",
     2,
     1,
     {0.6, 0.2},
     {0.2},
     false},
};

START_TEST(test_transform_asdf_tags)
{
    struct transform *t = NULL, *inv = NULL;
    struct err err = {0};
    char text[1200];
    double y[8] = {0}, x[8] = {0};

    snprintf(text, sizeof(text), "model: %s", rows[_i].text);
    ck_assert_msg(build(text, &t, &err) == 0, "%s", err.message);
    ck_assert_int_eq(transform_n_inputs(t), rows[_i].n_in);
    ck_assert_int_eq(transform_n_outputs(t), rows[_i].n_out);
    memcpy(x, rows[_i].x, sizeof(rows[_i].x));
    eval(t, x, y);
    for (int i = 0; i < rows[_i].n_out; i++) {
        near(y[i], rows[_i].y[i]);
    }
    if (rows[_i].back) {
        ck_assert_msg(transform_inverse(t, &inv, &err) == 0, "%s", err.message);
        eval(inv, y, x);
        for (int i = 0; i < rows[_i].n_in; i++) {
            ck_assert_double_eq_tol(x[i], rows[_i].x[i], 1e-13);
        }
        transform_release(inv);
    } else {
        ck_assert_int_eq(transform_inverse(t, &inv, &err), ERR_REFERENCE);
        ck_assert_ptr_nonnull(strstr(err.message, scratch));
    }
    transform_release(t);
}
END_TEST

START_TEST(test_transform_asdf_stored_inverse)
{
    struct transform *t = NULL, *inv = NULL;
    struct err err = {0};
    double x[8] = {1, 2}, y[8];

    ck_assert_int_eq(
        build("model: !transform/concatenate-1.2.0\n"
              "  forward:\n"
              "  - !transform/shift-1.2.0 {offset: 1, inverse: !transform/scale-1.2.0 "
              "{factor: 50}}\n"
              "  - !transform/shift-1.2.0 {offset: 1}\n",
              &t, &err),
        0);
    ck_assert_int_eq(transform_inverse(t, &inv, &err), 0);
    eval(inv, x, y);
    near(y[0], 50.0);
    near(y[1], 1.0);
    transform_release(inv);
    transform_release(t);
}
END_TEST

static const struct {
    const char *text, *word; /* a word that the message must say */
} wrong[] = {
    {"!transform/warp-1.0.0 {factor: 9}", "tag:stsci.edu:asdf/transform/warp-1.0.0"},
    {"!transform/compose-1.0.0 {forward: [!transform/shift-1.0.0 {offset: 1}, "
     "!transform/warp-1.0.0 {}]}",
     "model.forward.1"},
    {JWST "v23tosky-0.7.0> {angles: [1], axes_order: z}", "v23tosky-0.7.0"},
    {"{offset: 1}", "(none)"},
    {"!transform/shift-1.0.0 {factor: 9}", "'offset'"},
    {"!transform/shift-1.0.0 {offset: a}", "number"},
    {"!transform/shift-1.0.0 [1]", "no mapping"},
    {"!transform/compose-1.0.0 {forward: [!transform/shift-1.0.0 {offset: 1}]}", "two"},
    {"!transform/compose-1.0.0 {forward: [!transform/shift-1.0.0 {offset: 1}, "
     "!transform/identity-1.0.0 {n_dims: 2}]}",
     "cannot follow"},
    {"!transform/identity-1.0.0 {n_dims: 1000000}", "n_dims"},
    {"!transform/remap_axes-1.0.0 {mapping: [99999999]}", "item 0"},
    {"!transform/remap_axes-1.0.0 {mapping: [1], n_inputs: 1}", "n_inputs"},
    {"!transform/polynomial-1.0.0 {coefficients: [[1, 2]]}", "square"},
    {"!transform/polynomial-1.0.0 {coefficients: [1, 2], domain: [1, 1]}", "empty"},
    {"!transform/tabular-1.0.0 {points: [[0, 0]], lookup_table: [1, 2], method: "
     "linear}",
     "strictly"},
    {JWST "msa_to_slit-0.7.0> {slits: [1], models: [!transform/identity-1.0.0 {}]}",
     "too few for the label's place"},
    {"!transform/tabular-1.0.0 {points: [[0, 1]], lookup_table: []}",
     "'points.0' has 2 values; 0 are right"},
    {"!transform/tabular-1.0.0 {points: [[0, 1]], lookup_table: [1, 2], method: "
     "spline}",
     "spline"},
    {"!transform/rotate_sequence_3d-1.0.0 {angles: [1, 2], axes_order: z, "
     "rotation_type: "
     "cartesian}",
     "2 values"},
    {"!transform/math_functions-1.0.0 {func_name: frobnicate}", "frobnicate"},
};

START_TEST(test_transform_asdf_wrong)
{
    struct transform *t = NULL;
    struct err err = {0};
    char text[1200];

    snprintf(text, sizeof(text), "model: %s", wrong[_i].text);
    ck_assert_int_eq(build(text, &t, &err), ERR_REFERENCE);
    ck_assert_ptr_null(t);
    ck_assert_msg(strstr(err.message, wrong[_i].word) != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, scratch) != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, "model") != NULL, "%s", err.message);
}
END_TEST

/* Each level twice the one before: refused by its weight, and quickly. */
START_TEST(test_transform_asdf_alias_bomb)
{
    char text[8000] = "m0: &m0 !transform/shift-1.0.0 {offset: 1}\n";
    size_t n = strlen(text);
    struct transform *t = NULL;
    struct err err = {0};

    for (int i = 1; i < 60; i++) {
        n += (size_t)snprintf(
            text + n, sizeof(text) - n,
            "%s: &m%d !transform/compose-1.0.0 {forward: [*m%d, *m%d]}\n",
            i == 59 ? "model"
                    : (char[]){'n', (char)('0' + i / 10), (char)('0' + i % 10), 0},
            i, i - 1, i - 1);
    }
    ck_assert_int_eq(build(text, &t, &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "parts"));
}
END_TEST

/* Many points through many operations agree with one point at a time, to the bit. */
START_TEST(test_transform_asdf_runs)
{
    enum { N = 1003 };
    struct transform *t = NULL;
    struct err err = {0};
    double *x = malloc(2 * N * sizeof(double)), *y = malloc(2 * N * sizeof(double));
    const double *in[2] = {x, x + N};
    double *out[2] = {y, y + N};

    ck_assert_msg(
        build("model: !transform/compose-1.2.0\n"
              "  forward:\n"
              "  - !transform/compose-1.2.0\n"
              "    forward:\n"
              "    - !transform/remap_axes-1.2.0 {mapping: [0, 1, 0, 1]}\n"
              "    - !transform/concatenate-1.2.0\n"
              "      forward:\n"
              "      - !transform/polynomial-1.2.0 {coefficients: [[.1, .2, .3], [.4, "
              ".5, 0], [.6, 0, 0]]}\n"
              "      - !transform/polynomial-1.2.0 {coefficients: [[.7, 1.2], [1.4, "
              "0]]}\n"
              "  - !transform/rotate2d-1.2.0 {angle: 12}\n",
              &t, &err) == 0,
        "%s", err.message);
    for (int i = 0; i < 2 * N; i++) {
        x[i] = sin(i * 0.37);
    }
    transform_eval(t, N, in, out);
    for (int i = 0; i < N; i++) {
        const double *one_in[2] = {&x[i], &x[N + i]};
        double a, b, *one_out[2] = {&a, &b};

        transform_eval(t, 1, one_in, one_out);
        ck_assert(a == y[i] && b == y[N + i]);
    }
    /* by hand, at the last point */
    const double p = x[N - 1], q = x[2 * N - 1], turn = 12 * 0.017453292519943295;
    const double u = .1 + .2 * q + .3 * q * q + .4 * p + .5 * p * q + .6 * p * p;
    const double v = .7 + 1.2 * q + 1.4 * p;

    ck_assert_double_eq_tol(y[N - 1], cos(turn) * u - sin(turn) * v, 1e-15);
    ck_assert_double_eq_tol(y[2 * N - 1], sin(turn) * u + cos(turn) * v, 1e-15);
    free(x);
    free(y);
    transform_release(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("transform_asdf");
    TCase *c = tcase_create("transform_asdf");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_transform_asdf_tags, 0,
                        (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(c, test_transform_asdf_stored_inverse);
    tcase_add_loop_test(c, test_transform_asdf_wrong, 0,
                        (int)(sizeof(wrong) / sizeof(wrong[0])));
    tcase_add_test(c, test_transform_asdf_alias_bomb);
    tcase_add_test(c, test_transform_asdf_runs);
    suite_add_tcase(s, c);
    return support_run(s);
}
