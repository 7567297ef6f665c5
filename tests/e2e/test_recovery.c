#include <check.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/daemon_child.h"
#include "tests/e2e/programs.h"
#include "tests/poison_child.h"
#include "tests/support.h"

/*
 * Deaths of the daemon and of jobs, with the real programs and exposures that reduce:
 * two dithers on two detectors, four spec2 jobs and a spec3 job.
 */
#define BASE "jw01234001001_02101_0000"
#define SICK "spec2-" BASE "1_nrs1-1"
#define PART BASE "1_nrs1_cal" /* that the sick job opens, and nothing else */
#define PATIENCE 60.0

static struct daemon_child d;

static void setup_with(const char *extra)
{
    char text[512];
    snprintf(text, sizeof text, "\"workers\": 2, \"threads_per_worker\": 1%s%s",
             *extra ? ", " : "", extra);
    daemon_child_init(&d, text);
    programs_run(d.top,
                 "$B/ifusim --make-references references --grating G395H --filter "
                 "F290LP && $B/ifusim --references references --output rate --dithers "
                 "2 --subarray 900,0,16,2048 --truth false");
}

static void teardown(void)
{
    poison_child_set(NULL, 0);
    daemon_child_done(&d);
}

/* All four at once; they come in as hard links do, whole. */
static void drop_all(void)
{
    programs_run(d.top, "ln rate/*_rate.fits inbox/");
}

/* Does the job run now, at this stage? */
static bool runs_at(const char *job, const char *stage)
{
    json_t *status = daemon_child_status(&d);
    const json_t *item;
    size_t i;
    bool found = false;
    json_array_foreach(json_object_get(status, "running"), i, item)
    {
        found |= !strcmp(json_string_value(json_object_get(item, "job")), job) &&
                 !strcmp(json_string_value(json_object_get(item, "stage")), stage);
    }
    json_decref(status);
    return found;
}

static void until_runs_at(const char *job, const char *stage)
{
    support_until(runs_at(job, stage), PATIENCE, "%s is not at %s", job, stage);
}

/* The daemon dies of this signal by itself. */
static void until_death(int number)
{
    int status = 0;
    support_until(daemon_child_died(&d, &status), PATIENCE, "ifud lives on");
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == number, "status %x",
                  (unsigned)status);
}

static void kill_daemon(void)
{
    ck_assert_int_eq(kill(d.pid, SIGKILL), 0);
    until_death(SIGKILL);
}

/* What ifuctl says of a job. */
static json_t *show(const char *job)
{
    programs_run(d.top, "$B/ifuctl --socket '%s' --json show '%s'", d.socket, job);
    char *text = support_read_file(support_path(d.top, "stdout.txt"), NULL);
    json_t *answer = json_loads(text, 0, NULL);
    ck_assert_msg(answer != NULL, "%s", text);
    free(text);
    return answer;
}

/* A number of a job, as "attempt". */
static long number_of(const char *job, const char *key)
{
    json_t *answer = show(job), *row = json_object_get(answer, "job");
    json_t *value = json_object_get(json_is_object(row) ? row : answer, key);
    ck_assert_msg(json_is_integer(value), "no %s of %s", key, job);
    long n = (long)json_integer_value(value);
    json_decref(answer);
    return n;
}

/* Every state that a job has been in, as "waiting queued running ...". */
static void check_way(const char *job, const char *expected)
{
    char way[512] = "";
    json_t *answer = show(job);
    const json_t *event;
    size_t i, n = 0;
    json_array_foreach(json_object_get(answer, "events"), i, event)
    {
        const char *to = json_string_value(json_object_get(event, "to"));
        n += (size_t)snprintf(way + n, sizeof way - n, "%s%s", n ? " " : "", to);
    }
    ck_assert_str_eq(way, expected);
    json_decref(answer);
}

/* How many files match below the top folder. */
static size_t count(const char *pattern)
{
    glob_t found;
    char path[700];
    snprintf(path, sizeof path, "%.300s/%.300s", d.top, pattern);
    size_t n = glob(path, GLOB_PERIOD, NULL, &found) ? 0 : found.gl_pathc;
    globfree(&found);
    return n;
}

static void check_products(size_t spec2, size_t spec3)
{
    ck_assert_uint_eq(count("products/01234/*/*_cal.fits"), spec2);
    ck_assert_uint_eq(count("products/01234/*/jw01234001001*_x1d.fits"), spec2);
    ck_assert_uint_eq(count("products/01234/*/jw01234-*_s3d.fits"), spec3);
    ck_assert_uint_eq(count("products/01234/*/.*.part"), 0);
}

