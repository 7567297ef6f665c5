#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/data/dq.h"
#include "common/data/exposure_io.h"
#include "common/data/provenance.h"
#include "tests/e2e/programs.h"
#include "tests/support.h"
#include "tests/tiny.h"

/*
 * Imprints and backgrounds beside an exposure, through the real ifurun: what is subtracted, what the
 * product says of it, and the manifest run again. The leak is a level of 0.5 in every
 * pixel, in exposure and imprint alike.
 */

#define LEAK 0.5F
#define SKY 0.25F

static char *top;

static void add(float *plane, size_t n, float what)
{
    for (size_t i = 0; i < n; i++) {
        plane[i] += what;
    }
}

/* refs/: references; in/: dither 1 clean as 00001, with the leak as 00002; the leak alone
 * as 00003, and with the sky, as a dedicated background, as 00004. */
static void setup(void)
{
    struct err err = {0};
    struct exposure *e = NULL;
    top = support_folder();
    char refs[400], made[400];
    snprintf(refs, sizeof refs, "%s", support_path(top, "refs"));
    tiny_make(refs);
    tiny_expose(refs, top, 1, 1);
    snprintf(made, sizeof made, "%s", tiny_name("", 1, "_rate.fits"));
    support_ok(exposure_read(support_path(top, made), &e, &err), &err);
    const size_t n = exposure_pixels(e);
    add(e->sci, n, LEAK);
    support_write_rate(support_path(top, tiny_name("", 2, "_rate.fits")), e);
    for (size_t i = 0; i < n; i++) {
        e->sci[i] = LEAK;
        e->var_poisson[i] = 0.25F;
        e->var_rnoise[i] = 0;
        e->err[i] = 0.5F;
        e->dq[i] = 0;
    }
    support_ok(header_set_bool(&e->primary, "IS_IMPRT", true, NULL, &err), &err);
    support_write_rate(support_path(top, tiny_name("", 3, "_rate.fits")), e);
    add(e->sci, n, SKY);
    support_ok(header_set_bool(&e->primary, "IS_IMPRT", false, NULL, &err), &err);
    support_ok(header_set_bool(&e->primary, "BKGDTARG", true, NULL, &err), &err);
    support_write_rate(support_path(top, tiny_name("", 4, "_rate.fits")), e);
    exposure_free(e);
}

static void teardown(void)
{
    support_remove(top);
}

/* The product of a dither after this stage. The caller frees. */
static struct exposure *product(int dither, const char *stage)
{
    struct exposure *e = NULL;
    struct err err = {0};
    char end[64], name[400];
    snprintf(end, sizeof end, "_%s.fits", stage);
    snprintf(name, sizeof name, "%s", tiny_name("out/", dither, end));
    support_ok(exposure_read(support_path(top, name), &e, &err), &err);
    return e;
}

#define RUN                                                                            \
    "$B/ifurun spec2 --references refs --output out --threads 1 "                      \
    "--stop-after imprint_subtract "

static const char *text_of(const struct exposure *e, const char *keyword)
{
    const char *value = "";
    header_get_string(&e->primary, keyword, &value);
    return value;
}

START_TEST(test_job_members_imprint_is_taken_off)
{
    programs_run(top, RUN "--imprint %s %s", tiny_name("", 3, "_rate.fits"),
                 tiny_name("", 2, "_rate.fits"));
    programs_run(top, RUN "%s", tiny_name("", 1, "_rate.fits"));
    struct exposure *clean = product(1, "imprint_subtract"),
                    *cleaned = product(2, "imprint_subtract");
    ck_assert_str_eq(text_of(clean, "S_IMPRNT"), "SKIPPED");
    ck_assert_str_eq(text_of(cleaned, "S_IMPRNT"), "COMPLETE");
    ck_assert_str_eq(text_of(cleaned, "IMPRHOW"), "sole");
    size_t compared = 0;
    for (size_t i = 0; i < exposure_pixels(clean); i++) {
        if (isfinite(clean->sci[i])) { /* (s + 0.5) - 0.5: two roundings of floats */
            double want = (double)clean->sci[i];
            ck_assert_double_eq_tol((double)cleaned->sci[i], want,
                                    2e-7 * (fabs(want) + (double)LEAK));
            ck_assert_double_eq_tol((double)cleaned->var_poisson[i],
                                    (double)clean->var_poisson[i] + 0.25, 1e-6);
            compared++;
        }
    }
    ck_assert_uint_gt(compared, exposure_pixels(clean) / 2);
    exposure_free(clean);
    exposure_free(cleaned);
}
END_TEST

START_TEST(test_job_members_stand_in_provenance_and_manifest)
{
    char product_name[400], first[65], again[65], hash[65];
    struct fits_in *f = NULL;
    struct provenance p = {0};
    struct err err = {0};
    programs_run(top, RUN "--imprint %s %s", tiny_name("", 3, "_rate.fits"),
                 tiny_name("", 2, "_rate.fits"));
    snprintf(product_name, sizeof product_name, "%s",
             tiny_name("out/", 2, "_imprint_subtract.fits"));
    programs_hash(top, product_name, first);
    support_ok(fits_in_open(support_path(top, product_name), ERR_INPUT, &f, &err),
               &err);
    support_ok(provenance_read(f, &p, &err), &err);
    fits_in_close(f);
    programs_hash(top, tiny_name("", 3, "_rate.fits"), hash);
    int found = 0;
    for (size_t i = 0; i < p.n; i++) {
        if (p.items[i].kind == PROVENANCE_INPUT &&
            !strcmp(p.items[i].name, "imprint")) {
            ck_assert_str_eq(p.items[i].value, tiny_name("", 3, "_rate.fits"));
            ck_assert_str_eq(p.items[i].sha256, hash);
            found++;
        }
    }
    ck_assert_int_eq(found, 1);
    provenance_done(&p);
    ck_assert_int_eq(unlink(support_path(top, product_name)), 0);
    programs_run(top, "$B/ifurun %s", tiny_name("out/", 2, "_spec2_manifest.json"));
    programs_hash(top, product_name, again);
    ck_assert_str_eq(first, again);
}
END_TEST

