#include <check.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/base/sha256.h"
#include "common/data/spectrum_io.h"
#include "tests/daemon_child.h"
#include "tests/support.h"

/*
 * Simulated exposures through the real daemon to cube and spectrum. G395M reaches NRS1
 * only, and a window of 260 x 130 pixels holds a few slices: seconds, not minutes.
 */

#define GROUP "01234/jw01234-o001_simtarg_nirspec_g395m-f290lp/"

static struct daemon_child d;

/* One dither of three, simulated into the folder `seed`; returns its path. */
static const char *simulate(int dither, int seed)
{
    static char path[400];
    char command[2000];
    snprintf(command, sizeof command,
             "mkdir -p %.200s/%d && $IFUD_BIN/ifusim --references %.200s "
             "--output %.200s/%d --grating G395M --filter F290LP --dithers 3 "
             "--dither %d --seed %d --subarray 1000,700,260,130 --truth false "
             ">%.200s/ifusim.log 2>&1",
             d.top, seed, d.references, d.top, seed, dither, seed, d.top);
    ck_assert_msg(system(command) == 0, "failed: %s", command);
    snprintf(path, sizeof path, "%.200s/%d/jw01234001001_02101_%05d_nrs1_rate.fits",
             d.top, seed, dither);
    ck_assert_int_eq(access(path, R_OK), 0);
    return path;
}

static void setup(void)
{
    char command[600];
    daemon_child_init(&d, "\"group_quiet_seconds\": 86400");
    snprintf(
        command, sizeof command,
        "$IFUD_BIN/ifusim --make-references %.200s --grating G395M --filter F290LP "
        ">/dev/null",
        d.references);
    ck_assert_int_eq(system(command), 0);
}

static void teardown(void)
{
    daemon_child_done(&d);
}

static void submit(const char *path)
{
    ck_assert_int_eq(
        daemon_child_run(&d, NULL, "ifuctl", "--config", d.config, "submit", path), 0);
}

static bool has_product(const char *name)
{
    return access(support_path(d.products, name), R_OK) == 0;
}

/* No attempt's file is left among the products. */
static void no_parts(void)
{
    glob_t g;
    ck_assert_int_eq(
        glob(support_path(d.products, GROUP ".*.part"), GLOB_PERIOD, NULL, &g),
        GLOB_NOMATCH);
    globfree(&g);
}

static void hash_of(const char *name, char ret[SHA256_HEX])
{
    struct err err = {0};
    support_ok(sha256_file(support_path(d.products, name), ret, NULL, &err), &err);
}

START_TEST(test_reduction_three_dithers_to_a_spectrum)
{
    static const char spectrum[] =
        GROUP "jw01234-o001_simtarg_nirspec_g395m-f290lp_x1d.fits";
    daemon_child_start(&d);
    submit(simulate(1, 1));
    submit(simulate(2, 1));
    daemon_child_until(&d, "jobs.done", 2);
    json_t *status = daemon_child_status(&d);
    const char *waits = json_string_value(json_object_get(
        json_array_get(json_object_get(status, "waiting"), 0), "waits_for"));
    ck_assert_ptr_nonnull(waits);
    ck_assert_msg(strstr(waits, "dither 3 NRS1") == waits, "%s", waits);
    json_decref(status);
    daemon_child_stop(&d); /* what waits, waits on */
    daemon_child_start(&d);
    submit(simulate(3, 1));
    ck_assert_int_eq(daemon_child_run(&d, NULL, "ifuctl", "--config", d.config, "wait",
                                      "--timeout=60"),
                     0);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.done"), 4);
    ck_assert(has_product(GROUP "jw01234001001_02101_00001_nrs1_cal.fits"));
    ck_assert(has_product(GROUP "jw01234001001_02101_00003_nrs1_s3d.fits"));
    ck_assert(has_product(GROUP "jw01234-o001_simtarg_nirspec_g395m-f290lp_s3d.fits"));
    ck_assert(has_product(
        GROUP "jw01234-o001_simtarg_nirspec_g395m-f290lp_spec3_manifest.json"));
    no_parts();
    struct spectrum *s = NULL;
    struct err err = {0};
    support_ok(spectrum_read(support_path(d.products, spectrum), &s, &err), &err);
    size_t finite = 0;
    for (size_t i = 0; i < s->n; i++) {
        finite += isfinite(s->flux[i]);
    }
    ck_assert_uint_gt(finite, s->n / 20); /* the window holds a part of the range */
    spectrum_free(s);

    /* the same exposure with other noise: a new version takes its place */
    char before[SHA256_HEX], after[SHA256_HEX];
    hash_of(spectrum, before);
    submit(simulate(3, 2));
    daemon_child_until(&d, "exposures.superseded", 1);
    ck_assert_int_eq(daemon_child_run(&d, NULL, "ifuctl", "--config", d.config, "wait",
                                      "--timeout=60"),
                     0);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.superseded"), 2);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.done"), 4);
    hash_of(spectrum, after);
    ck_assert_str_ne(before, after);
    daemon_child_stop(&d);
}
END_TEST

START_TEST(test_reduction_survives_stops_while_jobs_run)
{
    for (int i = 1; i <= 3; i++) {
        const char *path = simulate(i, 1);
        ck_assert_int_eq(rename(path, support_path(d.inbox, strrchr(path, '/') + 1)),
                         0);
    }
    long done = 0;
    for (int i = 0; i < 20 && done < 4; i++) {
        daemon_child_start(&d);
        daemon_child_until(&d, "exposures.accepted", i < 3 ? i + 1 : 3);
        if (i >= 3) {
            daemon_child_until(&d, "jobs.done", done + 1);
        }
        done = daemon_child_number(&d, "jobs.done");
        daemon_child_stop(&d);
    }
    daemon_child_start(&d);
    daemon_child_until(&d, "jobs.done", 4);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.held"), 0);
    ck_assert_int_eq(daemon_child_number(&d, "jobs.running"), 0);
    ck_assert_int_eq(daemon_child_number(&d, "exposures.accepted"), 3);
    no_parts();
    daemon_child_stop(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reduction");
    TCase *t = tcase_create("reduction");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_reduction_three_dithers_to_a_spectrum);
    tcase_add_test(t, test_reduction_survives_stops_while_jobs_run);
    suite_add_tcase(s, t);
    return support_run(s);
}
