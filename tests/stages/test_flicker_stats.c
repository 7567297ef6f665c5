#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/par.h"
#include "common/math/rng.h"
#include "stages/flicker_stats.h"
#include "tests/support.h"

enum { N = 200001 };

static float room[N], image[N], values[N], mirrored[2 * N], scratch[2 * N];
static uint8_t mask[N];

/* Noise, a tail of sources, spikes on both sides, ties, and pixels that are not masked. */
static size_t make(double level)
{
    struct rng rng;
    size_t n = 0;
    rng_init(&rng, 3, 0);
    for (size_t i = 0; i < N; i++) {
        double v = level + 0.01 * rng_normal(&rng);
        v += i % 7 == 0 ? fabs(rng_normal(&rng)) : 0;
        v = i % 1001 == 0 ? 1e6 : i % 1003 == 0 ? -1e5 : v;
        image[i] = i % 5 == 0 ? (float)(round(v * 500) / 500) : (float)v;
        mask[i] = i % 3 != 0;
        if (mask[i]) {
            values[n++] = image[i];
        }
    }
    return n;
}

static struct flicker_stats *stats_of(int threads, size_t n)
{
    struct err err = {0};
    struct flicker_stats *s = NULL;
    struct stage_env env = {0};
    support_ok(par_new(threads, &env.par, &err), &err);
    support_ok(flicker_stats_new(&env, image, mask, n, room, &s, &err), &err);
    par_free(env.par);
    return s;
}

/* The same as after sorting: the same pixels are kept, so that the median is equal and the
 * others differ by the rounding of sums in another order, relative to the spread of what is
 * kept (1e-12 of 0.02) or of the spikes (1e6 squared in double: 1e-8). */
START_TEST(test_flicker_stats_are_those_of_sorted_values)
{
    const double levels[] = {0, 0.1, -3, 50};
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
        const size_t n = make(levels[l]);
        struct flicker_stats *s = stats_of(2, N);
        ck_assert_uint_eq(flicker_stats_n(s), n);
        for (int rounds = 1; rounds <= 5; rounds++) {
            const struct robust_stats a = robust_clip(values, scratch, n, 3, rounds),
                                      b = flicker_stats_clip(s, -INFINITY, INFINITY, 3,
                                                             rounds);
            ck_assert_uint_eq(a.n, b.n);
            ck_assert_double_eq(a.median, b.median);
            ck_assert_double_eq_tol(a.std, b.std, 1e-9 * a.std);
            ck_assert_double_eq_tol(a.mean, b.mean, 1e-9 * a.std);
        }
        const struct robust_stats all = robust_clip(values, scratch, n, 3, 5);
        size_t below = 0;
        for (size_t i = 0; i < n; i++) {
            if ((double)values[i] <= all.median) {
                mirrored[below++] = values[i];
                mirrored[below++] = (float)(2 * all.median - (double)values[i]);
            }
        }
        /* mirror images are rounded to single precision */
        const double std = robust_clip(mirrored, scratch, below, 3, 5).std;
        ck_assert_double_eq_tol(flicker_stats_below(s, -INFINITY, all.median, 3, 5),
                                std, 1e-4 * std);
        /* narrower limits: as if the others were not there */
        const double low = levels[l] - 0.015, high = levels[l] + 0.5;
        size_t within = 0;
        for (size_t i = 0; i < n; i++) {
            if ((double)values[i] >= low && (double)values[i] <= high) {
                mirrored[within++] = values[i];
            }
        }
        const struct robust_stats part = robust_clip(mirrored, scratch, within, 3, 5),
                                  same = flicker_stats_clip(s, low, high, 3, 5);
        ck_assert_uint_eq(part.n, same.n);
        ck_assert_double_eq(part.median, same.median);
        ck_assert_double_eq_tol(part.std, same.std, 1e-9 * part.std);
        ck_assert(flicker_stats_median(s, -INFINITY, INFINITY) ==
                  robust_median(values, n));
        flicker_stats_free(s);
    }
}
END_TEST

/* Nothing, one value, all alike; any number of threads. */
START_TEST(test_flicker_stats_of_few_values)
{
    for (size_t i = 0; i < N; i++) {
        image[i] = 7;
        mask[i] = 0;
    }
    struct flicker_stats *s = stats_of(1, N);
    ck_assert(isnan(flicker_stats_clip(s, -INFINITY, INFINITY, 3, 5).median));
    ck_assert(isnan(flicker_stats_median(s, -1, 1)));
    flicker_stats_free(s);
    mask[N / 2] = 1;
    s = stats_of(1, N);
    ck_assert_double_eq(flicker_stats_clip(s, -INFINITY, INFINITY, 3, 5).median, 7);
    ck_assert_double_eq(flicker_stats_clip(s, -INFINITY, INFINITY, 3, 5).std, 0);
    flicker_stats_free(s);
    for (size_t i = 0; i < N; i++) {
        mask[i] = 1;
    }
    s = stats_of(3, N);
    ck_assert_double_eq(flicker_stats_clip(s, -INFINITY, INFINITY, 3, 5).median, 7);
    ck_assert_double_eq(flicker_stats_below(s, -INFINITY, 7, 3, 5), 0);
    ck_assert(isnan(flicker_stats_median(s, 8, 9)));
    flicker_stats_free(s);
    make(0.1);
    s = stats_of(1, N);
    const double one = flicker_stats_clip(s, -INFINITY, INFINITY, 3, 5).std;
    flicker_stats_free(s);
    s = stats_of(3, N);
    ck_assert_double_eq(flicker_stats_clip(s, -INFINITY, INFINITY, 3, 5).std, one);
    flicker_stats_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flicker_stats");
    TCase *t = tcase_create("flicker_stats");
    tcase_add_test(t, test_flicker_stats_are_those_of_sorted_values);
    tcase_add_test(t, test_flicker_stats_of_few_values);
    suite_add_tcase(s, t);
    return support_run(s);
}
