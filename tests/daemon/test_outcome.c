#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/outcome.h"
#include "tests/support.h"

static const struct outcome_rules rules = {.retry_seconds = 30, .retry_limit = 8};

static struct outcome end(struct executor_report r, struct queue_job job)
{
    return outcome_of(&r, &job, &rules);
}

static void check(struct outcome o, enum job_state to, bool failure, bool crash)
{
    ck_assert_msg(o.to == to, "%s, not %s", job_state_name(o.to), job_state_name(to));
    ck_assert_int_eq(o.count_failure, failure);
    ck_assert_int_eq(o.count_crash, crash);
    ck_assert_int_eq(o.wait > 0, to == JOB_DEFERRED);
}

START_TEST(test_outcome_success_and_deterministic_failures)
{
    static const int bad[] = {ERR_INPUT, ERR_REFERENCE, ERR_PARAM, ERR_NODATA, ERR_BUG};
    struct queue_job job = {.id = 1, .attempt = 1};
    check(end((struct executor_report){.code = 0}, job), JOB_DONE, false, false);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check(end((struct executor_report){.code = bad[i]}, job), JOB_HELD, true,
              false);
    }
}
END_TEST

START_TEST(test_outcome_passing_reasons_are_retried_up_to_the_limit)
{
    struct queue_job job = {.id = 1, .attempt = 1};
    for (job.failures = 0; job.failures < 8; job.failures++) {
        struct outcome o = end((struct executor_report){.code = ERR_IO}, job);
        check(o, JOB_DEFERRED, true, false);
        double wait = 30.0 * (1 << job.failures);
        ck_assert(o.wait >= 0.5 * wait && o.wait <= 1.5 * wait);
    }
    check(end((struct executor_report){.code = ERR_IO}, job), JOB_HELD, true, false);
    check(end((struct executor_report){.code = ERR_NOMEM}, job), JOB_HELD, true, false);
}
END_TEST

START_TEST(test_outcome_deaths_of_a_job)
{
    struct queue_job job = {.id = 1, .attempt = 1};
    struct executor_report r = {
        .code = ERR_BUG, .died = true, .signal = 11, .isolated = true, .suspect = true};
    check(end(r, job), JOB_SUSPECT, false, true);
    job.crashes = 1;
    check(end(r, job), JOB_QUARANTINED, false, true);
    /* killed for want of memory: more of it may help; isolated from now on */
    r.code = ERR_NOMEM;
    r.signal = 9;
    check(end(r, job), JOB_DEFERRED, true, false);
    job.crashes = 0;
    check(end(r, job), JOB_DEFERRED, true, true);
    r.suspect = false;
    check(end(r, job), JOB_DEFERRED, true, false);
}
END_TEST

START_TEST(test_outcome_of_a_stop_counts_nothing)
{
    struct queue_job job = {.id = 1, .attempt = 1, .failures = 3};
    struct executor_report r = {.code = ERR_CANCELLED};
    check(end(r, job), JOB_QUEUED, false, false);
    r.suspect = true;
    check(end(r, job), JOB_SUSPECT, false, false);
}
END_TEST

START_TEST(test_outcome_of_the_time_limit)
{
    struct queue_job job = {.id = 1, .attempt = 1};
    /* it ended when it was asked to: it would take as long again */
    check(end((struct executor_report){.code = ERR_CANCELLED, .timed_out = true}, job),
          JOB_HELD, true, false);
    /* it had to be killed */
    check(end(
              (struct executor_report){
                  .code = ERR_BUG, .timed_out = true, .died = true, .signal = 9},
              job),
          JOB_SUSPECT, false, true);
    /* it was done before it saw */
    check(end((struct executor_report){.code = 0, .timed_out = true}, job), JOB_DONE,
          false, false);
}
END_TEST

START_TEST(test_outcome_wishes)
{
    static const char *const wishes[] = {"held", "cancelled", "quarantined"};
    struct queue_job job = {.id = 1, .attempt = 1};
    for (int i = 0; i < 3; i++) {
        strcpy(job.wish, wishes[i]);
        enum job_state to = job_state_of(wishes[i]);
        check(end((struct executor_report){.code = ERR_CANCELLED}, job), to, false,
              false);
        check(end((struct executor_report){.code = ERR_BUG, .died = true}, job), to,
              false, false);
        check(end((struct executor_report){.code = 0}, job), JOB_DONE, false, false);
    }
}
END_TEST

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A hundred jobs that failed at once: in every tenth of the span some, no crowd. */
START_TEST(test_outcome_waits_are_spread)
{
    double waits[100];
    int tenth[10] = {0};
    for (int i = 0; i < 100; i++) {
        waits[i] = outcome_wait(30, 2, (uint64_t)i);
        ck_assert(waits[i] >= 60 && waits[i] < 180);
        tenth[(int)((waits[i] - 60) / 12)]++;
        ck_assert(waits[i] == outcome_wait(30, 2, (uint64_t)i));
    }
    for (int i = 0; i < 10; i++) {
        ck_assert_int_ge(tenth[i], 2);
        ck_assert_int_le(tenth[i], 25);
    }
    qsort(waits, 100, sizeof *waits, by_size);
    for (int i = 1; i < 100; i++) {
        ck_assert(waits[i] > waits[i - 1]);
    }
}
END_TEST

START_TEST(test_outcome_waits_are_bounded)
{
    for (int i = 0; i < 1000; i++) {
        double wait = outcome_wait(86400, i, (uint64_t)i);
        ck_assert(wait >= 43200 && wait <= 129600);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outcome");
    TCase *t = tcase_create("outcome");
    tcase_add_test(t, test_outcome_success_and_deterministic_failures);
    tcase_add_test(t, test_outcome_passing_reasons_are_retried_up_to_the_limit);
    tcase_add_test(t, test_outcome_deaths_of_a_job);
    tcase_add_test(t, test_outcome_of_a_stop_counts_nothing);
    tcase_add_test(t, test_outcome_of_the_time_limit);
    tcase_add_test(t, test_outcome_wishes);
    tcase_add_test(t, test_outcome_waits_are_spread);
    tcase_add_test(t, test_outcome_waits_are_bounded);
    suite_add_tcase(s, t);
    return support_run(s);
}
