#include <check.h>
#include <math.h>
#include "common/math/sphere.h"
#include "tests/support.h"

/* Rounding of sines and of their inverse: 1e-12 of the value. */
START_TEST(test_sphere_separation)
{
    ck_assert_double_eq(sphere_separation(10, 20, 10, 20), 0);
    ck_assert_double_eq_tol(sphere_separation(0, 0, 90, 0), 90, 1e-10);
    ck_assert_double_eq_tol(sphere_separation(359.5, 0, 0.5, 0), 1, 1e-12);
    ck_assert_double_eq_tol(sphere_separation(0, -90, 123, 90), 180, 1e-10);
    /* a milliarcsecond, at a declination where a degree of ra is half a degree */
    const double mas = 1e-3 / 3600;
    ck_assert_double_eq_tol(sphere_separation(150, 60, 150 + 2 * mas, 60), mas,
                            1e-6 * mas);
    ck_assert(isnan(sphere_separation((double)NAN, 0, 0, 0)));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sphere");
    TCase *t = tcase_create("all");
    tcase_add_test(t, test_sphere_separation);
    suite_add_tcase(s, t);
    return support_run(s);
}
