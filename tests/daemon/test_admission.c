#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/admission.h"
#include "tests/support.h"

#define MB ((int64_t)1 << 20)

START_TEST(test_admission_budget)
{
    ck_assert_int_eq(admission_budget(4096, 1, 1024), 3072 * MB);
    ck_assert_int_eq(admission_budget(0, 16384 * MB, 1024), (12288 - 1024) * MB);
    ck_assert_int_eq(admission_budget(512, 16384 * MB, 1024), 0);
    ck_assert_int_eq(admission_budget(0, 0, 16), 0);
}
END_TEST

START_TEST(test_admission_need)
{
    ck_assert_int_eq(admission_need(100 * MB, 0), 100 * MB);
    ck_assert_int_eq(admission_need(100 * MB, 0.8), 100 * MB);
    ck_assert_int_eq(admission_need(100 * MB, 1.6), 200 * MB);
    /* one odd measurement does not rule */
    ck_assert_int_eq(admission_need(100 * MB, 0.001), 50 * MB);
    ck_assert_int_eq(admission_need(100 * MB, 1000), 800 * MB);
    ck_assert_int_gt(admission_need(INT64_MAX, 8), (int64_t)1 << 59);
}
END_TEST

START_TEST(test_admission_doubles_what_was_short)
{
    ck_assert_int_eq(admission_more(100 * MB, 0), 200 * MB);
    ck_assert_int_eq(admission_more(100 * MB, 300 * MB), 600 * MB);
    int64_t estimate = 1;
    for (int i = 0; i < 200; i++) {
        int64_t more = admission_more(estimate, 0);
        ck_assert_int_ge(more, estimate);
        estimate = more;
    }
    ck_assert_int_gt(estimate, (int64_t)1 << 59);
}
END_TEST

START_TEST(test_admission_sum_stays_within_the_budget)
{
    struct admission a = {.budget = 1000 * MB};
    char why[200];
    bool alone;
    ck_assert(admission_fits(&a, 600 * MB, &alone, why, sizeof why) && !alone);
    ck_assert_str_eq(why, "");
    admission_start(&a, 600 * MB);
    ck_assert(admission_fits(&a, 400 * MB, &alone, why, sizeof why));
    ck_assert(!admission_fits(&a, 400 * MB + 1, &alone, why, sizeof why) && !alone);
    ck_assert_ptr_nonnull(strstr(why, "needs 400 MB"));
    ck_assert_ptr_nonnull(strstr(why, "1 job runs with 600 MB"));
    admission_start(&a, 400 * MB);
    ck_assert(!admission_fits(&a, 1, &alone, why, sizeof why));
    ck_assert_ptr_nonnull(strstr(why, "2 jobs run"));
    admission_end(&a, 600 * MB);
    ck_assert(admission_fits(&a, 600 * MB, &alone, why, sizeof why));
    admission_end(&a, 400 * MB);
    ck_assert_int_eq(a.used, 0);
    ck_assert_int_eq(a.running, 0);
}
END_TEST

START_TEST(test_admission_larger_than_the_budget_runs_alone)
{
    struct admission a = {.budget = 1000 * MB};
    char why[200];
    bool alone;
    admission_start(&a, 1 * MB);
    ck_assert(!admission_fits(&a, 1001 * MB, &alone, why, sizeof why) && alone);
    ck_assert_ptr_nonnull(strstr(why, "it will run alone"));
    admission_end(&a, 1 * MB);
    ck_assert(admission_fits(&a, 1001 * MB, &alone, why, sizeof why) && alone);
    admission_start(&a, 1001 * MB);
    ck_assert(!admission_fits(&a, 1, &alone, why, sizeof why) && !alone);
    admission_end(&a, 1001 * MB);
    ck_assert(admission_fits(&a, 1000 * MB, &alone, why, sizeof why) && !alone);
}
END_TEST

/* Whatever comes and goes: within the budget, or one alone. */
START_TEST(test_admission_holds_for_any_sequence)
{
    struct admission a = {.budget = 1000};
    int64_t needs[64];
    int n = 0;
    unsigned state = 1;
    char why[200];
    bool alone;
    long started = 0, refused = 0;
    for (int i = 0; i < 100000; i++) {
        state = state * 1664525u + 1013904223u;
        int64_t need = (state >> 8) % 1100;
        if (n == 64 || (n && state >> 31)) {
            admission_end(&a, needs[--n]);
        } else if (admission_fits(&a, need, &alone, why, sizeof why)) {
            admission_start(&a, need);
            needs[n++] = need;
            started++;
        } else {
            ck_assert_int_gt(strlen(why), 0);
            refused++;
        }
        ck_assert_int_eq(a.running, n);
        ck_assert(a.used <= a.budget || n == 1);
    }
    ck_assert_int_gt(started, 1000);
    ck_assert_int_gt(refused, 1000);
}
END_TEST

START_TEST(test_admission_does_not_overflow)
{
    struct admission a = {.budget = 1000};
    char why[200];
    bool alone;
    admission_start(&a, INT64_MAX);
    ck_assert(!admission_fits(&a, INT64_MAX, &alone, why, sizeof why));
    ck_assert(!admission_fits(&a, 1, &alone, why, sizeof why));
    admission_start(&a, INT64_MAX);
    ck_assert_int_eq(a.used, INT64_MAX);
    admission_end(&a, INT64_MAX);
    admission_end(&a, INT64_MAX);
    ck_assert_int_eq(a.used, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("admission");
    TCase *t = tcase_create("all");
    tcase_add_test(t, test_admission_budget);
    tcase_add_test(t, test_admission_need);
    tcase_add_test(t, test_admission_doubles_what_was_short);
    tcase_add_test(t, test_admission_sum_stays_within_the_budget);
    tcase_add_test(t, test_admission_larger_than_the_budget_runs_alone);
    tcase_add_test(t, test_admission_holds_for_any_sequence);
    tcase_add_test(t, test_admission_does_not_overflow);
    suite_add_tcase(s, t);
    return support_run(s);
}
