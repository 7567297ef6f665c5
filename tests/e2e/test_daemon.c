#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/daemon_child.h"
#include "tests/support.h"

static struct daemon_child d;

static void setup(void)
{
    daemon_child_init(&d, "\"retry_seconds\": 0.05, \"rescan_seconds\": 3600");
}

static void teardown(void)
{
    daemon_child_done(&d);
}

static bool exists(const char *folder, const char *name)
{
    struct stat st;
    return lstat(support_path(folder, name), &st) == 0;
}

/* A small exposure; `number` makes names and bytes differ. Written beside the inbox. */
static const char *make_rate(int number, const char *exp_type)
{
    static char path[400];
    struct err err = {0};
    struct exposure *e = support_exposure(64, 48, 1, 1, "NRS1", "F290LP", "G395H");
    snprintf(path, sizeof path, "%.200s/jw01234001001_02101_%05d_nrs1_rate.fits", d.top,
             number);
    support_ok(header_set_int(&e->primary, "PATT_NUM", number, NULL, &err), &err);
    support_ok(header_set_int(&e->primary, "NUMDTHPT", 99, NULL, &err), &err);
    if (exp_type) {
        support_ok(header_set_string(&e->primary, "EXP_TYPE", exp_type, NULL, &err),
                   &err);
    }
    support_write_rate(path, e);
    exposure_free(e);
    return path;
}

/* Into the inbox at once, under this name. */
static void drop(const char *path, const char *name)
{
    ck_assert_int_eq(rename(path, support_path(d.inbox, name)), 0);
}

static void drop_rate(int number)
{
    const char *path = make_rate(number, NULL);
    drop(path, strrchr(path, '/') + 1);
}

/* A status entry of `list` whose `key` contains `word`. */
static bool mentions(const char *list, const char *key, const char *word)
{
    json_t *status = daemon_child_status(&d);
    const json_t *item;
    size_t i;
    bool found = false;
    json_array_foreach(json_object_get(status, list), i, item)
    {
        const char *text = json_string_value(json_object_get(item, key));
        found |= text && strstr(text, word);
    }
    json_decref(status);
    return found;
}

/* What the planner finds out comes with the next tick. */
static void until_mentions(const char *list, const char *key, const char *word)
{
    support_until(mentions(list, key, word), 20, "no '%s' in %s of %s", word, key,
                  list);
}

/* Has the job that needs attention been tried n times? */
static bool tried(long n)
{
    json_t *status = daemon_child_status(&d);
    const json_t *job = json_array_get(json_object_get(status, "problems"), 0);
    bool yes = json_integer_value(json_object_get(job, "attempt")) >= n;
    json_decref(status);
    return yes;
}

