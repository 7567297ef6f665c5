#include <check.h>
#include <math.h>
#include <string.h>
#include "common/math/star_finder.h"
#include "tests/support.h"

enum { NX = 43, NY = 47 };

static void add_gauss(float *image, double x, double y, double peak, double fwhm)
{
    double sigma = fwhm / 2.354820045;
    for (int j = 0; j < NY; j++) {
        for (int i = 0; i < NX; i++) {
            double r2 = (i - x) * (i - x) + (j - y) * (j - y);
            image[j * NX + i] += (float)(peak * exp(-r2 / (2.0 * sigma * sigma)));
        }
    }
}

START_TEST(test_star_finder_brightest)
{
    static float image[NX * NY];
    memset(image, 0, sizeof image);
    add_gauss(image, 19.4, 22.8, 10.0, 3.0);
    add_gauss(image, 31.0, 10.0, 6.0, 3.0);
    image[35 * NX + 8] = 300.0f; /* one hot spaxel: too sharp for a star */
    bool found = false;
    double x = 0.0, y = 0.0;
    ck_assert_int_eq(star_find_brightest(image, NX, NY, 0.5, 3.0, &found, &x, &y, NULL),
                     0);
    ck_assert(found);
    /* the marginal fit has a systematic error of some hundredths of a pixel */
    ck_assert_double_eq_tol(x, 19.4, 0.05);
    ck_assert_double_eq_tol(y, 22.8, 0.05);
}
END_TEST

START_TEST(test_star_finder_nothing)
{
    static float image[NX * NY];
    memset(image, 0, sizeof image);
    bool found = true;
    double x, y;
    ck_assert_int_eq(star_find_brightest(image, NX, NY, 0.5, 3.0, &found, &x, &y, NULL),
                     0);
    ck_assert(!found);
    add_gauss(image, 20.0, 20.0, 0.4, 3.0); /* below the threshold */
    found = true;
    ck_assert_int_eq(star_find_brightest(image, NX, NY, 0.5, 3.0, &found, &x, &y, NULL),
                     0);
    ck_assert(!found);
    struct err err;
    ck_assert_int_eq(
        star_find_brightest(image, NX, NY, 0.5, 100.0, &found, &x, &y, &err),
        ERR_PARAM);
}
END_TEST

START_TEST(test_star_finder_at_the_edge)
{
    static float image[NX * NY];
    memset(image, 0, sizeof image);
    add_gauss(image, 1.0, 45.0, 10.0, 3.0);
    bool found = false;
    double x = 0.0, y = 0.0;
    ck_assert_int_eq(star_find_brightest(image, NX, NY, 0.5, 3.0, &found, &x, &y, NULL),
                     0);
    ck_assert(found);
    ck_assert_double_eq_tol(x, 1.0, 1.0); /* cut by the edge: within a spaxel */
    ck_assert_double_eq_tol(y, 45.0, 1.0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("star_finder");
    TCase *t = tcase_create("star_finder");
    tcase_add_test(t, test_star_finder_brightest);
    tcase_add_test(t, test_star_finder_nothing);
    tcase_add_test(t, test_star_finder_at_the_edge);
    suite_add_tcase(s, t);
    return support_run(s);
}
