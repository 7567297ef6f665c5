#include <check.h>
#include <math.h>
#include <stdlib.h>
#include "common/math/aperture.h"
#include "tests/support.h"

static const double pi = 3.14159265358979323846;

static double total(const struct aperture *a)
{
    double sum = 0.0;
    for (size_t i = 0; i < a->n; i++) {
        ck_assert(a->weight[i] > 0.0 && a->weight[i] <= 1.0);
        ck_assert(i == 0 || a->index[i] > a->index[i - 1]);
        sum += a->weight[i];
    }
    return sum;
}

static double weight_at(const struct aperture *a, int i, int j)
{
    for (size_t p = 0; p < a->n; p++) {
        if (a->index[p] == (size_t)(j * a->nx + i)) {
            return a->weight[p];
        }
    }
    return 0.0;
}

START_TEST(test_aperture_exact_area)
{
    struct aperture *a = NULL;
    ck_assert_int_eq(aperture_new(40, 30, &a, NULL), 0);
    const double at[4][3] = {
        {20, 15, 4.5}, {19.48, 15.83, 4.5}, {20.5, 14.5, 0.3}, {12.1, 11.7, 9.9}};
    for (int t = 0; t < 4; t++) {
        double r = at[t][2];
        aperture_ring(a, at[t][0], at[t][1], 0.0, r, APERTURE_EXACT, 1);
        /* only rounding is left: 1e-13 of some 300 */
        ck_assert_double_eq_tol(total(a), pi * r * r, 1e-11);
        ck_assert_double_eq_tol(a->full, pi * r * r, 1e-11);
        aperture_ring(a, at[t][0], at[t][1], 0.5 * r, r, APERTURE_EXACT, 1);
        ck_assert_double_eq_tol(total(a), 0.75 * pi * r * r, 1e-11);
    }
    aperture_free(a);
}
END_TEST

START_TEST(test_aperture_subpixels)
{
    struct aperture *a = NULL;
    ck_assert_int_eq(aperture_new(40, 30, &a, NULL), 0);
    /* Radius just below 4.5 round a pixel centre: counted by hand (and by photutils)
     * 6376 of 100 cells per pixel are inside. */
    aperture_ring(a, 20.0, 15.0, 0.0, 4.4999998, APERTURE_SUBPIXEL, 10);
    ck_assert_double_eq_tol(total(a), 63.76, 1e-12);
    ck_assert_double_eq(weight_at(a, 20, 15), 1.0);
    ck_assert_double_eq(weight_at(a, 24, 15), weight_at(a, 16, 15));
    ck_assert_double_eq(weight_at(a, 20, 19), weight_at(a, 24, 15));
    /* The cells are a sampling of the area: an edge of 28 pixels, 10 cells each, is
     * right to well below a pixel. */
    aperture_ring(a, 19.3, 15.2, 2.0, 4.5, APERTURE_SUBPIXEL, 10);
    ck_assert_double_eq_tol(total(a), pi * (4.5 * 4.5 - 4.0), 0.3);
    ck_assert_double_eq(weight_at(a, 19, 15), 0.0);
    aperture_ring(a, 20.0, 15.0, 0.0, 1.2, APERTURE_CENTER, 1);
    ck_assert_uint_eq(a->n, 5); /* the centre and its four neighbours */
    aperture_free(a);
}
END_TEST

START_TEST(test_aperture_edges)
{
    struct aperture *a = NULL;
    ck_assert_int_eq(aperture_new(10, 8, &a, NULL), 0);
    /* Centred on the corner of the grid: a quarter of it lies inside. */
    aperture_ring(a, -0.5, -0.5, 0.0, 3.0, APERTURE_EXACT, 1);
    ck_assert_double_eq_tol(total(a), pi * 9.0 / 4.0, 1e-12);
    ck_assert_double_eq_tol(a->full, pi * 9.0, 1e-12);
    aperture_ring(a, 40.0, 3.0, 0.0, 3.0, APERTURE_SUBPIXEL, 10);
    ck_assert_uint_eq(a->n, 0);
    aperture_ring(a, 5.0, 4.0, 0.0, 1e12, APERTURE_SUBPIXEL, 10);
    ck_assert_uint_eq(a->n, 80);
    aperture_ring(a, 5.0, (double)NAN, 0.0, 2.0, APERTURE_SUBPIXEL, 10);
    ck_assert_uint_eq(a->n, 0);
    aperture_whole(a);
    ck_assert_double_eq(total(a), 80.0);
    aperture_free(a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("aperture");
    TCase *t = tcase_create("aperture");
    tcase_add_test(t, test_aperture_exact_area);
    tcase_add_test(t, test_aperture_subpixels);
    tcase_add_test(t, test_aperture_edges);
    suite_add_tcase(s, t);
    return support_run(s);
}