START_TEST(test_daemon_bad_inputs_are_kept_with_their_reason)
{
    static const char *const names[] = {"junk.fits", "cut_rate.fits", "notes.txt",
                                        "lamp_rate.fits"};
    static const char *const reasons[] = {"junk.fits", "cut_rate.fits", ".fits",
                                          "EXP_TYPE"};
    daemon_child_start(&d);
    char junk[5000];
    memset(junk, 'j', sizeof junk);
    support_write_file(support_path(d.inbox, "junk.fits"), junk, sizeof junk);
    const char *path = make_rate(1, NULL);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    support_truncate(path, (size_t)st.st_size / 2);
    drop(path, "cut_rate.fits");
    support_write_file(support_path(d.inbox, "notes.txt"), "hello\n", 6);
    drop(make_rate(2, "NRS_LAMP"), "lamp_rate.fits");
    daemon_child_until(&d, "exposures.rejected", 4);
    for (int i = 0; i < 4; i++) {
        char note[64];
        snprintf(note, sizeof note, "%s.why.json", names[i]);
        ck_assert_msg(exists(d.rejected, names[i]), "%s is lost", names[i]);
        ck_assert(!exists(d.inbox, names[i]));
        json_t *why = json_load_file(support_path(d.rejected, note), 0, NULL);
        const char *text = json_string_value(json_object_get(why, "why"));
        ck_assert_msg(text && strstr(text, reasons[i]), "%s: %s", names[i], text);
        json_decref(why);
    }
    drop_rate(3); /* and it goes on */
    daemon_child_until(&d, "exposures.accepted", 1);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.rejected"), 4);
    ck_assert_int_eq(daemon_child_number(&d, "rejected_lately"), 4);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_daemon_same_bytes_are_one_exposure)
{
    const char *path = make_rate(1, NULL);
    char kept[400];
    snprintf(kept, sizeof kept, "%s", path);
    for (int i = 0; i < 5; i++) {
        char name[40];
        snprintf(name, sizeof name, "copy%d_rate.fits", i);
        ck_assert_int_eq(link(kept, support_path(d.inbox, name)), 0);
    }
    daemon_child_start(&d);
    daemon_child_until(&d, "exposures.duplicates", 4);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.accepted"), 1);
    ck_assert_int_eq(daemon_child_number(&d, "inbox.files"), 0);
    for (int i = 0; i < 5; i++) {
        char name[40];
        snprintf(name, sizeof name, "copy%d_rate.fits", i);
        ck_assert(!exists(d.inbox, name));
    }
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_daemon_failing_job_is_held_and_says_why)
{
    drop_rate(1);
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.held", 1);
    ck_assert(mentions("problems", "message", "camera")); /* no reference is there */
    until_mentions("waiting", "waits_for", "dither 1 NRS2");
    until_mentions("waiting", "waits_for", "its spec2 is held");
    char *text;
    ck_assert_int_eq(daemon_child_run(&d, &text, "ifuctl", "--config", d.config, "show",
                                      "jw01234001001_02101_00001_nrs1"),
                     0);
    ck_assert_ptr_nonnull(strstr(text, "held"));
    ck_assert_ptr_nonnull(strstr(text, "ifurun "));
    free(text);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.held"), 1);
    ck_assert_int_eq(daemon_child_run(&d, &text, "ifuctl", "--config", d.config,
                                      "retry", "jw01234001001_02101_00001_nrs1"),
                     0);
    free(text);
    ck_assert_int_eq(daemon_child_run(&d, NULL, "ifuctl", "--config", d.config, "wait",
                                      "--timeout=30"),
                     3); /* the second attempt ends where the first did */
    ck_assert(tried(2));
    ck_assert_int_eq(daemon_child_run(&d, &text, "ifuctl", "--config", d.config,
                                      "retry", "spec3-none"),
                     1);
    free(text);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_daemon_passing_trouble_is_tried_again)
{
    mkdir(d.products, 0700);
    support_write_file(support_path(d.products, "01234"), "in the way", 10);
    drop_rate(1);
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.deferred", 1);
    ck_assert(mentions("problems", "error", "io"));
    unlink(support_path(d.products, "01234"));
    daemon_child_until(&d, "jobs.held", 1); /* got further: a reference is missing */
    ck_assert(mentions("problems", "message", "camera"));
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_daemon_stops_and_starts_lose_nothing)
{
    enum { N = 24 };
    for (int i = 1; i <= N; i++) {
        drop_rate(i);
    }
    long accepted = 0;
    int starts = 0;
    while (accepted < N) {
        daemon_child_start(&d);
        starts++;
        daemon_child_until(&d, "exposures.accepted", accepted + 1);
        daemon_child_stop(&d); /* in the middle of the rest */
        daemon_child_start(&d);
        accepted = daemon_child_number(&d, "exposures.accepted");
        daemon_child_stop(&d);
        ck_assert_int_lt(starts, N + 1);
    }
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.held", N);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.accepted"), N);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.duplicates"), 0);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.held"), N);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.waiting"), 1); /* the group */
    ck_assert_int_eq(daemon_child_number(&d, "inbox.files"), 0);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_daemon_hangup_lists_the_inbox)
{
    daemon_child_start(&d);
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    drop_rate(1);
    daemon_child_until(&d, "exposures.accepted", 1);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_daemon_only_one_per_spool)
{
    char *text;
    daemon_child_start(&d);
    ck_assert_int_eq(
        daemon_child_run(&d, &text, "ifud", "--config", d.config, "--once", NULL), 1);
    ck_assert_ptr_nonnull(strstr(text, "another ifud"));
    free(text);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_daemon_once_drains_and_ends)
{
    char *text;
    drop_rate(1);
    support_write_file(support_path(d.inbox, "notes.txt"), "hello\n", 6);
    ck_assert_int_eq(
        daemon_child_run(&d, &text, "ifud", "--config", d.config, "--once", NULL), 1);
    ck_assert_ptr_nonnull(strstr(text, "1 held"));
    ck_assert(exists(d.rejected, "notes.txt"));
    free(text);
    ck_assert_int_eq(rmdir(d.inbox), 0); /* empty */
}
END_TEST

