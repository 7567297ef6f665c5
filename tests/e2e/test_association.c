#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/data/exposure_io.h"
#include "tests/daemon_child.h"
#include "tests/support.h"
#include "tests/tiny.h"

/*
 * Association files through the real daemon: before their members, after them, with one
 * that never comes, and those that are refused.
 */

static struct daemon_child d;
static struct err err;

#define MEMBER(NAME, TYPE) "{\"expname\": \"" NAME ".fits\", \"exptype\": \"" TYPE "\"}"
#define FILE_OF(TYPE, NAME, MEMBERS)                                                   \
    "{\"asn_type\": \"" TYPE "\", \"products\": [{\"name\": \"" NAME                   \
    "\", \"members\": [" MEMBERS "]}]}"
#define DITHER(N, END) "jw01234001001_02101_0000" N "_nrs1" END

static void setup(void)
{
    daemon_child_init(&d, TINY_SETTINGS);
    tiny_make(d.references);
}

static void teardown(void)
{
    daemon_child_done(&d);
}

static void drop(const char *name, const char *text)
{
    char part[400];
    snprintf(part, sizeof part, "%.300s/.part", d.inbox);
    support_write_file(part, text, strlen(text));
    ck_assert_int_eq(rename(part, support_path(d.inbox, name)), 0);
}

static void expose(int first, int last)
{
    tiny_expose(d.references, d.inbox, first, last);
}

/* Ask until it says so. */
static void will_say(const char *command, const char *word, const char *part)
{
    const char *text = "";
    double end = clock_steady() + 30;
    while (!strstr(text, part)) {
        daemon_child_need(&d, clock_steady() < end, "no '%s' in:\n%s", part, text);
        support_beat();
        text = daemon_child_ctl(&d, command, word);
    }
}

static bool is_there(const char *below)
{
    char path[800];
    snprintf(path, sizeof path, "%.300s/%s", d.products, below);
    return !access(path, F_OK);
}

START_TEST(test_association_before_its_members)
{
    daemon_child_start(&d);
    drop("a_asn.json",
         FILE_OF("spec3", "mine",
                 MEMBER(DITHER("2", "_cal"), "science") "," MEMBER(
                     DITHER("1", "_cal"), "science") "," MEMBER(DITHER("3", "_cal"),
                                                                "sciense")));
    will_say("status", NULL, DITHER("2", "_cal.fits (has not come)"));
    daemon_child_says(&d, daemon_child_ctl(&d, "why", "mine"), "mine is waiting");
    char *log = support_read_file(d.log, NULL);
    daemon_child_says(&d, log,
                      "member " DITHER("3", "_cal.fits is left out: spec3 does not use "
                                            "exptype 'sciense'"));
    free(log);
    /* nothing happens by itself any more, and it says what that is for */
    daemon_child_says(&d, daemon_child_ctl(&d, "wait", NULL),
                      "1 group waits for files");
    ck_assert_int_eq(access(support_path(d.inbox, "a_asn.json"), F_OK), -1);
    expose(1, 1);
    daemon_child_until(&d, "jobs.done", 1);
    will_say("why", "spec3-mine-1",
             "waits for: " DITHER("2", "_cal.fits (has not come)"));
    daemon_child_says(&d, daemon_child_ctl(&d, "show", "a_asn.json"),
                      "waits for: " DITHER("2", "_cal.fits (has not come)"));
    expose(2, 2);
    daemon_child_until(&d, "jobs.done", 3);
    ck_assert(is_there("01234/mine/mine_s3d.fits"));
    ck_assert(is_there("01234/mine/mine_x1d.fits"));
    daemon_child_says(&d, daemon_child_ctl(&d, "show", "a_asn.json"),
                      "all that it names is there");
    /* the headers' group has nothing left to combine */
    ck_assert_int_eq(daemon_child_number(&d, "jobs.waiting"), 0);
    daemon_child_in_order(&d);
}
END_TEST

/* The name of the spec2's products, what is taken off, and the same file once more. */
START_TEST(test_association_after_its_members)
{
    static const char text[] =
        FILE_OF("spec2", "named",
                MEMBER(DITHER("1", "_rate"), "science") "," MEMBER(DITHER("2", "_rate"),
                                                                   "background"));
    daemon_child_start(&d);
    expose(1, 2);
    daemon_child_until(&d, "jobs.done", 2);
    drop("b_asn.json", text);
    daemon_child_until(&d, "jobs.superseded", 1);
    daemon_child_until(&d, "jobs.done", 2);
    daemon_child_says(&d, daemon_child_ctl(&d, "show", DITHER("1", "")),
                      "background " DITHER("2", "_rate.fits "
                                                "(named by b_asn.json)"));
    ck_assert(
        is_there("01234/jw01234-o001_simtarg_nirspec_g395m-f290lp/named_cal.fits"));
    drop("again_asn.json", text);
    daemon_child_until(&d, "exposures.duplicates", 1);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.superseded"), 1);
    daemon_child_in_order(&d);
}
END_TEST

