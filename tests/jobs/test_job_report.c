#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "jobs/job_report.h"
#include "tests/support.h"

static struct job_report report;
static char said[4096]; /* what came to the events, a word each */
static struct err err;

static void on_stage(void *user, const char *stage, int index, int count, double share)
{
    (void)user;
    size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%s %d/%d %.2f;", stage, index, count, share);
}

static void on_note(void *user, int is_warning, const char *stage, const char *line)
{
    (void)user;
    size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%s%s: %s;", is_warning ? "!" : "", stage,
             line);
}

static const struct job_events events = {.stage = on_stage, .note = on_note};

static void setup(void)
{
    report = (struct job_report){.folder = "/out"};
    err = (struct err){0};
    *said = 0;
}

static void teardown(void)
{
    job_result_done(&report.result);
}

static int feed(const char *text)
{
    return job_report_feed(&report, text, strlen(text), &events, &err);
}

/* All that a writer has said, read to its end. */
static char *written(int fd)
{
    static char text[65536];
    ssize_t n = read(fd, text, sizeof text - 1);
    ck_assert_int_ge(n, 0);
    text[n] = 0;
    return text;
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

START_TEST(test_job_report_goes_through)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    struct job_report_writer w = {.fd = ends[1], .lock = PTHREAD_MUTEX_INITIALIZER};
    char path[] = "/out/x_cal.fits";
    struct job_product product = {
        .path = path, .suffix = "cal", .sha256 = HASH, .bytes = 7};
    struct job_result result = {.products = &product,
                                .n_products = 1,
                                .timings = {{"read", 0.25, 0}, {"photom", 2, 0.5}},
                                .n_timings = 2,
                                .difference = {.compared = 9,
                                               .median_percent = 0.5,
                                               .largest_percent = NAN,
                                               .largest_percent_um = NAN,
                                               .largest_sigma = -2,
                                               .largest_sigma_um = 3.5}};
    job_report_stage(&w, "photom", 1, 3, 0);
    job_report_stage(&w, "photom", 1, 3, 0.005); /* too little to tell */
    job_report_note(&w, true, "photom", "bad \xff bytes\n");
    job_report_stage(&w, "photom", 1, 3, 1);
    job_report_end(&w, 0, NULL, &result);
    const char *text = written(ends[0]);
    for (size_t i = 0; i < strlen(text); i++) { /* byte by byte */
        support_ok(job_report_feed(&report, text + i, 1, &events, &err), &err);
    }
    ck_assert_str_eq(said, "photom 1/3 0.00;!photom: bad ? bytes?;photom 1/3 1.00;");
    ck_assert(report.ended);
    ck_assert_int_eq(report.code, 0);
    ck_assert_str_eq(report.stage, "photom");
    ck_assert_int_gt(report.peak_bytes, 0);
    ck_assert_uint_eq(report.result.n_products, 1);
    ck_assert_str_eq(report.result.products[0].path, "/out/x_cal.fits");
    ck_assert_str_eq(report.result.products[0].suffix, "cal");
    ck_assert_str_eq(report.result.products[0].sha256, HASH);
    ck_assert_uint_eq(report.result.products[0].bytes, 7);
    ck_assert_uint_eq(report.result.difference.compared, 9);
    ck_assert_double_eq(report.result.difference.median_percent, 0.5);
    ck_assert(isnan(report.result.difference.largest_percent));
    ck_assert_double_eq(report.result.difference.largest_sigma, -2);
    ck_assert_double_eq(report.result.difference.largest_sigma_um, 3.5);
    ck_assert_uint_eq(report.result.n_timings, 2);
    ck_assert_str_eq(report.result.timings[1].stage, "photom");
    ck_assert_double_eq(report.result.timings[1].write, 0.5);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(test_job_report_of_a_failure)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    struct job_report_writer w = {.fd = ends[1], .lock = PTHREAD_MUTEX_INITIALIZER};
    struct job_result result = {.failed_stage = "cube_build"};
    err_set(&err, ERR_NOMEM, "no memory for 9 bytes");
    job_report_end(&w, ERR_NOMEM, &err, &result);
    support_ok(feed(written(ends[0])), &err);
    ck_assert(report.ended);
    ck_assert_int_eq(report.code, ERR_NOMEM);
    ck_assert_str_eq(report.err.message, "no memory for 9 bytes");
    ck_assert_str_eq(report.result.failed_stage, "cube_build");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(test_job_report_of_a_crash)
{
    /* another thread's line is cut short by it */
    support_ok(feed("{\"stage\": \"photo\n{\"crash\": 11, \"stage\": \"photom\"}\n"
                    "ifurun(main+0x1)\n\x01?\xff\n"),
               &err);
    ck_assert_int_eq(report.signal, SIGSEGV);
    ck_assert_str_eq(report.stage, "photom");
    ck_assert_str_eq(report.backtrace, "ifurun(main+0x1)\n???\n");
    for (int i = 0; i < 3000; i++) { /* its length is bounded */
        support_ok(feed("ifurun(main+0x1)\n"), &err);
    }
    ck_assert_uint_eq(strlen(report.backtrace), sizeof report.backtrace - 1);
    ck_assert(!report.ended);
}
END_TEST

START_TEST(test_job_report_refuses)
{
#define END "\"message\": \"\", \"failed_stage\": \"\", \"peak_bytes\": 1"
    static const char *const bad[] = {
        "{}\n",
        "[1]\n",
        "rubbish\nrubbish\n",
        "{\"stage\": \"a\", \"index\": 0, \"count\": 1, \"share\": 0.5}\n",
        "{\"stage\": \"a\", \"index\": 0, \"count\": 1, \"share\": 0.5, "
        "\"peak_bytes\": 1, \"more\": 1}\n",
        "{\"stage\": \"A b\", \"index\": 0, \"count\": 1, \"share\": 0.5, "
        "\"peak_bytes\": 1}\n",
        "{\"stage\": \"a\", \"index\": 2, \"count\": 1, \"share\": 0.5, "
        "\"peak_bytes\": 1}\n",
        "{\"stage\": \"a\", \"index\": 0, \"count\": 1, \"share\": 1.5, "
        "\"peak_bytes\": 1}\n",
        "{\"note\": 1, \"stage\": \"a\", \"warning\": false}\n",
        "{\"crash\": 65, \"stage\": \"a\"}\n",
        "{\"product\": \"/etc/passwd\", \"suffix\": \"cal\", \"sha256\": \"" HASH
        "\", \"bytes\": 1}\n",
        "{\"product\": \"/out/../x\", \"suffix\": \"cal\", \"sha256\": \"" HASH
        "\", \"bytes\": 1}\n",
        "{\"product\": \"/out/x\", \"suffix\": \"cal\", \"sha256\": \"0\", "
        "\"bytes\": 1}\n",
        "{\"end\": \"ok\", " END ", \"timings\": {}}\n",
        "{\"end\": \"ok\", " END ", \"timings\": [{\"stage\": \"none_such\", "
        "\"run\": 1, \"write\": 1}]}\n",
        "{\"end\": \"ok\", " END ", \"timings\": []}\n{\"end\": \"ok\", " END
        ", \"timings\": []}\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setup();
        ck_assert_msg(feed(bad[i]) == ERR_INPUT, "not refused: %s", bad[i]);
        ck_assert_ptr_nonnull(strstr(err.message, "report of a job's process"));
        teardown();
    }
}
END_TEST

START_TEST(test_job_report_is_bounded)
{
    static char line[JOB_REPORT_LINE + 1];
    memset(line, ' ', sizeof line - 1);
    support_ok(feed(line), &err);
    ck_assert_int_eq(feed(" "), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "too long"));
    teardown();
    setup();
    char product[300];
    for (int i = 0; i < JOB_REPORT_PRODUCTS; i++) {
        snprintf(product, sizeof product,
                 "{\"product\": \"/out/x%d\", \"suffix\": \"cal\", \"sha256\": \"%s\", "
                 "\"bytes\": 1}\n",
                 i, HASH);
        support_ok(feed(product), &err);
    }
    ck_assert_int_eq(feed(product), ERR_INPUT);
    teardown();
    setup();
    memset(line, '\n', sizeof line - 1);
    int code = 0;
    size_t n = 0;
    while (!code && n <= JOB_REPORT_BYTES) {
        code = feed(line);
        n += sizeof line - 1;
    }
    ck_assert_int_eq(code, ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "no end"));
}
END_TEST

START_TEST(test_job_report_peak_is_ours)
{
    const size_t n = (size_t)32 << 20;
    int64_t before = job_report_peak();
    char *p = malloc(n);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n; i += 1024) {
        ((volatile char *)p)[i] = 1;
    }
    ck_assert_int_gt(before, 0);
    ck_assert_int_ge(job_report_peak(), (int64_t)n);
    free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("job_report");
    TCase *t = tcase_create("job_report");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_job_report_goes_through);
    tcase_add_test(t, test_job_report_of_a_failure);
    tcase_add_test(t, test_job_report_of_a_crash);
    tcase_add_test(t, test_job_report_refuses);
    tcase_add_test(t, test_job_report_is_bounded);
    tcase_add_test(t, test_job_report_peak_is_ours);
    suite_add_tcase(s, t);
    return support_run(s);
}
