#include <check.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/data/exposure_io.h"
#include "common/data/fits_io.h"
#include "tests/daemon_child.h"
#include "tests/support.h"
#include "tests/tiny.h"

/*
 * Leakage and background exposures through the real daemon: which jobs read them, when
 * they go, and what is told. The pixels are a window of 16 x 16.
 */

static struct daemon_child d;
static struct err err;

static void setup(void)
{
    daemon_child_init(&d, TINY_SETTINGS);
    tiny_make(d.references);
}

static void teardown(void)
{
    daemon_child_done(&d);
}

struct kind {
    const char *program, *observation, *target, *pattern;
    int position, total;
    bool imprint, background;
    double mjd;
};

/* Drop one; its base name, in a ring of four, of which the caller may keep the last. */
static const char *drop(struct kind k)
{
    static char ring[4][60];
    static int at;
    char *base = ring[at++ % 4], name[100], part[700];
    struct exposure *e = NULL;
    k.program = k.program ? k.program : "01234";
    k.observation = k.observation ? k.observation : "001";
    k.target = k.target ? k.target : "GALAXY";
    k.pattern = k.pattern ? k.pattern : "4-POINT-DITHER";
    snprintf(base, sizeof ring[0], "jw%s%s001_%s101_%05d_nrs1", k.program,
             k.observation, k.imprint ? "03" : "02", k.position);
    snprintf(name, sizeof name, "%s_rate.fits", base);
    support_ok(exposure_read(support_path(d.references, "tiny_rate.fits"), &e, &err),
               &err);
    struct header *h = &e->primary;
    if (header_set_string(h, "PROGRAM", k.program, NULL, &err) ||
        header_set_string(h, "OBSERVTN", k.observation, NULL, &err) ||
        header_set_string(h, "TARGPROP", k.target, NULL, &err) ||
        header_set_string(h, "PATTTYPE", k.pattern, NULL, &err) ||
        header_set_int(h, "PATT_NUM", k.position, NULL, &err) ||
        header_set_int(h, "NUMDTHPT", k.total ? k.total : 99, NULL, &err) ||
        header_set_bool(h, "IS_IMPRT", k.imprint, NULL, &err) ||
        header_set_bool(h, "BKGDTARG", k.background, NULL, &err) ||
        header_set_real(h, "EXPSTART", 60000 + k.mjd, NULL, &err)) {
        ck_abort_msg("%s", err.message);
    }
    snprintf(part, sizeof part, "%.400s/.%s", d.inbox, name);
    support_write_rate(part, e);
    exposure_free(e);
    ck_assert_int_eq(rename(part, support_path(d.inbox, name)), 0);
    return base;
}

static void says_not(const char *text, const char *part)
{
    daemon_child_need(&d, strstr(text, part) == NULL, "'%s' in:\n%s", part, text);
}

/* A keyword of a product of an exposure, "" if it has none. */
static const char *keyword(const char *base, const char *name)
{
    static char ring[4][80];
    static int at;
    char *to = ring[at++ % 4], pattern[700];
    glob_t g;
    struct exposure *e = NULL;
    const char *value = "";
    snprintf(pattern, sizeof pattern, "%.400s/*/*/%s_cal.fits", d.products, base);
    daemon_child_need(&d, !glob(pattern, 0, NULL, &g) && g.gl_pathc == 1, "no %s",
                      pattern);
    support_ok(exposure_read(g.gl_pathv[0], &e, &err), &err);
    header_get_string(&e->primary, name, &value);
    snprintf(to, sizeof ring[0], "%s", value);
    exposure_free(e);
    globfree(&g);
    return to;
}

static bool planned(void)
{
    json_t *status = daemon_child_status(&d);
    bool yes = json_is_true(json_object_get(status, "planned"));
    json_decref(status);
    return yes;
}

static void set_key(const char *key, const char *value)
{
    char *text = support_read_file(d.config, NULL), more[5000];
    char *at = strstr(text, key);
    ck_assert_ptr_nonnull(at);
    at += strlen(key);
    char *end = at + strcspn(at, ",}");
    int n = snprintf(more, sizeof more, "%.*s%s%s", (int)(at - text), text, value, end);
    support_write_file(d.config, more, (size_t)n);
    free(text);
}

