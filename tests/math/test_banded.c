#include <check.h>
#include <math.h>
#include "common/math/banded.h"
#include "common/math/bspline.h"
#include "tests/support.h"

/* A matrix whose inverse is known: tridiagonal 2, -1 of order 4, b = A (1, 2, 3, 4).
 * 1e-12: rounding. */
START_TEST(test_banded_solves)
{
    struct err err = {0};
    struct banded m;
    const double rows[4][2] = {{1, -1}, {1, -1}, {1, -1}, {1, 0}}, first[1] = {1};
    const double b[4] = {0, 0, 0, 5};
    double scratch[4];
    support_ok(banded_init(&m, 4, 2, &err), &err);
    for (size_t i = 0; i < 3; i++) {
        banded_add(&m, i, 2, rows[i], 0, 1);
    }
    banded_add(&m, 0, 1, first, 0, 1);
    banded_add(&m, 3, 1, rows[3], 0, 1);
    for (size_t i = 0; i < 4; i++) {
        m.b[i] = b[i];
    }
    ck_assert_int_eq(banded_solve(&m), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert_double_eq_tol(m.b[i], i + 1, 1e-12);
    }
    /* the inverse's corner is 4 / 5 at both ends, its middle 6 / 5 */
    ck_assert_double_eq_tol(banded_variance(&m, 0, 1, first, scratch), 0.8, 1e-12);
    ck_assert_double_eq_tol(banded_variance(&m, 3, 1, first, scratch), 0.8, 1e-12);
    ck_assert_double_eq_tol(banded_variance(&m, 1, 1, first, scratch), 1.2, 1e-12);
    banded_done(&m);
}
END_TEST

START_TEST(test_banded_knows_singular)
{
    struct err err = {0};
    struct banded m;
    const double row[2] = {1, 1};
    support_ok(banded_init(&m, 3, 2, &err), &err);
    banded_add(&m, 0, 2, row, 1, 1); /* nothing says what the third is */
    ck_assert_int_eq(banded_solve(&m), -1);
    banded_done(&m);
}
END_TEST

/* Both kinds of knots: a partition of one, the same where the knots are the same, and a
 * cubic is reproduced by the fit. 1e-9: the fit's condition. */
START_TEST(test_bspline_reproduces_cubics)
{
    enum { N = 12 };
    struct err err = {0};
    struct banded m;
    double t[N + 4], b[4], c[4];
    size_t first, other;
    for (int i = 0; i < N + 4; i++) {
        t[i] = 1 + 0.5 * (i - 3);
    }
    support_ok(banded_init(&m, N, 4, &err), &err);
    for (int i = 0; i <= 200; i++) {
        const double x = 1 + 4.5 * i / 200;
        bspline_basis(t, N, x, &first, b);
        bspline_uniform(1, 0.5, N, x, &other, c);
        double sum[2] = {0, 0};
        for (int k = 0; k < 4; k++) {
            sum[0] += b[k];
            sum[1] += c[k];
            if (first == other) {
                ck_assert_double_eq_tol(b[k], c[k], 1e-12);
            }
        }
        ck_assert_double_eq_tol(sum[0], 1, 1e-12);
        ck_assert_double_eq_tol(sum[1], 1, 1e-12);
        banded_add(&m, first, 4, b, 2 - x + 3 * x * x * x, 1);
    }
    ck_assert_int_eq(banded_solve(&m), 0);
    for (double x = 0.9; x < 5.6; x += 0.37) { /* and a little beyond the ends */
        bspline_basis(t, N, x, &first, b);
        double value = 0;
        for (size_t k = 0; k < 4; k++) {
            value += b[k] * m.b[first + k];
        }
        ck_assert_double_eq_tol(value, 2 - x + 3 * x * x * x, 1e-9);
    }
    banded_done(&m);
}
END_TEST

/* Knots that fall together at the ends: the first spline is 1 at the first knot. */
START_TEST(test_bspline_clamped)
{
    const double t[11] = {0, 0, 0, 0, 0.3, 0.5, 0.9, 1, 1, 1, 1};
    double b[4];
    size_t first;
    bspline_basis(t, 7, 0, &first, b);
    ck_assert_uint_eq(first, 0);
    ck_assert_double_eq_tol(b[0], 1, 1e-15);
    bspline_basis(t, 7, 1, &first, b);
    ck_assert_uint_eq(first, 3);
    ck_assert_double_eq_tol(b[3], 1, 1e-15);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("banded");
    TCase *t = tcase_create("banded");
    tcase_add_test(t, test_banded_solves);
    tcase_add_test(t, test_banded_knows_singular);
    tcase_add_test(t, test_bspline_reproduces_cubics);
    tcase_add_test(t, test_bspline_clamped);
    suite_add_tcase(s, t);
    return support_run(s);
}
