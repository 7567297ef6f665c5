#include "cli/ctl_client.h"
#include "tests/daemon_child.h"
#include "tests/support.h"
#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The intake of the real daemon: partial copies of every kind, the same bytes
 * at once, more notices than the kernel keeps, and no room. Jobs find no
 * references: only what becomes of the files matters. */

static struct daemon_child d;
static struct err err;

static void teardown(void)
{
    daemon_child_done(&d);
}

/* A small exposure whose bytes differ by `number`; the caller frees. */
static char *exposure(int number, size_t *ret_n)
{
    struct exposure *e = support_exposure(8, 8, 1, 1, "NRS1", "F290LP", "G395H");
    const char *path = support_path(d.top, "made.fits");
    support_ok(header_set_int(&e->primary, "EXPOSURE", number, NULL, &err), &err);
    unlink(path);
    support_write_rate(path, e);
    exposure_free(e);
    return support_read_file(path, ret_n);
}

static void drop(const char *name, int number)
{
    size_t n;
    char *bytes = exposure(number, &n);
    support_write_file(support_path(d.top, ".ready"), bytes, n);
    free(bytes);
    ck_assert_int_eq(rename(support_path(d.top, ".ready"), support_path(d.inbox, name)),
                     0);
}

static long number(const char *key)
{
    return daemon_child_number(&d, key);
}

/* Wait until the inbox counts exactly n files and none is on its way. */
static void until_left(long n)
{
    support_until(number("inbox.files") == n && number("inbox.taking_in") == 0, 30,
                  "%ld files are left, not %ld", number("inbox.files"), n);
}

static size_t copies(void)
{
    char command[600], text[40] = "";
    snprintf(command, sizeof command, "find %.300s/spool/exposures -type f | wc -l",
             d.top);
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof text, f));
    pclose(f);
    return (size_t)atol(text);
}

/* Put other words into the configuration. */
static void configure(const char *from, const char *to)
{
    size_t n;
    char *text = support_read_file(d.config, &n), *at = strstr(text, from);
    ck_assert_ptr_nonnull(at);
    char *more = malloc(n + strlen(to) + 1);
    int length =
        sprintf(more, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    support_write_file(d.config, more, (size_t)length);
    free(more);
    free(text);
}

START_TEST(test_intake_zoo)
{
    daemon_child_init(&d, "");
    configure("\"incomplete_seconds\": 0.3", "\"incomplete_seconds\": 3600");
    daemon_child_start(&d);
    size_t n;
    char *bytes = exposure(1, &n);
    /* a slow writer: longer than the settling time in all */
    int fd = open(support_path(d.inbox, "slow_rate.fits"), O_WRONLY | O_CREAT, 0644);
    for (size_t at = 0; at < n; at += 2880) {
        size_t m = n - at < 2880 ? n - at : 2880;
        ck_assert_int_eq(write(fd, bytes + at, m), (ssize_t)m);
        support_beat();
    }
    close(fd);
    daemon_child_until(&d, "exposures.accepted", 1);
    free(bytes);
    /* rsync: a hidden name that is renamed */
    bytes = exposure(2, &n);
    support_write_file(support_path(d.inbox, ".b_rate.fits.Xy12ab"), bytes, n);
    drop("later_rate.fits", 6); /* comes in while the hidden one does not */
    daemon_child_until(&d, "exposures.accepted", 2);
    ck_assert_int_eq(number("exposures.accepted"), 2);
    ck_assert_int_eq(rename(support_path(d.inbox, ".b_rate.fits.Xy12ab"),
                            support_path(d.inbox, "b_rate.fits")),
                     0);
    daemon_child_until(&d, "exposures.accepted", 3);
    free(bytes);
    /* half a file that stands still, then the rest in place */
    bytes = exposure(3, &n);
    support_write_file(support_path(d.inbox, "c_rate.fits"), bytes, n / 2 + 100);
    daemon_child_until(&d, "inbox.incomplete", 1);
    support_write_file(support_path(d.inbox, "c_rate.fits"), bytes, n);
    daemon_child_until(&d, "exposures.accepted", 4);
    free(bytes);
    /* written anew after it was accepted: another exposure under the same name */
    drop("c_rate.fits", 4);
    daemon_child_until(&d, "exposures.superseded", 1);
    ck_assert_int_eq(number("exposures.accepted"), 4);
    /* links and FIFOs are refused, folders stay */
    ck_assert_int_eq(symlink("/etc/passwd", support_path(d.inbox, "link_rate.fits")),
                     0);
    ck_assert_int_eq(mkfifo(support_path(d.inbox, "fifo_rate.fits"), 0600), 0);
    ck_assert_int_eq(mkdir(support_path(d.inbox, "folder.fits"), 0700), 0);
    daemon_child_until(&d, "exposures.rejected", 2);
    until_left(0);
    ck_assert_int_eq(access(support_path(d.inbox, "folder.fits"), F_OK), 0);
    ck_assert_uint_eq(copies(), 5);
    /* one that leaves by itself, and one that is cut while it waits */
    bytes = exposure(5, &n);
    support_write_file(support_path(d.inbox, "e_rate.fits"), bytes, n / 2 + 100);
    daemon_child_until(&d, "inbox.incomplete", 1);
    support_truncate(support_path(d.inbox, "e_rate.fits"), 100);
    unlink(support_path(d.inbox, "e_rate.fits"));
    free(bytes);
    until_left(0);
    ck_assert_int_eq(number("exposures.accepted"), 4);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_intake_same_bytes_under_100_names_at_once)
{
    char name[40];
    size_t n;
    daemon_child_init(&d, "\"intake_threads\": 4");
    char *bytes = exposure(1, &n);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "copy%d_rate.fits", i);
        support_write_file(support_path(d.inbox, name), bytes, n);
    }
    free(bytes);
    daemon_child_start(&d);
    daemon_child_until(&d, "exposures.duplicates", 99);
    until_left(0);
    ck_assert_int_eq(number("exposures.accepted"), 1);
    ck_assert_uint_eq(copies(), 1);
    daemon_child_stop(&d);
}
END_TEST

