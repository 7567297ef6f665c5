#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "daemon/executor.h"
#include "tests/loop.h"
#include "tests/support.h"

static uv_loop_t loop;
static struct executor *ex;
static struct executor_report reports[16];
static size_t n_reports;
static struct executor_how how;
static atomic_int running, most, go;
static struct err err;

static void on_wake(void *user)
{
    (void)user;
    while (executor_poll(ex, &reports[n_reports])) {
        n_reports++;
    }
}

/* A recipe of four stages; a stage waits for `go` or for its cancellation. */
static int fake_run(struct job *job, struct references *refs, struct par *par,
                    const atomic_bool *cancel, const struct job_events *events,
                    struct job_result *ret, struct err *e)
{
    (void)refs;
    int now = atomic_fetch_add(&running, 1) + 1, code = 0;
    if (now > atomic_load(&most)) {
        atomic_store(&most, now);
    }
    if (!strcmp(job->recipe, "fail")) {
        strcpy(ret->failed_stage, "photom");
        code = err_set(e, ERR_INPUT, "%s is bad", job->id);
    }
    for (int i = 0; i < 4 && !code; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        events->stage(events->user, name, i, 4, 0.0);
        events->note(events->user, i >= 2, name, i >= 2 ? "beware" : "all is well");
        bool deaf = !strcmp(job->recipe, "deaf");
        while (!atomic_load(&go) && (deaf || !atomic_load(cancel))) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        if (atomic_load(cancel)) {
            code = err_set(e, ERR_CANCELLED, "cancelled in %s", name);
        } else {
            events->stage(events->user, name, i, 4, 1.0);
        }
    }
    ck_assert_int_eq(par_threads(par), 2);
    atomic_fetch_sub(&running, 1);
    return code;
}

static atomic_int said;

static void on_progress(void *user, const char *job, const char *stage, int index,
                        int count, double share)
{
    (void)user;
    (void)index;
    (void)share;
    if (*job && *stage && count == 4) {
        atomic_fetch_add(&said, 1);
    }
}

static void setup(void)
{
    how = (struct executor_how){.grace = 20};
    uv_loop_init(&loop);
    n_reports = 0;
    atomic_store(&running, 0);
    atomic_store(&most, 0);
    atomic_store(&go, 0);
    atomic_store(&said, 0);
    struct executor_options o = {.workers = 2,
                                 .threads = 2,
                                 .run = fake_run,
                                 .wake = on_wake,
                                 .progress = on_progress};
    support_ok(executor_open(&loop, &o, &ex, &err), &err);
}

static void teardown(void)
{
    atomic_store(&go, 1);
    executor_cancel(ex, 0, false);
    executor_close(ex);
    loop_end(&loop);
    for (size_t i = 0; i < n_reports; i++) {
        executor_report_done(&reports[i]);
    }
}

static void start(int64_t id, const char *recipe)
{
    struct job job = {0};
    char name[24];
    snprintf(name, sizeof name, "job-%lld", (long long)id);
    job.id = strdup(name);
    job.recipe = strdup(recipe);
    executor_start(ex, id, &job, &how);
    ck_assert_ptr_null(job.id); /* taken over */
}

static bool reported(void *arg)
{
    return n_reports >= *(size_t *)arg;
}

static bool at_stage(void *arg)
{
    struct executor_state s[2];
    size_t n = executor_running(ex, s, 2);
    return n == 1 && !strcmp(s[0].stage, arg);
}

START_TEST(test_executor_runs_jobs_at_the_same_time)
{
    ck_assert_int_eq(executor_idle(ex), 2);
    start(7, "spec2");
    start(8, "spec2");
    ck_assert_int_eq(executor_idle(ex), 0);
    support_until(atomic_load(&most) == 2, 20, "they do not run at the same time");
    atomic_store(&go, 1);
    size_t n = 2;
    loop_until(&loop, reported, &n);
    ck_assert_int_eq(executor_idle(ex), 2);
    ck_assert_int_eq(reports[0].code, 0);
    ck_assert_int_eq(reports[0].id + reports[1].id, 15);
    ck_assert_int_eq(atomic_load(&said), 16); /* begin and end of each stage */
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(reports[i].warnings, 2);
        ck_assert_str_eq(reports[i].warning, "s2: beware");
    }
}
END_TEST

