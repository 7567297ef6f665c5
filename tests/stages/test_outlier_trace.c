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

/* The same by sorting, of the window that begins and ends at the slice's ends. */
static float by_sorting(int x, int from, int to, float *ret_deviation, float *ret_range)
{
    float v[2 * HALF + 1], d[2 * HALF + 1];
    size_t n = 0;
    for (int i = x - HALF; i <= x + HALF; i++) {
        if (i >= from && i < to && !isnan(sci[i])) {
            v[n++] = sci[i];
        }
    }
    qsort(v, n, sizeof *v, compare);
    for (size_t i = 0; i < n; i++) {
        d[i] = fabsf(v[i] - v[n / 2]);
    }
    qsort(d, n, sizeof *d, compare);
    *ret_deviation = d[n / 2];
    *ret_range = v[n - 1 - n / 4] - v[n / 4];
    return v[n / 2];
}

START_TEST(test_trace_as_defined)
{
    struct rng rng;
    setup();
    rng_init(&rng, 3, 0);
    for (int x = 0; x < N; x++) {
        sci[x] += (float)(2 * rng_normal(&rng));
        sci[x] = rng_uniform(&rng) < 0.1 ? (float)NAN : sci[x];
    }
    outlier_trace_row(sci, error, slice, N, HALF, trace, sigma);
    for (int x = 0; x < N; x++) {
        float d = 0, range = 0;
        if (!slice[x] || isnan(sci[x])) {
            ck_assert(isnan(trace[x]) && isnan(sigma[x]));
            continue;
        }
        /* the same arithmetic: no tolerance */
        const int from = x < 120 ? 0 : 125, to = x < 120 ? 120 : N;
        const float middle = by_sorting(x, from, to, &d, &range);
        const float sure = fmaxf(0.5f, 1.4826f * d);
        ck_assert_double_eq((double)trace[x], (double)middle);
        if (x - HALF >= from && x + HALF < to) {
            ck_assert_double_eq((double)sigma[x], (double)sure);
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

/* A hit leaves the trace where it was, and a slope leaves sigma at ERR. */
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
        ck_assert_double_eq((double)sigma[x], 0.5);
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