START_TEST(test_recovery_kill_amid_a_job)
{
    setup_with("");
    poison_child_set("loop=" PART, 64);
    daemon_child_start(&d);
    drop_all();
    until_runs_at(SICK, "photom");
    daemon_child_until(&d, "jobs.done", 3);
    ck_assert_uint_gt(count("products/01234/*/.*.part"), 0);
    kill_daemon();
    poison_child_set(NULL, 0);
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.done", 5);
    check_products(4, 1);
    check_way(SICK, "waiting queued running suspect running done");
    ck_assert_int_eq(number_of(SICK, "attempt"), 2);
    ck_assert_int_eq(number_of(SICK, "failures"), 0);
    ck_assert_int_eq(number_of(SICK, "crashes"), 0);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_recovery_poison_takes_the_daemon_down_once)
{
    setup_with("");
    poison_child_set("abort=" PART, 64);
    daemon_child_start(&d);
    drop_all();
    until_death(SIGABRT);
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.quarantined", 1);
    daemon_child_until(&d, "jobs.done", 3);
    check_products(3, 0);
    check_way(SICK,
              "waiting queued running suspect running suspect running quarantined");
    ck_assert_int_eq(number_of(SICK, "crashes"), 2);
    ck_assert_int_eq(number_of(SICK, "failures"), 0);
    for (int dither = 1; dither <= 2; dither++) { /* the others lost nothing */
        for (int detector = 1; detector <= 2; detector++) {
            char job[80];
            snprintf(job, sizeof job, "spec2-" BASE "%d_nrs%d-1", dither, detector);
            if (strcmp(job, SICK) != 0) {
                ck_assert_int_eq(number_of(job, "failures"), 0);
                ck_assert_int_eq(number_of(job, "crashes"), 0);
            }
        }
    }
    json_t *answer = show(SICK);
    char *text = json_dumps(answer, 0);
    ck_assert_ptr_nonnull(strstr(text, "signal 6"));
    ck_assert_ptr_nonnull(strstr(text, "photom"));
    ck_assert_ptr_nonnull(strstr(text, "< exposure_write"));
    ck_assert_ptr_nonnull(strstr(text, "/spool/jobs/" SICK ".crash.txt"));
    free(text);
    json_decref(answer);
    text =
        support_read_file(support_path(d.top, "spool/jobs/" SICK ".crash.txt"), NULL);
    ck_assert_ptr_nonnull(strstr(text, "job_run"));
    free(text);
    daemon_child_stop(&d);
    poison_child_set(NULL, 0); /* what was wrong with it is repaired */
    daemon_child_start(&d);
    programs_run(d.top, "$B/ifuctl --socket '%s' retry " SICK, d.socket);
    daemon_child_until(&d, "jobs.done", 5);
    check_products(4, 1);
    ck_assert_int_eq(number_of(SICK, "crashes"), 0);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_recovery_isolated_jobs_spare_the_daemon)
{
    setup_with("\"executor\": \"child\"");
    poison_child_set("segv=" PART, 64);
    daemon_child_start(&d);
    drop_all();
    daemon_child_until(&d, "jobs.quarantined", 1);
    daemon_child_until(&d, "jobs.done", 3);
    check_products(3, 0);
    check_way(SICK, "waiting queued running suspect running quarantined");
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_recovery_endless_job_is_killed_at_its_limit)
{
    setup_with("\"executor\": \"child\", \"job_time_limit_seconds\": 12,"
               " \"job_grace_seconds\": 0.2");
    poison_child_set("loop=" PART, 64);
    daemon_child_start(&d);
    programs_run(d.top, "ln rate/*_nrs1_rate.fits inbox/"); /* the other one is well */
    daemon_child_until(&d, "jobs.quarantined", 1);
    daemon_child_until(&d, "jobs.done", 1);
    check_products(1, 0);
    json_t *answer = show(SICK);
    char *text = json_dumps(answer, 0);
    ck_assert_ptr_nonnull(strstr(text, "did not end when asked"));
    free(text);
    json_decref(answer);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_recovery_stop_is_no_failure_of_an_isolated_job)
{
    setup_with("\"executor\": \"child\", \"stop_seconds\": 0.1,"
               " \"job_grace_seconds\": 2");
    poison_child_set("loop=" PART, 64);
    daemon_child_start(&d);
    drop_all();
    until_runs_at(SICK, "photom");
    daemon_child_until(&d, "jobs.done", 3);
    daemon_child_stop(&d); /* it ignores SIGTERM and is killed */
    poison_child_set(NULL, 0);
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.done", 5);
    check_products(4, 1);
    check_way(SICK, "waiting queued running queued running done");
    ck_assert_int_eq(number_of(SICK, "failures"), 0);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_recovery_wish_for_a_running_job)
{
    setup_with("\"executor\": \"child\", \"job_grace_seconds\": 0.2");
    poison_child_set("loop=" PART, 64);
    daemon_child_start(&d);
    drop_all();
    until_runs_at(SICK, "photom");
    programs_run(d.top, "$B/ifuctl --socket '%s' cancel " SICK, d.socket);
    daemon_child_until(&d, "jobs.cancelled", 1);
    daemon_child_until(&d, "jobs.done", 3);
    check_products(3, 0);
    ck_assert_int_eq(number_of(SICK, "failures"), 0);
    ck_assert_int_eq(number_of(SICK, "crashes"), 0);
    daemon_child_stop(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("recovery");
    TCase *t = tcase_create("recovery");
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, test_recovery_kill_amid_a_job);
    tcase_add_test(t, test_recovery_poison_takes_the_daemon_down_once);
    tcase_add_test(t, test_recovery_isolated_jobs_spare_the_daemon);
    tcase_add_test(t, test_recovery_endless_job_is_killed_at_its_limit);
    tcase_add_test(t, test_recovery_stop_is_no_failure_of_an_isolated_job);
    tcase_add_test(t, test_recovery_wish_for_a_running_job);
    suite_add_tcase(s, t);
    return support_run(s);
}