START_TEST(test_executor_says_what_runs)
{
    char first[] = "s0";
    struct executor_state s[2];
    start(3, "spec2");
    loop_until(&loop, at_stage, first);
    ck_assert_uint_eq(executor_running(ex, s, 2), 1);
    ck_assert_int_eq(s[0].id, 3);
    ck_assert_str_eq(s[0].job, "job-3");
    ck_assert_int_eq(s[0].count, 4);
    ck_assert_double_ge(s[0].seconds, 0.0);
}
END_TEST

START_TEST(test_executor_failure_is_reported_with_its_stage)
{
    size_t n = 1;
    start(1, "fail");
    loop_until(&loop, reported, &n);
    ck_assert_int_eq(reports[0].code, ERR_INPUT);
    ck_assert_str_eq(reports[0].err.message, "job-1 is bad");
    ck_assert_str_eq(reports[0].result.failed_stage, "photom");
    start(2, "fail"); /* the worker is as good as new */
    n = 2;
    loop_until(&loop, reported, &n);
    ck_assert_int_eq(reports[1].id, 2);
}
END_TEST

START_TEST(test_executor_cancel_at_once)
{
    size_t n = 1;
    start(1, "spec2");
    start(2, "spec2");
    executor_cancel(ex, 2, false);
    loop_until(&loop, reported, &n);
    ck_assert_int_eq(reports[0].id, 2);
    ck_assert_int_eq(reports[0].code, ERR_CANCELLED);
    ck_assert_int_eq(executor_idle(ex), 1);
}
END_TEST

START_TEST(test_executor_cancel_at_the_end_of_the_stage)
{
    char first[] = "s0";
    size_t n = 1;
    start(1, "spec2");
    loop_until(&loop, at_stage, first);
    executor_cancel(ex, 0, true);
    loop_for(&loop, 0.05);
    ck_assert_uint_eq(n_reports, 0); /* the stage goes on */
    atomic_store(&go, 1);
    loop_until(&loop, reported, &n);
    ck_assert_int_eq(reports[0].code, ERR_CANCELLED);
    ck_assert_str_eq(reports[0].err.message, "cancelled in s1");
}
END_TEST

START_TEST(test_executor_time_limit_cancels)
{
    size_t n = 1;
    how.time_limit = 0.05;
    start(1, "spec2");
    loop_until(&loop, reported, &n);
    ck_assert_int_eq(reports[0].code, ERR_CANCELLED);
    ck_assert(reports[0].timed_out);
    ck_assert_double_ge(reports[0].seconds, 0.05);
    how.time_limit = 0; /* and without one nothing is */
    n = 2;
    start(2, "spec2");
    atomic_store(&go, 1);
    loop_until(&loop, reported, &n);
    ck_assert_int_eq(reports[1].code, 0);
    ck_assert(!reports[1].timed_out);
}
END_TEST

static bool is_stuck(void *arg)
{
    struct executor_state state;
    (void)arg;
    return executor_running(ex, &state, 1) == 1 && state.stuck;
}

START_TEST(test_executor_says_what_ignores_its_cancellation)
{
    size_t n = 1;
    char first[] = "s0";
    how.grace = 0.1;
    start(1, "deaf");
    loop_until(&loop, at_stage, first);
    executor_cancel(ex, 1, false);
    ck_assert(!is_stuck(NULL));
    loop_until(&loop, is_stuck, NULL);
    ck_assert_uint_eq(n_reports, 0);
    atomic_store(&go, 1);
    loop_until(&loop, reported, &n);
    ck_assert_int_eq(reports[0].code, ERR_CANCELLED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("executor");
    TCase *t = tcase_create("executor");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_executor_runs_jobs_at_the_same_time);
    tcase_add_test(t, test_executor_says_what_runs);
    tcase_add_test(t, test_executor_failure_is_reported_with_its_stage);
    tcase_add_test(t, test_executor_cancel_at_once);
    tcase_add_test(t, test_executor_cancel_at_the_end_of_the_stage);
    tcase_add_test(t, test_executor_time_limit_cancels);
    tcase_add_test(t, test_executor_says_what_ignores_its_cancellation);
    suite_add_tcase(s, t);
    return support_run(s);
}