START_TEST(test_association_one_never_comes)
{
    daemon_child_start(&d);
    expose(1, 1);
    drop("a_asn.json", FILE_OF("spec3", "mine",
                               MEMBER(DITHER("1", "_cal"), "science") "," MEMBER(
                                   DITHER("7", "_cal"), "science")));
    will_say("status", NULL, DITHER("7", "_cal.fits (has not come)"));
    daemon_child_until(&d, "jobs.done", 1);
    daemon_child_stop(&d); /* it waits on after a restart */
    daemon_child_start(&d);
    will_say("why", "spec3-mine-1",
             "waits for: " DITHER("7", "_cal.fits (has not come)"));
    daemon_child_says(&d, daemon_child_ctl(&d, "proceed", "mine"),
                      "mine goes on without: " DITHER("7", "_cal.fits (has not come)"));
    daemon_child_until(&d, "jobs.done", 2);
    daemon_child_says(&d, daemon_child_ctl(&d, "events", NULL),
                      "an operator lets it go without what is missing");
    ck_assert(is_there("01234/mine/mine_s3d.fits"));
    ck_assert_int_eq(
        daemon_child_run(&d, NULL, "ifuctl", "--config", d.config, "proceed", "mine"),
        1);
    ck_assert_int_eq(
        daemon_child_run(&d, NULL, "ifuctl", "--config", d.config, "proceed", "none"),
        1);
    expose(7, 7); /* late: the next version */
    daemon_child_until(&d, "jobs.superseded", 1);
    daemon_child_until(&d, "jobs.done", 3);
    ck_assert(is_there("01234/mine/mine_s3d.fits"));
    daemon_child_says(&d, daemon_child_ctl(&d, "show", "spec3-mine-1"),
                      "/superseded/spec3-mine-1/mine_s3d.fits");
    ck_assert(is_there("01234/mine/superseded/spec3-mine-1/mine_s3d.fits"));
    daemon_child_in_order(&d);
}
END_TEST

/* A group of the headers, long before it is quiet. */
START_TEST(test_association_proceed_without_one)
{
    static const char group[] = "jw01234-o001_simtarg_nirspec_g395m-f290lp";
    daemon_child_start(&d);
    expose(1, 1);
    daemon_child_until(&d, "jobs.done", 1);
    will_say("status", NULL, "of quiet");
    daemon_child_says(&d, daemon_child_ctl(&d, "proceed", group),
                      "goes on without: dither 2 NRS1");
    daemon_child_until(&d, "jobs.done", 2);
    daemon_child_in_order(&d);
}
END_TEST

/* Rejected files with their reasons; the rest goes on. */
START_TEST(test_association_refused)
{
    static const struct {
        const char *name, *text, *why;
    } bad[] = {
        {"cut_asn.json", "{\"asn_type\": \"spec3\", ", "is no JSON"},
        {"nothing_asn.json", "{\"asn_type\": \"spec3\", \"products\": [{}]}",
         "has no list of members"},
        {"twice_asn.json",
         FILE_OF("spec3", "p",
                 MEMBER("a_cal", "science") "," MEMBER("a_cal", "science")),
         "member 2 (a_cal.fits): is named twice"},
        {"away_asn.json", FILE_OF("spec3", "p", MEMBER("../a_cal", "science")),
         "expected is the name of a FITS file in the same folder"},
    };
    const int n = sizeof bad / sizeof *bad;
    daemon_child_start(&d);
    for (int i = 0; i < n; i++) {
        drop(bad[i].name, bad[i].text);
    }
    drop("other.json", "{}");
    daemon_child_until(&d, "exposures.rejected", n + 1);
    for (int i = 0; i < n; i++) {
        char name[100], *why;
        snprintf(name, sizeof name, "%s.why.json", bad[i].name);
        why = support_read_file(support_path(d.rejected, name), NULL);
        daemon_child_says(&d, why, bad[i].why);
        free(why);
    }
    expose(1, 1);
    daemon_child_until(&d, "jobs.done", 1);
    daemon_child_in_order(&d);
}
END_TEST

START_TEST(test_association_mixed_dispersers)
{
    struct exposure *e = NULL;
    char part[400];
    daemon_child_start(&d);
    drop("a_asn.json", FILE_OF("spec3", "mine",
                               MEMBER(DITHER("1", "_cal"), "science") "," MEMBER(
                                   "other_nrs1_cal", "science")));
    support_ok(exposure_read(support_path(d.references, "tiny_rate.fits"), &e, &err),
               &err);
    if (header_set_string(&e->primary, "GRATING", "G235M", NULL, &err) ||
        header_set_string(&e->primary, "FILTER", "F170LP", NULL, &err)) {
        ck_abort_msg("%s", err.message);
    }
    snprintf(part, sizeof part, "%.300s/.part", d.inbox);
    support_write_rate(part, e);
    exposure_free(e);
    ck_assert_int_eq(rename(part, support_path(d.inbox, "other_nrs1_rate.fits")), 0);
    expose(1, 1);
    daemon_child_until(&d, "jobs.done", 1);
    will_say("why", "spec3-mine-1", "a_asn.json mixes dispersers");
    daemon_child_says(&d, daemon_child_ctl(&d, "why", "spec3-mine-1"),
                      "has F170LP/G235M");
    drop("a_asn.json",
         FILE_OF("spec3", "mine", MEMBER(DITHER("1", "_cal"), "science")));
    will_say("show", "spec3-mine-2", "_s3d.fits"); /* its products */
    ck_assert(is_there("01234/mine/mine_s3d.fits"));
    daemon_child_in_order(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("association");
    TCase *t = tcase_create("association");
    tcase_set_timeout(t, 240);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_association_before_its_members);
    tcase_add_test(t, test_association_after_its_members);
    tcase_add_test(t, test_association_one_never_comes);
    tcase_add_test(t, test_association_proceed_without_one);
    tcase_add_test(t, test_association_refused);
    tcase_add_test(t, test_association_mixed_dispersers);
    suite_add_tcase(s, t);
    return support_run(s);
}