START_TEST(test_members_that_come_later_make_the_next_version)
{
    char science[60];
    daemon_child_start(&d);
    snprintf(science, sizeof science, "%s", drop((struct kind){.position = 1}));
    daemon_child_until(&d, "jobs.done", 1);
    ck_assert_str_eq(keyword(science, "S_IMPRNT"), "SKIPPED");
    ck_assert_str_eq(keyword(science, "S_BKDSUB"), "SKIPPED");
    daemon_child_says(&d, daemon_child_ctl(&d, "status", NULL),
                      "1 science without a leakage exposure");
    daemon_child_says(&d, daemon_child_ctl(&d, "status", NULL),
                      "LAST DONE WITH WARNINGS");
    daemon_child_says(&d, daemon_child_ctl(&d, "show", science),
                      "warned     warning: extract_1d: ");
    drop((struct kind){.position = 1, .imprint = true});
    daemon_child_until(&d, "jobs.superseded", 1);
    daemon_child_until(&d, "jobs.done", 1);
    drop((struct kind){
        .position = 1, .observation = "002", .target = "FIELD", .background = true});
    daemon_child_until(&d, "jobs.superseded", 2);
    daemon_child_until(&d, "jobs.done", 2); /* and the background's own */
    ck_assert_str_eq(keyword(science, "S_IMPRNT"), "COMPLETE");
    ck_assert_str_eq(keyword(science, "S_BKDSUB"), "COMPLETE");
    ck_assert_str_eq(keyword("jw01234002001_02101_00001_nrs1", "S_IMPRNT"), "COMPLETE");
    const char *show = daemon_child_ctl(&d, "show", science);
    daemon_child_says(&d, show, "spec2-jw01234001001_02101_00001_nrs1-3 ");
    daemon_child_says(&d, show,
                      "imprint jw01234001001_03101_00001_nrs1_rate.fits "
                      "(leakage, the same observation)");
    daemon_child_says(&d, show,
                      "background jw01234002001_02101_00001_nrs1_rate.fits "
                      "(dedicated background, observation 002)");
    daemon_child_says(
        &d, daemon_child_ctl(&d, "show", "jw01234001001_03101_00001_nrs1_rate.fits"),
        "spec2-jw01234001001_02101_00001_nrs1-3\n"); /* who reads it */
    daemon_child_says(&d, daemon_child_ctl(&d, "events", NULL),
                      "background came later: dedicated background");
    says_not(daemon_child_ctl(&d, "status", NULL), "without a leakage exposure");
    ck_assert_int_eq(daemon_child_number(&d, "jobs.held"), 0);
    daemon_child_in_order(&d);
}
END_TEST

START_TEST(test_members_are_waited_for)
{
    char science[60];
    set_key("\"member_wait_seconds\": ", "3600");
    daemon_child_start(&d);
    snprintf(science, sizeof science, "%s", drop((struct kind){.position = 1}));
    daemon_child_until(&d, "exposures.accepted", 1);
    daemon_child_until(&d, "jobs.waiting", 2);
    daemon_child_says(&d, daemon_child_ctl(&d, "why", science),
                      "leakage and background exposures that may still come");
    /* it is open: something will happen to it by itself */
    ck_assert_int_eq(daemon_child_run(&d, NULL, "ifuctl", "--config", d.config,
                                      "--timeout=0", "wait"),
                     4);
    drop((struct kind){.position = 1, .imprint = true});
    daemon_child_until(&d, "exposures.imprint", 1);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.done"), 0);
    support_until(planned(), 30, "the plan does not end");
    daemon_child_stop(&d); /* what waits, waits on, by the rules of its time */
    set_key("\"member_wait_seconds\": ", "0");
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.done", 1);
    daemon_child_says(&d, daemon_child_ctl(&d, "show", science), "nrs1-1 ");
    ck_assert_str_eq(keyword(science, "S_IMPRNT"), "COMPLETE");
    ck_assert_int_eq(daemon_child_number(&d, "jobs.superseded"), 0);
}
END_TEST

