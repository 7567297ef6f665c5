#include <check.h>
#include <math.h>
#include "common/math/decay.h"
#include "tests/support.h"

/* The series ends where it is within 1e-14; rounding adds as much again. */
#define TOLERANCE 1e-13

START_TEST(test_decay_values)
{
    double x[8], w[8];
    for (double v = 0; v < 700; v += 0.73) {
        for (int i = 0; i < 8; i++) {
            x[i] = v * (1 + 1e-3 * i);
        }
        decay(7, x, w);
        for (int i = 0; i < 7 && x[i] < 700; i++) {
            ck_assert_double_eq_tol(w[i] / exp(-x[i]), 1, TOLERANCE);
        }
    }
}
END_TEST

START_TEST(test_decay_ends)
{
    const double x[4] = {0, 745, 1e9, INFINITY};
    double w[4];
    decay(4, x, w);
    ck_assert_double_eq(w[0], 1);
    for (int i = 1; i < 4; i++) {
        ck_assert(w[i] >= 0 && w[i] < 1e-300);
    }
}
END_TEST

START_TEST(test_decay_squares)
{
    double square[12], w[12];
    decay_squares(9, -3.3, 0.4, square, w);
    for (int i = 0; i < 9; i++) {
        const double d = i - 3.3;
        ck_assert_double_eq_tol(square[i], d * d, 1e-14);
        ck_assert_double_eq_tol(w[i] / exp(-0.4 * d * d), 1, TOLERANCE);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("decay");
    TCase *t = tcase_create("decay");
    tcase_add_test(t, test_decay_values);
    tcase_add_test(t, test_decay_ends);
    tcase_add_test(t, test_decay_squares);
    suite_add_tcase(s, t);
    return support_run(s);
}
