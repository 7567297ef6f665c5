#include <check.h>
#include <glob.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/data/exposure_io.h"
#include "tests/daemon_child.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"
#include "tests/tiny.h"

/*
 * What is stale, through the real daemon: references and settings change, products are named
 * with the reason, made again from the step that changed, and nothing else is.
 */

static struct daemon_child d;

/* A group of one dither, which comes to a spec3 at once. */
#define SETTINGS                                                                       \
    "\"group_quiet_seconds\": 0.2, "                                                   \
    "\"spec3_settings\": [\"cube_build.scalexy=0.3\", \"cube_build.scalew=0.05\"], "   \
    "\"spec2_settings\": [\"flat_field.skip=true\", \"cube_build.scalexy=0.3\", "      \
    "\"cube_build.scalew=0.05\"%s]"
#define NAME "jw01234001001_02101_00001_nrs1"
#define SPEC2 "spec2-" NAME

static void setup(void)
{
    char extra[600];
    snprintf(extra, sizeof extra, SETTINGS, "");
    daemon_child_init(&d, extra);
    tiny_make(d.references);
    daemon_child_start(&d);
    tiny_expose(d.references, d.inbox, 1, 1);
    daemon_child_until(&d, "jobs.done", 2);
}

static void teardown(void)
{
    daemon_child_done(&d);
}

static json_t *ctl_reduce(const char *word)
{
    char config[320], *text = NULL;
    snprintf(config, sizeof config, "--config=%.300s", d.config);
    int status =
        daemon_child_run(&d, &text, "ifuctl", config, "--json", "--stale", NULL);
    ck_assert_int_eq(status, 2); /* a command is needed */
    free(text);
    setenv("IFUD_SOCKET", d.socket, 1);
    status = daemon_child_run(&d, &text, "ifuctl", "reduce", "--stale", "--json", word);
    json_t *o = json_loads(text, 0, NULL);
    daemon_child_need(&d, o && status == 0, "reduce: %d, %s", status, text);
    free(text);
    return o;
}

/* Is the job stale for this reason? */
static bool is_stale(const char *job, const char *why)
{
    size_t i;
    const json_t *s;
    bool found = false;
    json_t *o = daemon_child_json(&d, "stale", NULL);
    json_array_foreach(json_object_get(o, "stale"), i, s)
    {
        found = found || (!strcmp(json_string_value(json_object_get(s, "job")), job) &&
                          strstr(json_string_value(json_object_get(s, "why")), why));
    }
    json_decref(o);
    return found;
}

static long count_stale(void)
{
    json_t *o = daemon_child_json(&d, "stale", NULL);
    long n = (long)json_array_size(json_object_get(o, "stale"));
    json_decref(o);
    return n;
}

static double looked_at(void)
{
    json_t *o = daemon_child_json(&d, "stale", NULL);
    double at = json_number_value(json_object_get(o, "looked_at"));
    json_decref(o);
    return at;
}

/* All products are looked at again, as after SIGHUP. */
static void look_again(void)
{
    double before = looked_at();
    kill(d.pid, SIGHUP);
    support_until(looked_at() > before, 60, "it does not look for stale products");
}

static const char *product(const char *suffix)
{
    static char ring[4][800];
    static int at;
    char pattern[700], *to = ring[at++ % 4];
    glob_t g;
    snprintf(pattern, sizeof pattern, "%.400s/*/*/" NAME "_%s", d.products, suffix);
    daemon_child_need(&d, !glob(pattern, 0, NULL, &g) && g.gl_pathc == 1, "no %s",
                      pattern);
    snprintf(to, sizeof ring[0], "%s", g.gl_pathv[0]);
    globfree(&g);
    return to;
}

static void hash(const char *suffix, char ret[65])
{
    struct err err = {0};
    support_ok(sha256_file(product(suffix), ret, NULL, &err), &err);
}

