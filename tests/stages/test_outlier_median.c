#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/math/rng.h"
#include "stages/outlier_median.h"
#include "tests/support.h"

enum { NX = 37, NY = 23, N = NX * NY };

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* By gathering and sorting, as it is defined. */
static double plain(const float *plane, int x, int y, int box_x, int box_y)
{
    float v[64];
    size_t n = 0;
    for (int j = y - box_y / 2; j <= y + box_y / 2; j++) {
        for (int i = x - box_x / 2; i <= x + box_x / 2; i++) {
            const int inside = i >= 0 && i < NX && j >= 0 && j < NY;
            const float p = inside ? plane[j * NX + i] : 0;
            if (!isnan(p)) {
                v[n++] = p;
            }
        }
    }
    if (n == 0) {
        return NAN;
    }
    qsort(v, n, sizeof *v, compare);
    return n % 2 ? (double)v[n / 2] : ((double)v[n / 2 - 1] + (double)v[n / 2]) / 2;
}

static void fill(float *plane)
{
    struct rng rng;
    rng_init(&rng, 5, 0);
    for (int i = 0; i < N; i++) {
        const double u = rng_uniform(&rng);
        /* whole numbers: many are equal; a block without any value */
        plane[i] = u < 0.2 || (i % NX > 8 && i % NX < 20 && i / NX > 5 && i / NX < 17)
                       ? (float)NAN
                       : (float)floor(20 * u);
    }
}

static void check_box(int box_x, int box_y, int threads)
{
    static float plane[N];
    static double got[N];
    struct err err = {0};
    struct par *par;
    fill(plane);
    support_ok(par_new(threads, &par, &err), &err);
    support_ok(outlier_median(plane, NX, NY, box_x, box_y, par, NULL, got, &err), &err);
    par_free(par);
    for (int i = 0; i < N; i++) {
        const double right = plain(plane, i % NX, i / NX, box_x, box_y);
        if (isnan(right)) { /* nothing in the box */
            ck_assert(isnan(got[i]));
        } else { /* the same arithmetic: no tolerance */
            ck_assert_double_eq(got[i], right);
        }
    }
}

START_TEST(test_median_as_defined)
{
    check_box(7, 7, 1);
    check_box(7, 7, 3);
    check_box(1, 1, 1);
    check_box(3, 9, 2);
    check_box(9, 3, 1);
}
END_TEST

START_TEST(test_median_stops)
{
    static float plane[N];
    static double got[N];
    const atomic_bool cancel = true;
    struct err err = {0};
    ck_assert_int_eq(outlier_median(plane, NX, NY, 7, 7, NULL, &cancel, got, &err),
                     ERR_CANCELLED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outlier_median");
    TCase *t = tcase_create("all");
    tcase_add_test(t, test_median_as_defined);
    tcase_add_test(t, test_median_stops);
    suite_add_tcase(s, t);
    return support_run(s);
}
