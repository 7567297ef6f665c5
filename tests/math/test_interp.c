#include <check.h>
#include <math.h>
#include <stdlib.h>
#include "common/math/interp.h"
#include "tests/support.h"

static const double x[] = {1, 2, 2, 4, 8}, y[] = {10, 20, 30, 30, 50};

START_TEST(test_interp_values_and_ends)
{
    struct interp t;
    struct err err = {0};
    size_t hint = 0;
    support_ok(interp_init(&t, 5, x, y, &err), &err);
    /* Exact: all numbers are sums of small powers of two. */
    ck_assert(interp_at(&t, 1, -1, -2, &hint) == 10);
    ck_assert(interp_at(&t, 1.5, -1, -2, &hint) == 15);
    ck_assert(interp_at(&t, 2, -1, -2, &hint) == 30); /* the later of two equal knots */
    ck_assert(interp_at(&t, 6, -1, -2, &hint) == 40);
    ck_assert(interp_at(&t, 8, -1, -2, &hint) == 50);
    ck_assert(interp_at(&t, 8.5, -1, -2, &hint) == -2);
    ck_assert(interp_at(&t, 0.5, -1, -2, &hint) == -1);
    ck_assert(isnan(interp_at(&t, (double)NAN, -1, -2, &hint)));
    interp_done(&t);
    ck_assert_ptr_null(t.x);
}
END_TEST

START_TEST(test_interp_ignores_the_hint)
{
    struct interp t;
    struct err err = {0};
    double knots[100], values[100];
    for (int i = 0; i < 100; i++) {
        knots[i] = i * i;
        values[i] = i % 7;
    }
    support_ok(interp_init(&t, 100, knots, values, &err), &err);
    srand(5);
    for (int k = 0; k < 2000; k++) {
        double v = 9801.0 * rand() / RAND_MAX;
        size_t at_zero = 0, anywhere = (size_t)rand() % 100;
        double fresh = interp_at(&t, v, 0, 0, &at_zero);
        ck_assert(interp_at(&t, v, 0, 0, &anywhere) == fresh);
        ck_assert_uint_eq(at_zero, anywhere);
    }
    interp_done(&t);
}
END_TEST

START_TEST(test_interp_of_one_knot)
{
    struct interp t;
    struct err err = {0};
    size_t hint = 0;
    support_ok(interp_init(&t, 1, x, y, &err), &err);
    ck_assert(interp_at(&t, 1, -1, -2, &hint) == 10);
    ck_assert(interp_at(&t, 0, -1, -2, &hint) == -1);
    ck_assert(interp_at(&t, 2, -1, -2, &hint) == -2);
    interp_done(&t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("interp");
    TCase *t = tcase_create("interp");
    tcase_add_test(t, test_interp_values_and_ends);
    tcase_add_test(t, test_interp_ignores_the_hint);
    tcase_add_test(t, test_interp_of_one_knot);
    suite_add_tcase(s, t);
    return support_run(s);
}