/* A photom file that suits later exposures better: the old one with another USEAFTER. */
static void new_photom(void)
{
    programs_run(
        d.references,
        "cp $(ls *photom*.fits) part && at=$(grep -abo USEAFTER part | head -1 |"
        " cut -d: -f1) && printf '%%-80s' \"USEAFTER= '2022-02-01T00:00:00'\" |"
        " dd of=part bs=1 seek=$at conv=notrunc status=none &&"
        " mv part later_photom_0009.fits");
}

/* One more setting of spec2; the daemon reads it on SIGHUP. */
static void set(const char *setting)
{
    programs_run(
        d.top,
        "sed -i 's/\"cube_build.scalew=0.05\"\\(.*\\)\"cube_build.scalew=0.05\""
        "/\"cube_build.scalew=0.05\"\\1\"cube_build.scalew=0.05\", \"%s\"/' "
        "%s",
        setting, d.config);
}

static json_t *show(const char *job)
{
    return daemon_child_json(&d, "show", job);
}

/* Does `ifuctl show` name a product whose path ends so, and is it there? */
static bool has_product(const json_t *job, const char *end)
{
    size_t i;
    const json_t *p;
    json_array_foreach(json_object_get(job, "products"), i, p)
    {
        const char *path = json_string_value(json_object_get(p, "path"));
        const size_t n = strlen(path), m = strlen(end);
        if (n > m && !strcmp(path + n - m, end)) {
            return access(path, F_OK) == 0;
        }
    }
    return false;
}

static bool log_says(const char *part)
{
    char *log = support_read_file(d.log, NULL);
    bool yes = strstr(log, part) != NULL;
    free(log);
    return yes;
}

static void need_log(const char *part)
{
    daemon_child_need(&d, log_says(part), "the log does not say '%s'", part);
}

START_TEST(test_stale_a_new_reference_marks_what_it_concerns)
{
    char before[65], after[65];
    look_again();
    ck_assert_int_eq(count_stale(), 0);
    hash("cal.fits", before);
    new_photom();
    look_again();
    daemon_child_need(&d, is_stale(SPEC2 "-1", "photom: later_photom_0009.fits, was"),
                      "it is not stale");
    ck_assert_int_eq(count_stale(), 2); /* and the spec3 that is made from it */
    ck_assert_int_eq(daemon_child_number(&d, "stale.jobs"), 2);
    hash("cal.fits", after);
    ck_assert_str_eq(before, after); /* nothing happens by itself */
    need_log("its products are stale from photom on: photom: later_photom");
    json_t *o = show(SPEC2 "-1");
    ck_assert(json_is_object(json_object_get(o, "stale")));
    json_decref(o);

    /* without a daemon it is listed as well */
    daemon_child_stop(&d);
    ck_assert(is_stale(SPEC2 "-1", "photom"));
    daemon_child_start(&d);

    o = ctl_reduce("--all");
    json_decref(o);
    daemon_child_until(&d, "jobs.superseded", 2);
    daemon_child_until(&d, "jobs.done", 2);
    o = show(SPEC2 "-2");
    ck_assert_str_eq(json_string_value(json_object_get(o, "state")), "done");
    ck_assert(json_is_null(json_object_get(o, "stale")));
    json_decref(o);
    look_again();
    ck_assert_int_eq(count_stale(), 0);
    hash("cal.fits", after);
    ck_assert_str_ne(before, after);
    struct exposure *e = NULL;
    struct err err = {0};
    const char *name = "";
    support_ok(exposure_read(product("cal.fits"), &e, &err), &err);
    header_get_string(&e->primary, "R_PHOTOM", &name);
    ck_assert_str_eq(name, "later_photom_0009.fits");
    exposure_free(e);
}
END_TEST

