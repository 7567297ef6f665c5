#include <check.h>
#include <math.h>
#include <stdlib.h>
#include "common/math/fft.h"
#include "common/math/rng.h"
#include "tests/support.h"

/* Moments of 200,000 deviates: their standard errors are below 0.01 for mean, variance
 * and kurtosis; five of them is the tolerance. */
START_TEST(test_rng_normal_moments)
{
    struct rng r;
    rng_init(&r, 7, 0);
    double s1 = 0, s2 = 0, s4 = 0;
    const int n = 200000;
    for (int i = 0; i < n; i++) {
        double x = rng_normal(&r);
        s1 += x;
        s2 += x * x;
        s4 += x * x * x * x;
    }
    ck_assert_double_eq_tol(s1 / n, 0, 5 * sqrt(1.0 / n));
    ck_assert_double_eq_tol(s2 / n, 1, 5 * sqrt(2.0 / n));
    ck_assert_double_eq_tol(s4 / n, 3, 5 * sqrt(96.0 / n));
}
END_TEST

START_TEST(test_rng_same_seed_same_numbers)
{
    struct rng a, b, c;
    rng_init(&a, 3, 1);
    rng_init(&b, 3, 1);
    rng_init(&c, 3, 2);
    int differ = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t x = rng_bits(&a);
        ck_assert_uint_eq(x, rng_bits(&b));
        differ += x != rng_bits(&c);
        ck_assert_uint_lt(rng_below(&a, 10), 10);
        rng_below(&b, 10);
    }
    ck_assert_int_gt(differ, 90);
}
END_TEST

/* One frequency gives twice its cosine. Single precision: 1e-5 of the amplitude. */
START_TEST(test_fft_one_frequency)
{
    enum { N = 60 };
    float complex in[N / 2 + 1] = {0};
    float out[N];
    in[3] = 0.5f;
    ck_assert_int_eq(fft_to_real(N, in, out, NULL), 0);
    for (int t = 0; t < N; t++) {
        ck_assert_double_eq_tol((double)out[t], cos(2 * M_PI * 3 * t / N), 1e-5);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rng");
    TCase *t = tcase_create("rng");
    tcase_add_test(t, test_rng_normal_moments);
    tcase_add_test(t, test_rng_same_seed_same_numbers);
    tcase_add_test(t, test_fft_one_frequency);
    suite_add_tcase(s, t);
    return support_run(s);
}