START_TEST(test_members_nods)
{
    const struct kind nod = {.position = 1, .total = 2, .pattern = "2-POINT-NOD"};
    struct kind second = nod;
    char a[60], b[60];
    second.position = 2;
    daemon_child_start(&d);
    snprintf(a, sizeof a, "%s", drop(nod));
    daemon_child_until(&d, "jobs.waiting", 2);
    daemon_child_says(&d, daemon_child_ctl(&d, "why", a),
                      "waits for: nod position 2 on NRS1");
    daemon_child_says(&d, daemon_child_ctl(&d, "status", NULL),
                      "spec2 waits for: nod position 2 on NRS1");
    snprintf(b, sizeof b, "%s", drop(second));
    daemon_child_until(&d, "jobs.done", 3); /* and the spec3 */
    daemon_child_says(&d, daemon_child_ctl(&d, "show", a), "(nod position 2)");
    daemon_child_says(&d, daemon_child_ctl(&d, "show", b), "(nod position 1)");
    ck_assert_str_eq(keyword(a, "S_BKDSUB"), "COMPLETE");
    ck_assert_str_eq(keyword(b, "S_BKDSUB"), "COMPLETE");
    ck_assert_int_eq(daemon_child_number(&d, "jobs.superseded"), 0);
}
END_TEST

START_TEST(test_members_off_scene_backgrounds_are_offered)
{
    char a[60], b[60];
    daemon_child_start(&d);
    drop((struct kind){
        .position = 1, .program = "05678", .target = "BLANK-SKY", .mjd = 3});
    daemon_child_until(&d, "jobs.done", 1);
    snprintf(a, sizeof a, "%s", drop((struct kind){.position = 1}));
    daemon_child_until(&d, "jobs.done", 2);
    ck_assert_str_eq(keyword(a, "S_BKDSUB"), "SKIPPED");
    daemon_child_says(&d, daemon_child_ctl(&d, "status", NULL),
                      "there is: off-scene background, program 05678, "
                      "observation 001, 3.0 days and 0.00 degrees away, for 1");
    char *log = support_read_file(d.log, NULL);
    daemon_child_says(&d, log, "not used: off-scene background, program 05678");
    free(log);
    daemon_child_stop(&d);
    set_key("\"member_wait_seconds\": ", "0, \"background_policy\": \"nearest\"");
    daemon_child_start(&d);
    snprintf(b, sizeof b, "%s", drop((struct kind){.position = 2}));
    daemon_child_until(&d, "jobs.done", 3);
    ck_assert_str_eq(keyword(b, "S_BKDSUB"), "COMPLETE");
    daemon_child_says(&d, daemon_child_ctl(&d, "show", b),
                      "(off-scene background, program 05678, observation 001,");
    ck_assert_str_eq(keyword(a, "S_BKDSUB"), "SKIPPED"); /* what is done stays done */
    says_not(daemon_child_ctl(&d, "status", NULL), "there is: off-scene");
}
END_TEST

/* The spectrum of a dedicated background is taken off in spec3, never both. */
START_TEST(test_members_master_background)
{
    static const char group[] = "jw01234-o001_galaxy_nirspec_g395m-f290lp";
    char science[60], base[120];
    set_key("\"member_wait_seconds\": ",
            "0, \"background_stage\": \"master_background\"");
    set_key("cube_build.scalew=", "0.005\"]"); /* spectra of several rows */
    daemon_child_start(&d);
    drop((struct kind){
        .position = 1, .observation = "002", .target = "FIELD", .background = true});
    daemon_child_until(&d, "jobs.done", 1);
    snprintf(science, sizeof science, "%s",
             drop((struct kind){.position = 1, .total = 1}));
    daemon_child_until(&d, "jobs.done", 3);
    ck_assert_str_eq(keyword(science, "S_BKDSUB"), "SKIPPED");
    snprintf(base, sizeof base, "spec3-%s-1", group);
    daemon_child_says(&d, daemon_child_ctl(&d, "show", base),
                      "background spec2-jw01234002001_02101_00001_nrs1-1 "
                      "(dedicated background, observation 002)");
    struct fits_in *f;
    struct header h = {0};
    char path[700];
    const char *value = "";
    snprintf(path, sizeof path, "%.400s/01234/%s/%s_s3d.fits", d.products, group,
             group);
    support_ok(fits_in_open(path, ERR_INPUT, &f, &err), &err);
    support_ok(fits_in_header(f, 0, &h, &err), &err);
    header_get_string(&h, "S_MSBSUB", &value);
    ck_assert_str_eq(value, "COMPLETE");
    header_done(&h);
    fits_in_close(f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("members");
    TCase *t = tcase_create("members");
    tcase_set_timeout(t, 240);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_members_that_come_later_make_the_next_version);
    tcase_add_test(t, test_members_are_waited_for);
    tcase_add_test(t, test_members_nods);
    tcase_add_test(t, test_members_off_scene_backgrounds_are_offered);
    tcase_add_test(t, test_members_master_background);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
