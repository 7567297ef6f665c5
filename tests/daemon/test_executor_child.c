#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/executor.h"
#include "tests/loop.h"
#include "tests/poison_child.h"
#include "tests/support.h"

/*
 * Isolated jobs with the real ifurun, and with shell scripts in its place that say what
 * no ifurun would.
 */
static char *folder, *out;
static uv_loop_t loop;
static struct executor *ex;
static struct executor_how how;
static struct executor_report reports[4];
static size_t n_reports;
static int staged, noted, lock_fd;
static struct err err;

static void on_wake(void *user)
{
    (void)user;
    while (executor_poll(ex, &reports[n_reports])) {
        n_reports++;
    }
}

static void on_progress(void *user, const char *job, const char *stage, int index,
                        int count, double share)
{
    (void)user;
    (void)index;
    (void)count;
    (void)share;
    ck_assert_str_eq(job, "a-1");
    staged += *stage != 0;
}

static void on_note(void *user, const char *job, const char *stage, bool is_warning,
                    const char *line)
{
    (void)user;
    (void)stage;
    (void)is_warning;
    noted += *job && *line;
}

static void setup(void)
{
    folder = support_folder();
    out = strdup(support_path(folder, "out"));
    staged = noted = 0;
    n_reports = 0;
    err = (struct err){0};
    how = (struct executor_how){
        .isolated = true, .grace = 20, .manifest = support_path(folder, "m.json")};
    lock_fd = open(support_path(folder, "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(flock(lock_fd, LOCK_EX), 0);
    uv_loop_init(&loop);
    struct exposure *e = support_exposure(8, 4, 1, 1, "NRS1", "F290LP", "G395H");
    support_write_rate(support_path(folder, "jw1_nrs1_rate.fits"), e);
    exposure_free(e);
}

static void teardown(void)
{
    poison_child_set(NULL, 0);
    executor_close(ex);
    ex = NULL;
    loop_end(&loop);
    for (size_t i = 0; i < n_reports; i++) {
        executor_report_done(&reports[i]);
    }
    close(lock_fd);
    free(out);
    support_remove(folder);
}

/* With $IFUD_BIN/ifurun, or with a script of this text. */
static void open_executor(const char *script)
{
    const char *bin = getenv("IFUD_BIN");
    char program[4096], text[1024];
    snprintf(program, sizeof program, "%s/ifurun", bin ? bin : "build/bin");
    if (script) {
        snprintf(program, sizeof program, "%s", support_path(folder, "script"));
        int n = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
        support_write_file(program, text, (size_t)n);
        ck_assert_int_eq(chmod(program, 0700), 0);
    }
    struct executor_options o = {.workers = 2,
                                 .threads = 2,
                                 .ifurun = program,
                                 .lock_fd = lock_fd,
                                 .wake = on_wake,
                                 .progress = on_progress,
                                 .note = on_note};
    support_ok(executor_open(&loop, &o, &ex, &err), &err);
}

/* The source type of a small exposure: it needs no references. */
static void start(int64_t id)
{
    char text[2048];
    struct job job;
    int n = snprintf(text, sizeof text,
                     "{\"ifud_manifest\": 1, \"id\": \"a-1\", \"recipe\": \"spec2\","
                     " \"inputs\": [{\"path\": \"%s/jw1_nrs1_rate.fits\"}],"
                     " \"parameters\": {\"assign_wcs\": {\"skip\": true}},"
                     " \"stop_after\": \"srctype\", \"output_folder\": \"%s\","
                     " \"date\": \"2026-01-01T00:00:00.000\", \"attempt\": 3}",
                     folder, out);
    support_ok(job_parse(text, &job, &err), &err);
    support_write_file(how.manifest, text, (size_t)n);
    executor_start(ex, id, &job, &how);
}

static bool reported(void *arg)
{
    return n_reports >= *(size_t *)arg;
}

static void until_reports(size_t n)
{
    loop_until(&loop, reported, &n);
}

static bool some_stage(void *arg)
{
    (void)arg;
    return staged > 0;
}

static bool some_note(void *arg)
{
    (void)arg;
    return noted > 0;
}

START_TEST(test_executor_child_runs_a_job)
{
    open_executor(NULL);
    how.suspect = true;
    how.memory_bytes = (int64_t)2000 << 20;
    how.cpu_limit = 60;
    how.file_bytes = (int64_t)100 << 20;
    start(7);
    ck_assert_int_eq(executor_idle(ex), 1);
    struct executor_state state;
    ck_assert_uint_eq(executor_running(ex, &state, 1), 1);
    ck_assert(state.isolated && state.suspect);
    until_reports(1);
    const struct executor_report *r = &reports[0];
    ck_assert_msg(r->code == 0, "%s", r->err.message);
    ck_assert_int_eq(r->id, 7);
    ck_assert(r->isolated && r->suspect && !r->died && !r->timed_out);
    ck_assert_int_gt(r->peak_bytes, 1 << 20);
    ck_assert_uint_eq(r->result.n_products, 1);
    ck_assert_int_eq(access(r->result.products[0].path, R_OK), 0);
    ck_assert_int_ge(staged, 2);
    ck_assert_int_ge(noted, 1);
    ck_assert_int_eq(executor_idle(ex), 2);
}
END_TEST

START_TEST(test_executor_child_failure_is_reported)
{
    open_executor(NULL);
    unlink(support_path(folder, "jw1_nrs1_rate.fits"));
    start(1);
    until_reports(1);
    ck_assert_int_lt(reports[0].code, 0);
    ck_assert(!reports[0].died);
    ck_assert_ptr_nonnull(strstr(reports[0].err.message, "jw1_nrs1_rate.fits"));
}
END_TEST

START_TEST(test_executor_child_that_crashes)
{
    open_executor(NULL);
    poison_child_set("segv=jw1_nrs1_srctype.fits", 64);
    start(1);
    until_reports(1);
    const struct executor_report *r = &reports[0];
    ck_assert(r->died);
    ck_assert_int_eq(r->signal, SIGSEGV);
    ck_assert_int_eq(r->code, ERR_BUG);
    ck_assert_str_eq(r->result.failed_stage, "srctype");
    ck_assert_ptr_nonnull(strstr(r->err.message, "signal 11"));
    ck_assert_ptr_nonnull(strstr(r->backtrace, "job_run"));
    ck_assert_uint_eq(r->result.n_products, 0);
    poison_child_set(NULL, 0);
    start(2); /* the worker is as good as new */
    until_reports(2);
    ck_assert_int_eq(reports[1].code, 0);
}
END_TEST

START_TEST(test_executor_child_beyond_its_time_is_killed)
{
    open_executor(NULL);
    poison_child_set("loop=jw1_nrs1_srctype.fits", 64);
    how.time_limit = 1.0;
    how.grace = 0.1;
    start(1);
    until_reports(1);
    ck_assert(reports[0].died && reports[0].timed_out);
    ck_assert_int_eq(reports[0].signal, SIGKILL);
    ck_assert_int_eq(reports[0].code, ERR_BUG);
    ck_assert_ptr_nonnull(strstr(reports[0].err.message, "did not end when asked"));
}
END_TEST

START_TEST(test_executor_child_is_cancelled)
{
    open_executor(NULL);
    poison_child_set("loop=jw1_nrs1_srctype.fits", 64);
    how.grace = 0.1;
    start(1);
    loop_until(&loop, some_stage, NULL);
    executor_cancel(ex, 1, false);
    until_reports(1); /* it ignores SIGTERM */
    ck_assert_int_eq(reports[0].code, ERR_CANCELLED);
    ck_assert(!reports[0].died && !reports[0].timed_out);
}
END_TEST

#define SAY(json) "echo '" json "' >&3\n"
#define STAGE(n)                                                                       \
    SAY("{\"stage\": \"photom\", \"index\": " n ", \"count\": 9, \"share\": 0.5, "     \
        "\"peak_bytes\": 5000000}")
#define NOTE SAY("{\"note\": \"n\", \"stage\": \"photom\", \"warning\": false}")

START_TEST(test_executor_child_is_cancelled_at_the_end_of_a_stage)
{
    open_executor("trap 'exit 1' TERM\n" STAGE("0") NOTE
                  "while test ! -e $(dirname $0)/go; do sleep 0.02; done\n" STAGE(
                      "1") "while :; do sleep 0.02; done");
    start(1);
    loop_until(&loop, some_note, NULL);
    executor_cancel(ex, 0, true);
    loop_for(&loop, 0.2);
    ck_assert_uint_eq(n_reports, 0); /* the stage goes on */
    support_write_file(support_path(folder, "go"), "", 0);
    until_reports(1);
    ck_assert_int_eq(reports[0].code, ERR_CANCELLED);
}
END_TEST

START_TEST(test_executor_child_killed_from_outside_lacked_memory)
{
    open_executor(STAGE("0") "kill -9 $$");
    start(1);
    until_reports(1);
    ck_assert_int_eq(reports[0].code, ERR_NOMEM);
    ck_assert(reports[0].died);
    ck_assert_int_eq(reports[0].signal, SIGKILL);
    ck_assert_int_eq(reports[0].peak_bytes, 5000000);
    ck_assert_str_eq(reports[0].result.failed_stage, "photom");
}
END_TEST

START_TEST(test_executor_child_that_says_nonsense)
{
    static const struct {
        const char *script, *says;
    } cases[] = {
        {"exit 0", "status 0 and no word"},
        {"exit 3", "status 3 and no word"},
        {STAGE("0") "exec 3>&-", "status 0 and no word"},
        {SAY("nonsense") SAY("nonsense") "while :; do sleep 0.02; done", "not JSON"},
        {SAY("{\"product\": \"/etc/passwd\", \"suffix\": \"cal\", \"sha256\": \"0\", "
             "\"bytes\": 1}") "while :; do sleep 0.02; done",
         "a product"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_executor(cases[i].script);
        start(1);
        until_reports(1);
        ck_assert_int_eq(reports[0].code, ERR_BUG);
        ck_assert(reports[0].died);
        ck_assert_msg(strstr(reports[0].err.message, cases[i].says) != NULL, "%s: %s",
                      cases[i].script, reports[0].err.message);
        executor_report_done(&reports[0]);
        n_reports = 0;
        executor_close(ex);
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    open_executor("exit 0");
}
END_TEST

START_TEST(test_executor_child_without_a_program)
{
    open_executor("exit 0");
    unlink(support_path(folder, "script"));
    start(1);
    until_reports(1);
    ck_assert_int_eq(reports[0].code, ERR_IO);
    ck_assert_ptr_nonnull(strstr(reports[0].err.message, "cannot start"));
    ck_assert_int_eq(executor_idle(ex), 2);
}
END_TEST

START_TEST(test_executor_child_holds_the_lock)
{
    /* until it dies, though we give the lock away */
    open_executor(NOTE "while :; do sleep 0.02; done");
    start(1);
    loop_until(&loop, some_note, NULL);
    int other = open(support_path(folder, "lock"), O_RDWR | O_CLOEXEC);
    close(lock_fd);
    ck_assert_int_eq(flock(other, LOCK_EX | LOCK_NB), -1);
    executor_close(ex); /* kills it */
    ex = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(flock(other, LOCK_EX), 0); /* `sleep` may still hold it a moment */
    lock_fd = other;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("executor_child");
    TCase *t = tcase_create("executor_child");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_executor_child_runs_a_job);
    tcase_add_test(t, test_executor_child_failure_is_reported);
    tcase_add_test(t, test_executor_child_that_crashes);
    tcase_add_test(t, test_executor_child_beyond_its_time_is_killed);
    tcase_add_test(t, test_executor_child_is_cancelled);
    tcase_add_test(t, test_executor_child_is_cancelled_at_the_end_of_a_stage);
    tcase_add_test(t, test_executor_child_killed_from_outside_lacked_memory);
    tcase_add_test(t, test_executor_child_that_says_nonsense);
    tcase_add_test(t, test_executor_child_without_a_program);
    tcase_add_test(t, test_executor_child_holds_the_lock);
    suite_add_tcase(s, t);
    return support_run(s);
}