/* The same name with other bytes; a setting; both from the step on that changed. */
START_TEST(test_stale_only_what_changed_runs_again)
{
    char before[65], after[65];
    hash("cal.fits", before);
    programs_run(d.references,
                 "f=$(ls *cubepar*.fits) && cp $f part && printf 'COMMENT x'"
                 " | dd of=part bs=1 seek=2720 conv=notrunc status=none &&"
                 " mv part $f");
    look_again();
    daemon_child_need(&d, is_stale(SPEC2 "-1", "has other content"), "it is not stale");
    json_t *o = ctl_reduce(NAME);
    ck_assert_uint_eq(json_array_size(json_object_get(o, "queued")), 1);
    json_decref(o);
    daemon_child_until(&d, "jobs.superseded", 2);
    daemon_child_until(&d, "jobs.done", 2);
    hash("cal.fits", after);
    ck_assert_str_eq(before, after);
    need_log("job " SPEC2 "-2 stage reuse: assign_wcs to photom");

    hash("s3d.fits", before);
    set("extract_1d.bkg_sigma_clip=2");
    look_again();
    daemon_child_need(&d, is_stale(SPEC2 "-2", "extract_1d.bkg_sigma_clip = 2"),
                      "it is not stale");
    o = ctl_reduce("--all");
    json_decref(o);
    daemon_child_until(&d, "jobs.superseded", 4);
    daemon_child_until(&d, "jobs.done", 2);
    hash("s3d.fits", after);
    ck_assert_str_eq(before, after);
    need_log("job " SPEC2 "-3 stage reuse: assign_wcs to cube_build");
    /* a spectrum that was made anew is compared with the old one */
    o = show(SPEC2 "-3");
    const json_t *change = json_object_get(o, "difference");
    ck_assert_int_ge(json_integer_value(json_object_get(change, "compared")), 1);
    ck_assert(json_is_number(json_object_get(change, "largest_sigma")));
    ck_assert(has_product(o, "/" NAME "_difference.png"));
    json_decref(o);
    /* the picture before it went with its version */
    o = show(SPEC2 "-2");
    ck_assert(has_product(o, "/superseded/" SPEC2 "-2/" NAME "_difference.png"));
    json_decref(o);
    need_log("stage difference: ");
    /* the exposures that the spec3 reads are the same bytes: it has nothing to do */
    need_log("-3 stage reuse: nothing has changed that the products depend on");
    look_again();
    ck_assert_int_eq(count_stale(), 0);
}
END_TEST

#define GROUP "jw01234-o001_simtarg_nirspec_g395m-f290lp"

/* A setting of spec3 alone; jobs run in processes of their own; a group by its name. */
START_TEST(test_stale_a_group_in_processes_of_their_own)
{
    programs_run(
        d.top,
        "sed -i 's/\"spec3_settings\": \\[/&\"extract_1d.bkg_sigma_clip=2\", /;"
        " s/^{/{\"executor\": \"child\", /' %s",
        d.config);
    look_again();
    ck_assert_int_eq(count_stale(), 1);
    ck_assert(is_stale("spec3-" GROUP "-1", "extract_1d.bkg_sigma_clip = 2"));
    json_t *o = ctl_reduce(GROUP);
    ck_assert_uint_eq(json_array_size(json_object_get(o, "queued")), 1);
    json_decref(o);
    daemon_child_until(&d, "jobs.superseded", 1);
    daemon_child_until(&d, "jobs.done", 2);
    need_log("job spec3-" GROUP "-2 stage reuse: assign_wcs to cube_build");
    o = show("spec3-" GROUP "-2");
    ck_assert(json_is_object(json_object_get(o, "difference")));
    ck_assert_uint_eq(json_array_size(json_object_get(o, "products")), 4);
    ck_assert(has_product(o, "/" GROUP "_difference.png"));
    json_decref(o);
    o = ctl_reduce(GROUP); /* there is nothing left to do */
    ck_assert_uint_eq(json_array_size(json_object_get(o, "queued")), 0);
    json_decref(o);
    programs_run(d.top, "! IFUD_SOCKET=run/s $B/ifuctl reduce --all 2>said && grep -q "
                        "'reduce --stale' said");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stale");
    TCase *t = tcase_create("stale");
    tcase_set_timeout(t, 180);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_stale_a_new_reference_marks_what_it_concerns);
    tcase_add_test(t, test_stale_only_what_changed_runs_again);
    tcase_add_test(t, test_stale_a_group_in_processes_of_their_own);
    suite_add_tcase(s, t);
    return support_run(s);
}