/* The background has the leak, too: the imprint is taken off both. */
START_TEST(test_job_members_background_is_cleaned_alike)
{
    programs_run(top,
                 "$B/ifurun spec2 --references refs --output out --threads 1 --save "
                 "imprint_subtract --stop-after bkg_subtract --imprint %s "
                 "--background %s %s",
                 tiny_name("", 3, "_rate.fits"), tiny_name("", 4, "_rate.fits"),
                 tiny_name("", 2, "_rate.fits"));
    struct exposure *before = product(2, "imprint_subtract"), *e = product(2, "bsub");
    ck_assert_str_eq(text_of(e, "S_BKDSUB"), "COMPLETE");
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        if (isfinite(e->sci[i])) { /* three roundings of floats */
            double want = (double)before->sci[i] - (double)SKY;
            ck_assert_double_eq_tol((double)e->sci[i], want, 3e-7 * (fabs(want) + 1));
            /* poisson 0.25 of the background, and 0.25 of the imprint taken off it */
            ck_assert_double_eq_tol((double)e->var_poisson[i],
                                    (double)before->var_poisson[i] + 0.5, 1e-6);
        }
    }
    exposure_free(before);
    exposure_free(e);
}
END_TEST

/* One command line may name the imprints of both detectors, and nods each other. */
START_TEST(test_job_members_that_are_not_meant_are_left_out)
{
    struct exposure *e = NULL;
    struct err err = {0};
    support_ok(
        exposure_read(support_path(top, tiny_name("", 3, "_rate.fits")), &e, &err),
        &err);
    strcpy(e->meta.detector, "NRS2");
    support_ok(header_set_string(&e->primary, "DETECTOR", "NRS2", NULL, &err), &err);
    support_ok(header_set_string(&e->primary, "GRATING", "G395H", NULL, &err), &err);
    support_write_rate(support_path(top, "other_nrs2_rate.fits"), e);
    exposure_free(e);
    char own[400];
    snprintf(own, sizeof own, "%s", tiny_name("", 2, "_rate.fits"));
    programs_run(top, RUN "--imprint %s --imprint other_nrs2_rate.fits --imprint %s %s",
                 own, tiny_name("", 3, "_rate.fits"), own);
    e = product(2, "imprint_subtract");
    ck_assert_str_eq(text_of(e, "IMPRHOW"), "sole");
    ck_assert_str_eq(text_of(e, "IMPRFILE"), tiny_name("", 3, "_rate.fits"));
    exposure_free(e);
    /* another file of the same name is not the exposure itself */
    programs_run(top,
                 "mkdir other && cp %s other/%s && ! $B/ifurun spec2 --references refs "
                 "--output out --background other/%s %s 2>said && "
                 "grep -q 'given as input and as background' said",
                 tiny_name("", 3, "_rate.fits"), own, own, own);
}
END_TEST

/* What badpix_selfcal finds is bad in the backgrounds, too, when they are taken off. */
START_TEST(test_job_members_bad_pixels_are_those_of_the_backgrounds)
{
    programs_run(top,
                 "$B/ifurun spec2 --references refs --output out --threads 1 "
                 "--stop-after bkg_subtract --save badpix_selfcal "
                 "--set badpix_selfcal.skip=false "
                 "--set badpix_selfcal.flagfrac_upper=0.05 "
                 "--set bkg_subtract.save_combined_background=true --background %s %s",
                 tiny_name("", 4, "_rate.fits"), tiny_name("", 1, "_rate.fits"));
    struct exposure *flagged = product(1, "badpix_selfcal"),
                    *background = product(1, "combinedbackground");
    size_t n = 0;
    ck_assert_str_eq(text_of(flagged, "S_BPXSLF"), "COMPLETE");
    for (size_t i = 0; i < exposure_pixels(flagged); i++) {
        bool bad = flagged->dq[i] & DQ_OTHER_BAD_PIXEL;
        ck_assert(!bad || background->dq[i] & DQ_DO_NOT_USE);
        ck_assert(bad || !(background->dq[i] & DQ_DO_NOT_USE)); /* had no flags */
        n += bad;
    }
    ck_assert_uint_gt(n, 5);
    exposure_free(flagged);
    exposure_free(background);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("job_members");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_job_members_bad_pixels_are_those_of_the_backgrounds);
    tcase_add_test(t, test_job_members_imprint_is_taken_off);
    tcase_add_test(t, test_job_members_stand_in_provenance_and_manifest);
    tcase_add_test(t, test_job_members_background_is_cleaned_alike);
    tcase_add_test(t, test_job_members_that_are_not_meant_are_left_out);
    suite_add_tcase(s, t);
    return support_run(s);
}