START_TEST(test_daemon_ctl_submits_waits_and_reports)
{
    char *text;
    const char *path = make_rate(1, NULL);
    ck_assert_int_eq(
        daemon_child_run(&d, &text, "ifuctl", "--config", d.config, "status", NULL), 5);
    ck_assert_ptr_nonnull(strstr(text, "no ifud answers"));
    free(text);
    daemon_child_start(&d);
    ck_assert_int_eq(
        daemon_child_run(&d, NULL, "ifuctl", "--config", d.config, "submit", path), 0);
    ck_assert(exists(d.top, strrchr(path, '/') + 1)); /* the original stays */
    ck_assert_int_eq(daemon_child_run(&d, &text, "ifuctl", "--config", d.config, "wait",
                                      "--timeout=30"),
                     3);
    ck_assert_ptr_nonnull(strstr(text, "1 job is held"));
    free(text);
    ck_assert_int_eq(
        daemon_child_run(&d, &text, "ifuctl", "--config", d.config, "status", "--json"),
        0);
    json_t *status = json_loads(text, 0, NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(
                         json_object_get(status, "exposures"), "accepted")),
                     1);
    json_decref(status);
    free(text);
    ck_assert_int_eq(
        daemon_child_run(&d, &text, "ifuctl", "--config", d.config, "status", NULL), 0);
    ck_assert_ptr_nonnull(strstr(text, "NEEDS ATTENTION"));
    free(text);
    ck_assert_int_eq(
        daemon_child_run(&d, &text, "ifuctl", "--config", d.config, "events", NULL), 0);
    ck_assert_ptr_nonnull(strstr(text, "queued -> running"));
    free(text);
    ck_assert_int_eq(
        daemon_child_run(&d, &text, "ifuctl", "--config", d.config, "show", "nothing"),
        1);
    ck_assert_ptr_nonnull(strstr(text, "no job 'nothing'"));
    free(text);
    ck_assert_int_eq(
        daemon_child_run(&d, NULL, "ifuctl", "--config", d.config, "dance", NULL), 2);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_daemon_configuration_is_checked)
{
    char *text;
    ck_assert_int_eq(daemon_child_run(&d, &text, "ifud", "--config", d.config,
                                      "--check-config", NULL),
                     0);
    free(text);
    ck_assert_int_eq(daemon_child_run(&d, &text, "ifud", "--config", d.config,
                                      "--print-config", NULL),
                     0);
    ck_assert_ptr_nonnull(strstr(text, "\"settle_seconds\": 0.05"));
    free(text);
    const char *bad = support_path(d.top, "bad.json");
    support_write_file(bad, "{\"worker\": 2}", 13);
    ck_assert_int_eq(
        daemon_child_run(&d, &text, "ifud", "--config", bad, "--check-config", NULL),
        2);
    ck_assert_ptr_nonnull(strstr(text, "did you mean 'workers'?"));
    free(text);
    ck_assert_int_eq(daemon_child_run(&d, NULL, "ifud", NULL, NULL, NULL, NULL), 2);
    ck_assert_int_eq(daemon_child_run(&d, &text, "ifud", "--help", NULL, NULL, NULL),
                     0);
    ck_assert_ptr_nonnull(strstr(text, "group_quiet_seconds"));
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("daemon");
    TCase *t = tcase_create("daemon");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_daemon_bad_inputs_are_kept_with_their_reason);
    tcase_add_test(t, test_daemon_same_bytes_are_one_exposure);
    tcase_add_test(t, test_daemon_failing_job_is_held_and_says_why);
    tcase_add_test(t, test_daemon_passing_trouble_is_tried_again);
    tcase_add_test(t, test_daemon_stops_and_starts_lose_nothing);
    tcase_add_test(t, test_daemon_hangup_lists_the_inbox);
    tcase_add_test(t, test_daemon_only_one_per_spool);
    tcase_add_test(t, test_daemon_once_drains_and_ends);
    tcase_add_test(t, test_daemon_ctl_submits_waits_and_reports);
    tcase_add_test(t, test_daemon_configuration_is_checked);
    suite_add_tcase(s, t);
    return support_run(s);
}