/* Ten notices for each file: more than the kernel keeps. */
START_TEST(test_intake_overflow_while_stopped)
{
    enum { MANY = 2000 };
    char name[40];
    daemon_child_init(&d, "\"rescan_seconds\": 3600");
    daemon_child_start(&d);
    ck_assert_int_eq(kill(d.pid, SIGSTOP), 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "f%d_rate.fits", i);
        drop(name, i);
    }
    for (int turn = 0; turn < 9; turn++) {
        for (int i = 0; i < MANY; i++) {
            snprintf(name, sizeof name, "f%d_rate.fits", i);
            ck_assert_int_eq(chmod(support_path(d.inbox, name), turn % 2 ? 0600 : 0640),
                             0);
        }
    }
    ck_assert_int_eq(kill(d.pid, SIGCONT), 0);
    daemon_child_until(&d, "exposures.accepted", MANY / 2);
    daemon_child_until(&d, "exposures.accepted", MANY);
    until_left(0);
    ck_assert_int_eq(number("exposures.accepted"), MANY);
    ck_assert_int_eq(number("exposures.duplicates"), 0);
    ck_assert_uint_eq(copies(), MANY);
    daemon_child_stop(&d);
}
END_TEST

/* Does the status say that `what` is blocked, for a reason that holds `word`?
 */
static bool is_blocked(const char *what, const char *word)
{
    json_t *status = daemon_child_status(&d), *one;
    size_t i;
    bool found = false;
    json_array_foreach(json_object_get(status, "blocked"), i, one)
    {
        const char *why = json_string_value(json_object_get(one, "why"));
        found |= !strcmp(json_string_value(json_object_get(one, "what")), what) &&
                 strstr(why, word);
    }
    json_decref(status);
    return found;
}

START_TEST(test_intake_waits_below_the_reserve_and_goes_on_by_itself)
{
    daemon_child_init(&d, "\"reserve_mb\": 1000000000");
    daemon_child_start(&d);
    drop("a_rate.fits", 1);
    daemon_child_until(&d, "inbox.files", 1);
    support_until(is_blocked("intake", "reserve_mb") &&
                      is_blocked("dispatch", "reserve_mb"),
                  30, "nothing is blocked");
    ck_assert_int_eq(number("exposures.accepted"), 0);
    configure("1000000000", "1");
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    daemon_child_until(&d, "exposures.accepted", 1);
    ck_assert(!is_blocked("intake", ""));
    daemon_child_stop(&d);
}
END_TEST

/* What the queue says of a file, in its order. */
static void expect_events(const char *file, const char *const *states, size_t n)
{
    json_t *request = json_pack("{s:s,s:i}", "request", "events", "limit", 100);
    json_t *answer = NULL, *e;
    size_t i, found = 0;
    double last = 0;
    support_ok(ctl_ask(d.socket, request, &answer, &err), &err);
    json_array_foreach(json_object_get(answer, "events"), i, e)
    {
        const char *name = json_string_value(json_object_get(e, "file"));
        if (!name || strcmp(name, file) != 0) {
            continue;
        }
        ck_assert_uint_lt(found, n);
        ck_assert_str_eq(json_string_value(json_object_get(e, "to")), states[found++]);
        ck_assert_double_ge(json_number_value(json_object_get(e, "at")), last);
        last = json_number_value(json_object_get(e, "at"));
    }
    ck_assert_uint_eq(found, n);
    json_decref(answer);
    json_decref(request);
}

START_TEST(test_intake_events_of_files)
{
    static const char *const accepted[] = {"seen", "settling", "accepted"},
                             *const twice[] = {"seen", "settling", "duplicate"},
                             *const refused[] = {"seen", "settling", "rejected"},
                             *const gone[] = {"seen", "settling", "gone"};
    daemon_child_init(&d, "");
    configure("\"incomplete_seconds\": 0.3", "\"incomplete_seconds\": 3600");
    daemon_child_start(&d);
    drop("a_rate.fits", 1);
    daemon_child_until(&d, "exposures.accepted", 1);
    drop("b_rate.fits", 1);
    daemon_child_until(&d, "exposures.duplicates", 1);
    support_write_file(support_path(d.inbox, "c_rate.fits"), "text", 4);
    daemon_child_until(&d, "exposures.rejected", 1);
    support_write_file(support_path(d.inbox, "d_rate.fits"), "SIMPLE", 6);
    daemon_child_until(&d, "inbox.incomplete", 1);
    unlink(support_path(d.inbox, "d_rate.fits"));
    until_left(0);
    daemon_child_stop(&d);
    daemon_child_start(&d);
    expect_events("a_rate.fits", accepted, 3);
    expect_events("b_rate.fits", twice, 3);
    expect_events("c_rate.fits", refused, 3);
    expect_events("d_rate.fits", gone, 3);
    daemon_child_stop(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("intake");
    TCase *t = tcase_create("intake");
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, test_intake_zoo);
    tcase_add_test(t, test_intake_same_bytes_under_100_names_at_once);
    tcase_add_test(t, test_intake_overflow_while_stopped);
    tcase_add_test(t, test_intake_waits_below_the_reserve_and_goes_on_by_itself);
    tcase_add_test(t, test_intake_events_of_files);
    suite_add_tcase(s, t);
    return support_run(s);
}
