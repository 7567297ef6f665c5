#include <check.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/data/spectrum_io.h"
#include "tests/daemon_child.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"

/*
 * Two dispersers of one target through the real daemon: their spectra are combined, again
 * after a late exposure, and when products are stale.
 */

static struct daemon_child d;
static char *made; /* references and exposures, for all tests */
static struct err err;

#define SETTINGS                                                                       \
    "\"group_quiet_seconds\": 86400, \"spec2_settings\": [\"flat_field.skip=true\", "  \
    "\"cube_build.scalexy=0.3\", \"cube_build.scalew=0.05\"], "                        \
    "\"spec3_settings\": [\"cube_build.scalexy=0.3\", \"cube_build.scalew=0.05\"]"
#define TARGET "jw01234-o001_simtarg_nirspec"
#define JOB(VERSION) "combine-" TARGET "-" VERSION
#define PRODUCT "01234/" TARGET "/" TARGET "_c1d.fits"

/* Windows of some pixels; of one dither each, and a second one of the prism. */
static void make(void)
{
    made = support_folder();
    programs_run(
        made,
        "$B/ifusim --make-references references --grating PRISM && "
        "$B/ifusim --make-references references --grating G395M && "
        "sim() { $B/ifusim --references references --detector NRS1 --truth false "
        "--threads 1 --grating $1 --subarray $2 --dithers $3 --dither $3 --output $4; "
        "} "
        "&& sim PRISM 800,800,128,24 1 p && sim PRISM 800,800,128,24 2 late && "
        "sim G395M 1000,700,48,16 1 g && rm references/*dflat* references/*sflat* && "
        "mv p/*_rate.fits jw01234001001_02101_00001_nrs1_rate.fits && "
        "mv late/*_rate.fits jw01234001001_02101_00002_nrs1_rate.fits && "
        "mv g/*_rate.fits jw01234001001_04101_00001_nrs1_rate.fits");
}

static void remove_made(void)
{
    support_remove(made);
}

static void setup_with(const char *extra)
{
    char settings[800];
    snprintf(settings, sizeof settings, SETTINGS "%s", extra);
    daemon_child_init(&d, settings);
    programs_run(made, "cp -r references %s", d.references);
}

static void teardown(void)
{
    daemon_child_done(&d);
}

static void drop(const char *names)
{
    programs_run(made, "for f in %s; do cp jw01234001001_${f}_nrs1_rate.fits %s; done",
                 names, d.inbox);
}

static void need_state(const char *job, const char *state)
{
    json_t *o = daemon_child_json(&d, "show", job);
    const char *is = json_string_value(json_object_get(o, "state"));
    daemon_child_need(&d, !strcmp(is, state), "%s is %s, not %s", job, is, state);
    json_decref(o);
}

static void need_text(const char *command, const char *word, const char *part)
{
    char *text = NULL;
    daemon_child_run(&d, &text, "ifuctl", "--config", d.config, command, word);
    daemon_child_need(&d, strstr(text, part) != NULL, "no '%s' in:\n%s", part, text);
    free(text);
}

static void is_in_order(void)
{
    ck_assert_int_eq(
        daemon_child_run(&d, NULL, "ifuctl", "--config", d.config, "queue", "check"),
        0);
}

static struct spectrum *combined(const char *below)
{
    struct spectrum *s = NULL;
    support_ok(spectrum_read_combined(support_path(d.products, below), &s, &err), &err);
    return s;
}

/* Of both, in order, and none of it empty. */
static void need_combined(void)
{
    const char *grating = "";
    struct spectrum *s = combined(PRODUCT);
    ck_assert_uint_gt(s->n, 10);
    for (size_t i = 0; i < s->n; i++) {
        ck_assert(isfinite(s->flux[i]) && s->flux_error[i] > 0 && s->weight[i] > 0);
        ck_assert(i == 0 || s->wavelength[i] > s->wavelength[i - 1]);
    }
    header_get_string(&s->primary, "GRATING", &grating);
    ck_assert_str_eq(grating, "MULTIPLE");
    spectrum_free(s);
}

/* Seen from the first spec3 on, named in status and show, and there once both are done. */
START_TEST(test_combine_after_the_last_disperser)
{
    setup_with(_i ? ", \"executor\": \"child\"" : "");
    daemon_child_start(&d);
    drop("02101_00001");
    daemon_child_until(&d, "jobs.done", 2);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.waiting"), 0); /* one disperser */
    drop("04101_00001");
    daemon_child_until(&d, "jobs.done", 5);
    need_combined();
    need_text("show", TARGET, JOB("1"));
    need_text("show", JOB("1"), "spec3-" TARGET "_g395m-f290lp-1");
    need_text("show", JOB("1"), PRODUCT);
    need_text("list", NULL, JOB("1"));

    /* a second dither of the prism: its spec3, and what is combined of it, once more */
    drop("02101_00002");
    daemon_child_until(&d, "jobs.superseded", 2);
    need_state(JOB("1"), "superseded");
    need_state(JOB("2"), "done");
    need_text("show", JOB("2"), "spec3-" TARGET "_prism-clear-2");
    ck_assert_int_eq(daemon_child_number(&d, "jobs.done"), 6);
    need_combined();
    struct spectrum *old =
        combined("01234/" TARGET "/superseded/" JOB("1") "/" TARGET "_c1d.fits");
    spectrum_free(old);
    json_t *o = daemon_child_json(&d, "show", JOB("2"));
    const json_t *change = json_object_get(o, "difference");
    ck_assert_int_gt(json_integer_value(json_object_get(change, "compared")), 10);
    json_decref(o);

    /* nothing is doubled by another start */
    daemon_child_stop(&d);
    daemon_child_start(&d);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.done"), 6);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.waiting"), 0);
    is_in_order();
}
END_TEST

