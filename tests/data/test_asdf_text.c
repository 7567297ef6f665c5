/* What is written of a tree reads back as the same numbers. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/asdf.h"
#include "common/data/asdf_text.h"
#include "common/data/transform_build.h"
#include "tests/support.h"

static struct err err;
static struct asdf_text *text;

static void setup(void)
{
    err = (struct err){0};
    text = asdf_text_new(&err);
    ck_assert_ptr_nonnull(text);
}

static void teardown(void)
{
    asdf_text_free(text);
}

/* The file that has been written, read. */
static struct asdf *read_back(void)
{
    const unsigned char *data;
    unsigned char *copy;
    struct asdf *a = NULL;
    size_t n;
    support_ok(asdf_text_finish(text, &data, &n, &err), &err);
    copy = malloc(n);
    memcpy(copy, data, n);
    support_ok(asdf_read_bytes("written", copy, n, &a, &err), &err);
    return a;
}

START_TEST(test_asdf_text_numbers)
{
    static const double all[] = {0.0, -1.0,    1e-300,  1e300,
                                 0.1, 1.0 / 3, -5e-324, 123456789012345678.0};
    size_t n = sizeof all / sizeof *all;
    struct asdf_array a;
    asdf_text_put(text, "list: ");
    asdf_text_reals(text, n, all);
    asdf_text_put(text, "\nnan: ");
    asdf_text_real(text, NAN);
    asdf_text_put(text, "\nblock: ");
    asdf_text_array(text, n, all);
    asdf_text_put(text, "\nagain: ");
    asdf_text_array(text, n, all);
    asdf_text_put(text, "\n");
    struct asdf *file = read_back();
    static const char *const keys[] = {"list", "block", "again"};
    for (int i = 0; i < 3; i++) {
        support_ok(asdf_array(asdf_get(asdf_root(file), keys[i]), &a, &err), &err);
        ck_assert_uint_eq(a.n, n);
        ck_assert_int_eq(memcmp(a.values, all, sizeof all), 0);
        free(a.values);
    }
    double v;
    ck_assert(asdf_real(asdf_get(asdf_root(file), "nan"), &v) && isnan(v));
    long long source;
    ck_assert(asdf_int(asdf_get(asdf_root(file), "again.source"), &source));
    ck_assert_int_eq(source, 0); /* stored once */
    asdf_free(file);
}
END_TEST

START_TEST(test_asdf_text_bytes)
{
    uint8_t map[5 * 7];
    struct asdf_array a;
    for (int i = 0; i < 35; i++) {
        map[i] = (uint8_t)(i % 31);
    }
    asdf_text_put(text, "map: ");
    asdf_text_bytes(text, 5, 7, map);
    asdf_text_put(text, "\n");
    struct asdf *file = read_back();
    support_ok(asdf_array(asdf_get(asdf_root(file), "map"), &a, &err), &err);
    ck_assert(a.n_axes == 2 && a.shape[0] == 7 && a.shape[1] == 5);
    for (int i = 0; i < 35; i++) {
        ck_assert_double_eq(a.values[i], map[i]);
    }
    free(a.values);
    asdf_free(file);
}
END_TEST

/* ---- transforms ---- */

static struct transform *made(int i)
{
    static const double c2[9] = {1.0, 0.5, -0.25, 2.0, 1e-3, 0.0, 0.125, 0.0, 0.0};
    static const double c1[4] = {0.1, -0.2, 0.3, 1e-12}, domain[2] = {-3.0, 5.0};
    static const double m[4] = {1.5, 0.25, -0.5, 0.75}, move[2] = {0.1, -7.0};
    static const double x[3] = {-10.0, 0.5, 10.0}, y[3] = {1.0, -2.0, 7.0};
    static const double turns[4] = {0.5, -1.5, 30.0, 2.0};
    static const int swap[3] = {2, 0, 2}, second = 1;
    static const double held = 0.375;
    const struct transform_glass glass = {{0.58, 0.46, 3.87},
                                          {2.5e-3, 1e-2, 1128.0},
                                          {-2e-5, 0.0, 0.0, 0.0, 0.0, 0.0},
                                          35.0,
                                          1.0,
                                          36.9,
                                          0.5};
    struct err *e = &err;
    switch (i) {
    case 0:
        return transform_compose(transform_shift(0.1, e), transform_scale(-3.0, e), e);
    case 1:
        return transform_affine(m, move, e);
    case 2:
        return transform_rotate2d(33.0, e);
    case 3:
        return transform_polynomial2d(2, c2, NULL, NULL, e);
    case 4:
        return transform_polynomial1d(4, c1, NULL, NULL, e);
    case 5:
        return transform_polynomial1d(4, c1, domain, NULL, e);
    case 6:
        return transform_tabular1d(3, x, y, TRANSFORM_OUTSIDE_FILL, NAN, e);
    case 7:
        return transform_nearest1d(3, x, y, TRANSFORM_OUTSIDE_EXTRAPOLATE, 0.0, e);
    case 8:
        return transform_compose(transform_to_cosines(e),
                                 transform_rotation_gwa("xyzy", turns, e), e);
    case 9:
        return transform_compose(
            transform_compose(transform_spherical_to_cartesian(180, e),
                              transform_rotation("zyxz", turns, e), e),
            transform_cartesian_to_spherical(360, e), e);
    case 10:
        return transform_grating_angles(95000.0, -1, e);
    case 11:
        return transform_grating_wavelength(95000.0, -1, e);
    case 12:
        return transform_logical("GT", 0.25, NAN, e);
    case 13:
        return transform_remap(3, 3, swap, e);
    case 14:
        return transform_arithmetic('*', transform_constant(1, -2.5, e),
                                    transform_identity(1, e), e);
    case 15:
        return transform_arithmetic('-', transform_constant(1, 4.0, e),
                                    transform_function("square", e), e);
    case 16:
        return transform_fix_inputs(transform_rotate2d(10.0, e), 1, &second, &held, e);
    case 17:
        return transform_snell(16.0, &glass, e);
    case 18:
        return transform_prism_index(16.0, e);
    case 19:
        return transform_arithmetic('/', transform_scale(3.0, e),
                                    transform_arithmetic('+', transform_shift(2.0, e),
                                                         transform_shift(-9.0, e), e),
                                    e);
    case 20: {
        struct transform *t = transform_scale(7.0, e);
        return transform_concatenate(transform_hold(t), t, e); /* anchor and alias */
    }
    case 21:
        return transform_with_inverse(transform_polynomial1d(4, c1, NULL, NULL, e),
                                      transform_shift(5.0, e), e);
    default:
        return transform_compose(transform_from_cosines(e), transform_identity(2, e),
                                 e);
    }
}

