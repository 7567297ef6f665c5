#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/transform_build.h"
#include "tests/support.h"

/* Evaluate t at one point. */
static void at(const struct transform *t, const double *x, double *y)
{
    const double *in[8];
    double *out[8];

    ck_assert_int_le(transform_n_inputs(t), 8);
    ck_assert_int_le(transform_n_outputs(t), 8);
    for (int i = 0; i < transform_n_inputs(t); i++) {
        in[i] = &x[i];
    }
    for (int i = 0; i < transform_n_outputs(t); i++) {
        out[i] = &y[i];
    }
    transform_eval(t, 1, in, out);
}

static struct transform *compiled(struct transform *t, const struct err *err)
{
    struct err mine;

    ck_assert_msg(t != NULL, "%s", err->message);
    ck_assert_msg(transform_compile(t, &mine) == 0, "%s", mine.message);
    return t;
}

static struct transform *inverse_of(const struct transform *t)
{
    struct transform *inv = NULL;
    struct err err;

    ck_assert_msg(transform_inverse(t, &inv, &err) == 0, "%s", err.message);
    return inv;
}

START_TEST(test_transform_wiring)
{
    struct err err;
    const int swap[3] = {1, 0, 1};
    struct transform *t = compiled(
        transform_compose(transform_concatenate(transform_shift(1.0, &err),
                                                transform_scale(3.0, &err), &err),
                          transform_remap(2, 3, swap, &err), &err),
        &err);
    const double x[2] = {10.0, 20.0};
    double y[3];

    ck_assert_int_eq(transform_n_inputs(t), 2);
    ck_assert_int_eq(transform_n_outputs(t), 3);
    at(t, x, y);
    ck_assert_double_eq(y[0], 60.0);
    ck_assert_double_eq(y[1], 11.0);
    ck_assert_double_eq(y[2], 60.0);

    struct transform *inv = inverse_of(t);
    double back[2];

    at(inv, y, back);
    ck_assert_double_eq(back[0], 10.0);
    ck_assert_double_eq(back[1], 20.0);
    transform_release(inv);
    transform_release(t);
}
END_TEST

/* Runs end in part blocks, and an output may be an input's array, crosswise too. */
START_TEST(test_transform_in_place)
{
    enum { N = 1000 };
    struct err err;
    const int swap[2] = {1, 0};
    struct transform *t = compiled(
        transform_compose(transform_remap(2, 2, swap, &err),
                          transform_concatenate(transform_identity(1, &err),
                                                transform_shift(0.5, &err), &err),
                          &err),
        &err);
    double *a = malloc(N * sizeof(double)), *b = malloc(N * sizeof(double));
    const double *in[2] = {a, b};
    double *out[2] = {a, b};

    for (int i = 0; i < N; i++) {
        a[i] = i;
        b[i] = -i;
    }
    transform_eval(t, N, in, out);
    for (int i = 0; i < N; i++) {
        ck_assert_double_eq(a[i], -i);
        ck_assert_double_eq(b[i], i + 0.5);
    }
    free(a);
    free(b);
    transform_release(t);
}
END_TEST

START_TEST(test_transform_stored_inverse_first)
{
    struct err err;
    struct transform *t = transform_with_inverse(transform_shift(1.0, &err),
                                                 transform_shift(-7.0, &err), &err);
    struct transform *outer =
        compiled(transform_concatenate(t, transform_shift(2.0, &err), &err), &err);
    struct transform *inv = inverse_of(outer);
    const double x[2] = {0.0, 0.0};
    double y[2];

    at(inv, x, y);
    ck_assert_double_eq(y[0], -7.0);
    ck_assert_double_eq(y[1], -2.0);
    transform_release(inv);
    transform_release(outer);
}
END_TEST

START_TEST(test_transform_constants_fold)
{
    struct err err;
    /* (2 + 3) * x - x: two instructions at most, and the number is right */
    struct transform *t =
        compiled(transform_arithmetic(
                     '-',
                     transform_arithmetic(
                         '*',
                         transform_arithmetic('+', transform_constant(1, 2.0, &err),
                                              transform_constant(1, 3.0, &err), &err),
                         transform_identity(1, &err), &err),
                     transform_identity(1, &err), &err),
                 &err);
    const double x = 1.5;
    double y;

    at(t, &x, &y);
    ck_assert_double_eq(y, 6.0);
    transform_release(t);
}
END_TEST

START_TEST(test_transform_fix_inputs)
{
    struct err err;
    const int which = 1;
    const double value = 100.0;
    struct transform *t = compiled(
        transform_fix_inputs(
            transform_compose(transform_identity(3, &err),
                              transform_arithmetic('+', transform_identity(3, &err),
                                                   transform_identity(3, &err), &err),
                              &err),
            1, &which, &value, &err),
        &err);
    const double x[2] = {1.0, 2.0};
    double y[3];

    ck_assert_int_eq(transform_n_inputs(t), 2);
    at(t, x, y);
    ck_assert_double_eq(y[0], 2.0);
    ck_assert_double_eq(y[1], 200.0);
    ck_assert_double_eq(y[2], 4.0);
    transform_release(t);
}
END_TEST

START_TEST(test_transform_wrong_wiring_is_refused)
{
    struct err err = {0};
    const int out_of_range = 2;

    ck_assert_ptr_null(transform_compose(transform_identity(2, &err),
                                         transform_shift(1.0, &err), &err));
    ck_assert_int_eq(err.code, ERR_REFERENCE);
    ck_assert_ptr_null(transform_remap(2, 1, &out_of_range, &err));
    ck_assert_ptr_null(transform_arithmetic('+', transform_identity(2, &err),
                                            transform_identity(1, &err), &err));
    ck_assert_ptr_null(transform_identity(1000, &err));
    /* a failed argument passes through, and nothing leaks */
    ck_assert_ptr_null(transform_concatenate(NULL, transform_scale(2.0, &err), &err));
}
END_TEST

START_TEST(test_transform_growth_is_bounded)
{
    struct err err = {0};
    struct transform *t = transform_shift(1.0, &err);

    for (int i = 0; t != NULL && i < 64; i++) {
        t = transform_compose(transform_hold(t), t, &err);
    }
    ck_assert_ptr_null(t);
    ck_assert_int_eq(err.code, ERR_REFERENCE);
}
END_TEST

START_TEST(test_transform_no_inverse_says_so)
{
    struct err err;
    const double coef[3] = {1.0, 2.0, 3.0};
    struct transform *t =
        compiled(transform_polynomial1d(3, coef, NULL, NULL, &err), &err);
    struct transform *inv = NULL;

    ck_assert_int_eq(transform_inverse(t, &inv, &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "polynomial"));
    ck_assert_ptr_null(inv);
    transform_release(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("transform");
    TCase *c = tcase_create("transform");

    tcase_add_test(c, test_transform_wiring);
    tcase_add_test(c, test_transform_in_place);
    tcase_add_test(c, test_transform_stored_inverse_first);
    tcase_add_test(c, test_transform_constants_fold);
    tcase_add_test(c, test_transform_fix_inputs);
    tcase_add_test(c, test_transform_wrong_wiring_is_refused);
    tcase_add_test(c, test_transform_growth_is_bounded);
    tcase_add_test(c, test_transform_no_inverse_says_so);
    suite_add_tcase(s, c);
    return support_run(s);
}
