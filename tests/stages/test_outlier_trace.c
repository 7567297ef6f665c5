#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/math/rng.h"
#include "stages/outlier_trace.h"
#include "tests/support.h"

enum { N = 200, HALF = 12 };
static float sci[N], error[N], trace[N], sigma[N];
static uint8_t slice[N];

/* A slope in slice 4 up to column 120, three times that in slice 5 behind a gap. */
static void setup(void)
{
    for (int x = 0; x < N; x++) {
        slice[x] = x < 120 ? 4 : x < 125 ? 0 : 5;
        sci[x] = (x < 120 ? 1.0f : 3.0f) * (10 + 0.01f * (float)x);
        error[x] = 0.5f;
    }
}

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Sorted values of a window that begins and ends at the slice's ends, without NaNs. */
static size_t window(const float *all, int x, int from, int to, float *v)
{
    size_t n = 0;
    for (int i = x - HALF; i <= x + HALF; i++) {
        if (i >= from && i < to && !isnan(all[i])) {
            v[n++] = all[i];
        }
    }
    qsort(v, n, sizeof *v, compare);
    return n;
}

START_TEST(test_trace_as_defined)
{
    static float far[N];
    struct rng rng;
    setup();
    rng_init(&rng, 3, 0);
    for (int x = 0; x < N; x++) {
        sci[x] += (float)(2 * rng_normal(&rng));
        sci[x] = rng_uniform(&rng) < 0.1 ? (float)NAN : sci[x];
    }
    outlier_trace_row(sci, error, slice, N, HALF, trace, sigma);
    for (int x = 0; x < N; x++) {
        far[x] = fabsf(sci[x] - trace[x]);
    }
    for (int x = 0; x < N; x++) {
        if (!slice[x] || isnan(sci[x])) {
            ck_assert(isnan(trace[x]) && isnan(sigma[x]));
            continue;
        }
        const int from = x < 120 ? 0 : 125, to = x < 120 ? 120 : N;
        float v[2 * HALF + 1];
        size_t n = window(sci, x, from, to, v);
        const float range = v[n - 1 - n / 4] - v[n / 4];
        ck_assert_double_eq((double)trace[x], (double)v[n / 2]); /* the same values */
        n = window(far, x, from, to, v);
        const float sure = fmaxf(0.5f, 1.4826f * v[n / 2]);
        if (x - HALF >= from && x + HALF < to) {
            ck_assert_double_eq_tol((double)sigma[x],
                                    (double)sure + 0.3 * (double)range, 1e-5);
        } else {
            ck_assert(sigma[x] > sure && sigma[x] < sure + range);
        }
        if (x == from) { /* six columns off the middle of thirteen */
            ck_assert_double_eq_tol((double)sigma[x],
                                    (double)sure + 12 / 13.0 * (double)range, 1e-5);
        }
    }
}
END_TEST

/* A hit leaves the trace where it was, and a slope adds to ERR a third of what it rises by in half a window. */
START_TEST(test_trace_of_a_hit)
{
    setup();
    for (int x = 60; x < 63; x++) {
        sci[x] += 1000;
    }
    outlier_trace_row(sci, error, slice, N, HALF, trace, sigma);
    for (int x = HALF; x < 120 - HALF; x++) {
        ck_assert_double_eq_tol((double)trace[x], 10 + 0.01 * x,
                                0.031); /* the hit's three columns */
        ck_assert_double_eq_tol((double)sigma[x], 0.5 + 0.3 * 0.12, 0.01);
    }
}
END_TEST

START_TEST(test_trace_needs_pixels)
{
    setup();
    for (int x = 0; x < 120; x++) {
        sci[x] = x % 5 ? (float)NAN : sci[x]; /* five in a window */
    }
    error[150] = NAN;
    outlier_trace_row(sci, error, slice, N, HALF, trace, sigma);
    for (int x = 0; x < 120; x++) {
        ck_assert(isnan(trace[x]));
    }
    ck_assert(isnan(trace[150]) && !isnan(trace[151]));
}
END_TEST

/* The end of a steep run is no hit. */
START_TEST(test_trace_ends)
{
    setup();
    for (int x = 0; x < 120; x++) {
        sci[x] = 1000 * (1 - expf(-0.4f * (float)(x + 1)));
    }
    outlier_trace_row(sci, error, slice, N, HALF, trace, sigma);
    for (int x = 0; x < 120; x++) {
        ck_assert(fabsf(sci[x] - trace[x]) < 4 * sigma[x]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outlier_trace");
    TCase *t = tcase_create("all");
    tcase_add_test(t, test_trace_as_defined);
    tcase_add_test(t, test_trace_of_a_hit);
    tcase_add_test(t, test_trace_needs_pixels);
    tcase_add_test(t, test_trace_ends);
    suite_add_tcase(s, t);
    return support_run(s);
}
