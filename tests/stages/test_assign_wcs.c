#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/sim/instrument.h"
#include "common/data/wcs.h"
#include "stages/assign_wcs.h"
#include "tests/support.h"

static char *folder;
static struct references *refs;
static char used[512];
static struct err err;

static void note_used(void *user, const struct exposure_meta *meta,
                      const struct reference_choice *choice)
{
    (void)user;
    (void)meta;
    strcat(strcat(used, choice->type), " ");
}

static void open_references(void)
{
    references_close(refs);
    refs = NULL;
    support_ok(references_open(folder, (size_t)1 << 30, &refs, &err), &err);
}

static void setup(void)
{
    folder = support_folder();
    support_ok(sim_write_optics(folder, &err), &err);
    used[0] = '\0';
    open_references();
}

static void teardown(void)
{
    references_close(refs);
    refs = NULL;
    support_remove(folder);
}

static int run(struct exposure *e, const char *low, const char *high)
{
    struct params *params;
    struct stage_env env = {.refs = refs,
                            .recipe = "spec2",
                            .used_reference = note_used,
                            .stage_name = "assign_wcs"};
    struct dataset data = {.exposures = &e, .n_exposures = 1};
    support_ok(
        params_new(stage_assign_wcs.params, stage_assign_wcs.n_params, &params, &err),
        &err);
    support_ok(params_set(params, "slit_y_low", low, &err), &err);
    support_ok(params_set(params, "slit_y_high", high, &err), &err);
    int code = stage_assign_wcs.run(&env, params, &data, &err);
    params_free(params);
    return code;
}

/* Planes, WCS and keywords are there and agree; all eleven references are told. */
START_TEST(test_assign_wcs_fills_the_exposure)
{
    struct exposure *e =
        support_exposure(256, 512, 801, 301, "NRS1", "F290LP", "G395H");
    support_ok(run(e, "-0.55", "0.55"), &err);
    ck_assert_ptr_nonnull(e->wcs);
    size_t in_slices = 0, wrong = 0;
    double lowest = 10.0, highest = 0.0;
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        double lam = e->wavelength[i];
        wrong += (e->regions[i] == 0) != (isnan(lam) != 0);
        wrong += e->regions[i] > WCS_SLICES;
        if (e->regions[i] > 0) {
            in_slices++;
            lowest = fmin(lowest, lam);
            highest = fmax(highest, lam);
        }
    }
    ck_assert_uint_eq(wrong, 0);
    /* slices are some 30 of every 49 rows, or none between the two groups */
    ck_assert_uint_gt(in_slices, exposure_pixels(e) / 4);
    double low, high;
    wcs_spectral_region(e->wcs, &low, &high);
    ck_assert_double_eq_tol(low, lowest, 1e-12);
    ck_assert_double_eq_tol(high, highest, 1e-12);

    const char *text;
    double real;
    long whole;
    ck_assert(header_get_string(&e->science, "S_REGION", &text));
    ck_assert_int_eq(strncmp(text, "POLYGON ICRS  ", 14), 0);
    ck_assert(header_get_string(&e->science, "SPECSYS", &text));
    ck_assert_str_eq(text, "BARYCENT");
    ck_assert(header_get_real(&e->science, "WAVSTART", &real));
    ck_assert_double_eq(real, 2.87e-6);
    ck_assert(header_get_real(&e->science, "WAVEND", &real));
    ck_assert_double_eq(real, 5.27e-6);
    ck_assert(header_get_int(&e->science, "DISPAXIS", &whole));
    ck_assert_int_eq(whole, 1);
    ck_assert(header_get_int(&e->science, "SPORDER", &whole));
    ck_assert_int_eq(whole, -1);
    for (size_t i = 0; stage_assign_wcs.reference_types[i]; i++) {
        ck_assert_msg(strstr(used, stage_assign_wcs.reference_types[i]) != NULL,
                      "%s was not told: %s", stage_assign_wcs.reference_types[i], used);
    }
    exposure_free(e);
}
END_TEST

/* A shorter slit has fewer rows. */
START_TEST(test_assign_wcs_slit_limits)
{
    struct exposure *e =
        support_exposure(256, 512, 801, 301, "NRS1", "F290LP", "G395H");
    size_t count[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        support_ok(run(e, k == 0 ? "-0.55" : "-0.275", k == 0 ? "0.55" : "0.275"),
                   &err);
        for (size_t i = 0; i < exposure_pixels(e); i++) {
            count[k] += e->regions[i] > 0;
        }
    }
    /* half, to the pixel at either end of some thirty rows */
    ck_assert_double_eq_tol((double)count[1] / (double)count[0], 0.5, 0.05);
    ck_assert_int_eq(run(e, "0.1", "-0.1"), ERR_PARAM);
    exposure_free(e);
}
END_TEST

START_TEST(test_assign_wcs_missing_and_broken_references)
{
    struct exposure *e =
        support_exposure(256, 512, 801, 301, "NRS1", "F290LP", "G395H");
    ck_assert_int_eq(remove(support_path(folder, "ideal_ifupost.asdf")), 0);
    open_references();
    ck_assert_int_eq(run(e, "-0.55", "0.55"), ERR_REFERENCE);
    ck_assert_msg(strstr(err.message, "ifupost") != NULL, "%s", err.message);
    ck_assert_ptr_null(e->wcs);
    ck_assert_ptr_null(e->regions);
    /* a file of the right metadata without the transforms */
    static const char stub[] =
        "#ASDF 1.0.0\n#ASDF_STANDARD 1.6.0\n%YAML 1.1\n"
        "%TAG ! tag:stsci.edu:asdf/\n--- !core/asdf-1.1.0\n"
        "meta:\n  reftype: ifupost\n  useafter: '2022-01-01T00:00:00'\n"
        "  exposure: {type: NRS_IFU}\n  instrument: {name: NIRSPEC}\n...\n";
    support_write_file(support_path(folder, "ideal_ifupost.asdf"), stub,
                       sizeof stub - 1);
    open_references();
    ck_assert_int_eq(run(e, "-0.55", "0.55"), ERR_REFERENCE);
    ck_assert_msg(strstr(err.message, "ideal_ifupost.asdf") != NULL &&
                      strstr(err.message, "slice_0.linear") != NULL,
                  "%s", err.message);
    exposure_free(e);
}
END_TEST

/* Off the slices, and a disperser that never reaches the detector. */
START_TEST(test_assign_wcs_nothing_there)
{
    struct exposure *e = support_exposure(64, 8, 1, 2041, "NRS1", "F290LP", "G395H");
    ck_assert_int_eq(run(e, "-0.55", "0.55"), ERR_INPUT);
    ck_assert_msg(strstr(err.message, "SUBSTRT2") != NULL, "%s", err.message);
    exposure_free(e);
    e = support_exposure(64, 64, 801, 301, "NRS1", "F290LP", "G395M");
    strcpy(e->meta.detector, "NRS2"); /* no reader lets it through */
    ck_assert_int_eq(run(e, "-0.55", "0.55"), ERR_INPUT);
    ck_assert_msg(strstr(err.message, "never reaches") != NULL, "%s", err.message);
    exposure_free(e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("assign_wcs");
    TCase *t = tcase_create("assign_wcs");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_assign_wcs_fills_the_exposure);
    tcase_add_test(t, test_assign_wcs_slit_limits);
    tcase_add_test(t, test_assign_wcs_missing_and_broken_references);
    tcase_add_test(t, test_assign_wcs_nothing_there);
    suite_add_tcase(s, t);
    return support_run(s);
}
