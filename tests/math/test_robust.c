#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "common/math/robust.h"
#include "tests/support.h"

static uint32_t state = 12345;

static float uniform(void) /* 0..1, the same on every machine */
{
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 16777216.0f;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

START_TEST(test_robust_sort_and_select)
{
    float values[777], sorted[777], copy[777], scratch[777];
    for (size_t n = 1; n <= 777; n += 97) {
        for (size_t i = 0; i < n; i++) {
            /* both signs, many orders of magnitude, and ties */
            values[i] = (uniform() - 0.5f) * powf(10.0f, 20.0f * uniform() - 10.0f);
            values[i] = i % 5 ? values[i] : values[i / 2];
        }
        memcpy(sorted, values, n * sizeof(float));
        qsort(sorted, n, sizeof(float), ascending);
        memcpy(copy, values, n * sizeof(float));
        robust_sort(copy, scratch, n);
        ck_assert_mem_eq(copy, sorted, n * sizeof(float));
        for (size_t k = 0; k < n; k += 13) {
            memcpy(copy, values, n * sizeof(float));
            ck_assert(robust_select(copy, n, k) == sorted[k]);
        }
    }
}
END_TEST

START_TEST(test_robust_median)
{
    float odd[] = {3.0f, -1.0f, 100.0f, 2.0f, 2.5f};
    ck_assert(robust_median(odd, 5) == 2.5f);
    float even[] = {4.0f, 1.0f, 3.0f, 2.0f};
    ck_assert(robust_median(even, 4) == 2.5f);
    float one[] = {7.0f};
    ck_assert(robust_median(one, 1) == 7.0f);
    float same[64];
    for (int i = 0; i < 64; i++) {
        same[i] = 5.0f;
    }
    ck_assert(robust_median(same, 64) == 5.0f);
}
END_TEST

/* Short arrays and long ones, which are sorted another way. */
START_TEST(test_robust_doubles)
{
    for (size_t n = 1; n <= 60; n++) {
        double v[60];
        for (size_t i = 0; i < n; i++) {
            v[i] = (double)(i * 37 % n) - 3.0; /* equal values, too */
        }
        robust_sort_doubles(v, n);
        ck_assert_double_eq(v[0], -3.0);
        for (size_t i = 1; i < n; i++) {
            ck_assert(v[i - 1] <= v[i]);
        }
    }
    double odd[] = {3.0, -1.0, 100.0, 2.0, 2.5}, even[] = {4.0, 1.0, 3.5, 2.0};
    ck_assert_double_eq(robust_median_doubles(odd, 5), 2.5);
    ck_assert_double_eq(robust_median_doubles(even, 4), 2.75);
    ck_assert_double_eq(robust_median_doubles(even, 1), 1.0);
}
END_TEST

START_TEST(test_robust_clip_leaves_outliers_out)
{
    float v[1010], scratch[1010];
    for (int i = 0; i < 1000; i++) {
        v[i] = 10.0f + uniform() - 0.5f; /* standard deviation 1 / sqrt(12) */
    }
    for (int i = 1000; i < 1010; i++) {
        v[i] = 1e4f * (float)(i - 999);
    }
    struct robust_stats s = robust_clip(v, scratch, 1010, 3.0, 5);
    ck_assert_uint_eq(s.n, 1000); /* a uniform spread has no 3 sigma tail */
    /* 4 standard errors of the mean and of the deviation of 1000 uniform values */
    ck_assert_double_eq_tol(s.mean, 10.0, 4.0 * 0.2887 / sqrt(1000.0));
    ck_assert_double_eq_tol(s.median, 10.0, 4.0 * 0.5 / sqrt(1000.0));
    ck_assert_double_eq_tol(s.std, 0.28868, 4.0 * 0.2887 / sqrt(2000.0));
}
END_TEST

START_TEST(test_robust_clip_rounds_and_ends)
{
    /* The first round drops 100, the second 10, the third nothing. */
    float v[] = {1.0f, 2.0f, 2.0f, 3.0f, 10.0f, 100.0f}, scratch[6];
    struct robust_stats s = robust_clip(v, scratch, 6, 1.5, 1);
    ck_assert_uint_eq(s.n, 5);
    ck_assert_double_eq(s.mean, 3.6);
    float w[] = {1.0f, 2.0f, 2.0f, 3.0f, 10.0f, 100.0f};
    s = robust_clip(w, scratch, 6, 1.5, 5);
    ck_assert_uint_eq(s.n, 4);
    ck_assert_double_eq(s.mean, 2.0);
    ck_assert_double_eq_tol(s.std, sqrt(0.5), 1e-15);
    s = robust_clip(w, scratch, 0, 3.0, 5);
    ck_assert_uint_eq(s.n, 0);
    ck_assert(isnan(s.mean));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("robust");
    TCase *t = tcase_create("robust");
    tcase_add_test(t, test_robust_sort_and_select);
    tcase_add_test(t, test_robust_median);
    tcase_add_test(t, test_robust_doubles);
    tcase_add_test(t, test_robust_clip_leaves_outliers_out);
    tcase_add_test(t, test_robust_clip_rounds_and_ends);
    suite_add_tcase(s, t);
    return support_run(s);
}
