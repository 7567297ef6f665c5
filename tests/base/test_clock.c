#include <check.h>
#include <time.h>
#include "common/base/clock.h"
#include "tests/support.h"

START_TEST(test_clock_steady_goes_on)
{
    double begun = clock_steady();
    support_until(clock_steady() > begun, 10, "it stands still");
}
END_TEST

START_TEST(test_clock_date_is_that_of_the_system)
{
    time_t before = time(NULL);
    double now = clock_date();
    ck_assert_double_ge(now, (double)before - 1); /* time() may lag by a tick */
    ck_assert_double_le(now, (double)time(NULL) + 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("clock");
    TCase *t = tcase_create("clock");
    tcase_add_test(t, test_clock_steady_goes_on);
    tcase_add_test(t, test_clock_date_is_that_of_the_system);
    suite_add_tcase(s, t);
    return support_run(s);
}