static double looked_at(void)
{
    json_t *o = daemon_child_json(&d, "stale", NULL);
    double at = json_number_value(json_object_get(o, "looked_at"));
    json_decref(o);
    return at;
}

/* Another configuration counts, and all products are looked at again. */
static void reload(const char *sed)
{
    double before = looked_at();
    programs_run(d.top, "sed -i '%s' %s", sed, d.config);
    kill(d.pid, SIGHUP);
    support_until(looked_at() > before, 60, "it does not look for stale products");
}

static void need_stale(size_t n, const char *job, const char *why)
{
    json_t *o = daemon_child_json(&d, "stale", NULL), *s;
    const json_t *list = json_object_get(o, "stale");
    size_t i;
    bool found = false;
    json_array_foreach(list, i, s)
    {
        found = found || (!strcmp(json_string_value(json_object_get(s, "job")), job) &&
                          strstr(json_string_value(json_object_get(s, "why")), why));
    }
    daemon_child_need(&d, found && json_array_size(list) == n,
                      "%zu are stale, and %s is%s for '%s'", json_array_size(list), job,
                      found ? "" : " not", why);
    json_decref(o);
}

static void reduce_stale(size_t queued)
{
    char *text = NULL;
    setenv("IFUD_SOCKET", d.socket, 1);
    int status =
        daemon_child_run(&d, &text, "ifuctl", "reduce", "--stale", "--json", "--all");
    json_t *o = json_loads(text, 0, NULL);
    daemon_child_need(&d, o && status == 0, "reduce: %d, %s", status, text);
    daemon_child_need(&d, json_array_size(json_object_get(o, "queued")) == queued,
                      "not %zu queued: %s", queued, text);
    json_decref(o);
    free(text);
}

START_TEST(test_combine_is_stale_with_what_it_reads)
{
    setup_with(", \"combine_settings\": [\"combine_1d.exptime_key=exposure_time\"]");
    daemon_child_start(&d);
    drop("02101_00001 04101_00001");
    daemon_child_until(&d, "jobs.done", 5);
    reload("");
    json_t *o = daemon_child_json(&d, "stale", NULL); /* it is what it would be */
    ck_assert_uint_eq(json_array_size(json_object_get(o, "stale")), 0);
    json_decref(o);

    reload("s/exptime_key=exposure_time/exptime_key=unit_weight/");
    need_stale(1, JOB("1"), "combine_1d.exptime_key = unit_weight, was exposure_time");
    reduce_stale(1);
    daemon_child_until(&d, "jobs.superseded", 1);
    need_state(JOB("2"), "done");

    /* both spectra change: first these, then one combine of both */
    reload("s/\"spec3_settings\": \\[/&\"extract_1d.bkg_sigma_clip=2\", /");
    need_stale(3, JOB("2"), "made from stale products");
    reduce_stale(2);
    daemon_child_until(&d, "jobs.superseded", 4);
    need_state(JOB("3"), "done");
    need_text("show", JOB("3"), "spec3-" TARGET "_g395m-f290lp-2");
    need_text("show", JOB("3"), "spec3-" TARGET "_prism-clear-2");
    ck_assert_int_eq(daemon_child_number(&d, "jobs.done"), 5);

    /* from the exposures on, through all three recipes */
    reload("s/flat_field.skip=true/&\", \"pathloss.skip=true/");
    need_stale(5, JOB("3"), "made from stale products");
    reduce_stale(2);
    daemon_child_until(&d, "jobs.superseded", 9);
    need_state(JOB("4"), "done");
    ck_assert_int_eq(daemon_child_number(&d, "jobs.done"), 5);
    reload("");
    o = daemon_child_json(&d, "stale", NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(o, "stale")), 0);
    json_decref(o);
    is_in_order();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("combine");
    TCase *t = tcase_create("combine");
    tcase_set_timeout(t, 180);
    tcase_add_unchecked_fixture(t, make, remove_made);
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_loop_test(t, test_combine_after_the_last_disperser, 0, 2);
    tcase_add_test(t, test_combine_is_stale_with_what_it_reads);
    suite_add_tcase(s, t);
    return support_run(s);
}
