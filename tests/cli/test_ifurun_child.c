#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "jobs/job_report.h"
#include "tests/poison_child.h"
#include "tests/support.h"

static char *folder, *out;
static struct job_report report;
static struct err err;
static int noted, staged;

static void on_stage(void *user, const char *stage, int index, int count, double share)
{
    (void)user;
    (void)share;
    ck_assert(!strcmp(stage, "srctype") && index == 0 && count == 1);
    staged++;
}

static void on_note(void *user, int is_warning, const char *stage, const char *line)
{
    (void)user;
    (void)is_warning;
    noted += *stage && *line;
}

/* A job without references: the source type of a small exposure. */
static void setup(void)
{
    char text[2048];
    folder = support_folder();
    out = strdup(support_path(folder, "out"));
    report = (struct job_report){.folder = out};
    err = (struct err){0};
    noted = staged = 0;
    struct exposure *e = support_exposure(8, 4, 1, 1, "NRS1", "F290LP", "G395H");
    support_write_rate(support_path(folder, "jw1_nrs1_rate.fits"), e);
    exposure_free(e);
    snprintf(text, sizeof text,
             "{\"ifud_manifest\": 1, \"id\": \"a-1\", \"recipe\": \"spec2\","
             " \"inputs\": [{\"path\": \"%s/jw1_nrs1_rate.fits\"}],"
             " \"parameters\": {\"assign_wcs\": {\"skip\": true},"
             " \"msa_flagging\": {\"skip\": true},"
             " \"imprint_subtract\": {\"skip\": true},"
             " \"bkg_subtract\": {\"skip\": true}},"
             " \"stop_after\": \"srctype\", \"output_folder\": \"%s\","
             " \"date\": \"2026-01-01T00:00:00.000\"}",
             folder, out);
    support_write_file(support_path(folder, "m.json"), text, strlen(text));
}

static void teardown(void)
{
    poison_child_set(NULL, 0);
    job_result_done(&report.result);
    free(out);
    support_remove(folder);
}

/* Run it with one more option and its value, report on descriptor 3; its wait status. */
static int run(int fd, const char *option, const char *value)
{
    const char *bin = getenv("IFUD_BIN");
    char program[4096], three[] = "3";
    snprintf(program, sizeof program, "%s/ifurun", bin ? bin : "build/bin");
    const char *manifest = support_path(folder, "m.json");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, 3);
        int log = open(support_path(folder, "stderr.txt"), O_WRONLY | O_CREAT, 0600);
        dup2(log, STDERR_FILENO);
        execl(program, "ifurun", manifest, "--threads", "2", "--report-fd", three,
              option, value, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* The same with the report in a file, read afterwards. */
static int run_reported(const char *option, const char *value)
{
    static const struct job_events events = {.stage = on_stage, .note = on_note};
    const char *path = support_path(folder, "report");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int status = run(fd, option, value);
    size_t n;
    char *text = support_read_file(path, &n);
    support_ok(job_report_feed(&report, text, n, &events, &err), &err);
    free(text);
    close(fd);
    return status;
}

static void check_died(int status, int number)
{
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == number, "status %x",
                  (unsigned)status);
    ck_assert(!report.ended);
    ck_assert_int_eq(report.signal, number);
    ck_assert_str_eq(report.stage, "srctype");
    ck_assert_ptr_nonnull(strstr(report.backtrace, "job_run"));
    ck_assert_uint_gt(report.n_backtrace, 0);
}

START_TEST(test_ifurun_child_reports_its_job)
{
    int status = run_reported("--limit-file-mb", "10");
    ck_assert_int_eq(status, 0);
    ck_assert(report.ended);
    ck_assert_int_eq(report.code, 0);
    ck_assert_int_eq(staged, 2);
    ck_assert_int_gt(noted, 0);
    ck_assert_int_gt(report.peak_bytes, 1 << 20);
    ck_assert_uint_eq(report.result.n_products, 1);
    ck_assert_int_eq(access(report.result.products[0].path, R_OK), 0);
    struct job job;
    support_ok(job_read(support_path(out, "jw1_nrs1_spec2_manifest.json"), &job, &err),
               &err);
    ck_assert_uint_eq(strlen(job.inputs[0].sha256), 64); /* pinned */
    job_done(&job);
}
END_TEST

START_TEST(test_ifurun_child_reports_a_failure)
{
    unlink(support_path(folder, "jw1_nrs1_rate.fits"));
    int status = run_reported("--limit-file-mb", "10");
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    ck_assert(report.ended);
    ck_assert_int_ne(report.code, 0);
    ck_assert_ptr_nonnull(strstr(report.err.message, "jw1_nrs1_rate.fits"));
}
END_TEST

START_TEST(test_ifurun_child_tells_how_it_died)
{
    poison_child_set("segv=jw1_nrs1_srctype.fits", 64);
    check_died(run_reported("--limit-file-mb", "10"), SIGSEGV);
    job_result_done(&report.result);
    report = (struct job_report){.folder = out};
    poison_child_set("abort=jw1_nrs1_srctype.fits", 64);
    check_died(run_reported("--limit-file-mb", "10"), SIGABRT);
}
END_TEST

START_TEST(test_ifurun_child_keeps_to_its_cpu_time)
{
    poison_child_set("loop=jw1_nrs1_srctype.fits", 64);
    int status = run_reported("--limit-cpu-seconds", "1");
#if defined __SANITIZE_THREAD__ /* it keeps signals until the program makes a call */
    ck_assert(WIFSIGNALED(status) &&
              (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL));
#else
    check_died(status, SIGXCPU);
#endif
}
END_TEST

START_TEST(test_ifurun_child_keeps_to_its_memory)
{
    poison_child_set("bomb=jw1_nrs1_srctype.fits", 2048);
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    poison_child_set("bomb=jw1_nrs1_srctype.fits", 64); /* no limit there */
    int status = run_reported("--limit-memory-mb", "400");
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
#else
    check_died(run_reported("--limit-memory-mb", "400"), SIGABRT);
#endif
}
END_TEST

START_TEST(test_ifurun_child_needs_a_reader)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    int status = run(ends[1], "--limit-file-mb", "10");
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    char *text = support_read_file(support_path(folder, "stderr.txt"), NULL);
    ck_assert_ptr_nonnull(strstr(text, "nobody reads it"));
    free(text);
    close(ends[1]);
}
END_TEST

START_TEST(test_ifurun_child_refuses_wrong_use)
{
    int status = run(2, "--limit-memory-mb", "0");
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    status = run(2, "--stop-after", "srctype");
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ifurun_child");
    TCase *t = tcase_create("ifurun_child");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_ifurun_child_reports_its_job);
    tcase_add_test(t, test_ifurun_child_reports_a_failure);
    tcase_add_test(t, test_ifurun_child_tells_how_it_died);
    tcase_add_test(t, test_ifurun_child_keeps_to_its_cpu_time);
    tcase_add_test(t, test_ifurun_child_keeps_to_its_memory);
    tcase_add_test(t, test_ifurun_child_needs_a_reader);
    tcase_add_test(t, test_ifurun_child_refuses_wrong_use);
    suite_add_tcase(s, t);
    return support_run(s);
}