enum { all_made = 23 };

/* Both at a few points; angles in degrees round: 4e-15 of the value or of 1. */
static void compare(const struct transform *a, const struct transform *b)
{
    double in[8][4], out_a[8][4], out_b[8][4];
    const double *from[8];
    double *to_a[8], *to_b[8];
    ck_assert_int_eq(transform_n_inputs(a), transform_n_inputs(b));
    ck_assert_int_eq(transform_n_outputs(a), transform_n_outputs(b));
    for (int k = 0; k < 8; k++) {
        for (int i = 0; i < 4; i++) {
            in[k][i] = 0.11 * (i + 1) - 0.07 * k;
        }
        from[k] = in[k];
        to_a[k] = out_a[k];
        to_b[k] = out_b[k];
    }
    /* a wavelength, where one comes first */
    in[0][3] = 3e-6;
    transform_eval(a, 4, from, to_a);
    transform_eval(b, 4, from, to_b);
    for (int k = 0; k < transform_n_outputs(a); k++) {
        for (int i = 0; i < 4; i++) {
            double x = out_a[k][i], y = out_b[k][i];
            ck_assert_msg(isnan(x) == isnan(y), "%d %d: %g %g", k, i, x, y);
            if (!isnan(x)) {
                ck_assert_double_le(fabs(x - y), 4e-15 * (1.0 + fabs(x)));
            }
        }
    }
}

START_TEST(test_asdf_text_transforms)
{
    struct transform *t = made(_i), *back = NULL, *inverse[2] = {NULL, NULL};
    ck_assert_msg(t != NULL, "%s", err.message);
    support_ok(transform_compile(t, &err), &err);
    asdf_text_put(text, "t: ");
    asdf_text_transform(text, t, "name: made, ");
    asdf_text_put(text, "\n");
    struct asdf *file = read_back();
    support_ok(asdf_transform(asdf_get(asdf_root(file), "t"), &back, &err), &err);
    compare(t, back);
    const char *name;
    ck_assert(asdf_string(asdf_get(asdf_root(file), "t.name"), &name));
    ck_assert_str_eq(name, "made");
    if (transform_inverse(t, &inverse[0], &err) == 0) {
        support_ok(transform_inverse(back, &inverse[1], &err), &err);
        compare(inverse[0], inverse[1]);
    }
    transform_release(inverse[0]);
    transform_release(inverse[1]);
    transform_release(back);
    transform_release(t);
    asdf_free(file);
}
END_TEST

START_TEST(test_asdf_text_refused)
{
    const double picture[4] = {1.0, 2.0, 3.0, 4.0};
    struct transform *t = transform_lookup(2, 2, picture, 0.0, &err);
    const unsigned char *data;
    size_t n;
    ck_assert_ptr_nonnull(t);
    asdf_text_transform(text, t, "");
    asdf_text_fail(text, ERR_IO, "a later failure does not hide the first");
    ck_assert_int_eq(asdf_text_finish(text, &data, &n, &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "label_mapper"));
    transform_release(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("asdf_text");
    TCase *t = tcase_create("core");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_asdf_text_numbers);
    tcase_add_test(t, test_asdf_text_bytes);
    tcase_add_loop_test(t, test_asdf_text_transforms, 0, all_made);
    tcase_add_test(t, test_asdf_text_refused);
    suite_add_tcase(s, t);
    return support_run(s);
}
