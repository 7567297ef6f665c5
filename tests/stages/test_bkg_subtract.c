#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "stages/background_average.h"
#include "stages/background_record.h"
#include "tests/stages/background_kit.h"
#include "tests/stages/stage_kit.h"

enum { NX = 6, NY = 40, N = NX * NY };

static struct stage_kit kit;
static struct background_kit backgrounds;
static struct exposure *e;

/* Science of 1 + x / 100 + y / 1000 (support_exposure) and n backgrounds, all of 0.25. */
static void begin(size_t n)
{
    stage_kit_init(&kit);
    background_kit_init(&backgrounds, n, NX, NY);
    kit.backgrounds = &backgrounds.source;
    e = support_exposure(NX, NY, 1, 1, "NRS1", "F290LP", "G395H");
}

static void end(void)
{
    exposure_free(e);
    background_kit_done(&backgrounds);
    stage_kit_done(&kit);
}

static int run(const char *params, int threads, struct err *err)
{
    return stage_kit_run(&kit, &stage_bkg_subtract, params, threads, e, err);
}

static void run_well(const char *params)
{
    struct err err = {0};
    support_ok(run(params, 1, &err), &err);
}

static double science(int i)
{
    return (double)(float)(1 + (i % NX) / 100.0 + (i / NX) / 1000.0);
}

/* astropy 8.0 sigma_clip of these twelve values: clipped mean by sigma and maxiters. */
START_TEST(test_bkg_clip_is_that_of_astropy)
{
    static const double values[12] = {1.0,   1.25,  0.75, 1.5, 0.5, 1.0,
                                      1.125, 0.875, 1.0,  1.0, 9.0, 3.0};
    static const struct {
        double sigma;
        long rounds;
        int kept;
        double mean;
    } expected[] = {{3, 1, 11, 1.1818181818181819},
                    {3, 2, 10, 1},
                    {3, 0, 10, 1},
                    {1.5, 1, 11, 1.1818181818181819},
                    {1.5, 2, 10, 1},
                    {1.5, 0, 4, 1},
                    {1, 0, 4, 1}};
    for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
        double sorted[12], low, high, sum = 0;
        int kept = 0;
        memcpy(sorted, values, sizeof values);
        background_clip(sorted, 12, expected[k].sigma, expected[k].rounds, &low, &high);
        for (int i = 0; i < 12; i++) {
            if (values[i] >= low && values[i] <= high) {
                sum += values[i];
                kept++;
            }
        }
        ck_assert_int_eq(kept, expected[k].kept);
        ck_assert_double_eq_tol(sum / kept, expected[k].mean, 1e-15); /* rounding */
    }
}
END_TEST

/* A mean of three, one of them NaN in a pixel; each variance is that of a mean. */
START_TEST(test_bkg_mean_and_variances)
{
    begin(3);
    for (size_t k = 0; k < 3; k++) {
        backgrounds.exposures[k]->sci[7] = 0.1F * (float)(k + 1);
    }
    backgrounds.exposures[1]->sci[8] = NAN;
    backgrounds.exposures[1]->dq[8] = DQ_DO_NOT_USE;
    backgrounds.exposures[2]->dq[9] = DQ_HOT;
    run_well("");
    /* single precision: 6e-8 of 1 */
    ck_assert_double_eq_tol((double)e->sci[7], science(7) - 0.2, 2e-7);
    ck_assert_double_eq_tol((double)e->sci[8], science(8) - 0.25, 2e-7);
    ck_assert_uint_eq(e->dq[7], 0);
    ck_assert_uint_eq(e->dq[8], DQ_DO_NOT_USE);
    ck_assert_uint_eq(e->dq[9], DQ_HOT);
    /* support_exposure: variances 0.005, ERR 0.1; backgrounds 0.003 and 0.006 */
    ck_assert_double_eq_tol((double)e->var_poisson[7], 0.005 + 0.003 / 3, 1e-9);
    ck_assert_double_eq_tol((double)e->var_rnoise[7], 0.005 + 0.006 / 3, 1e-9);
    ck_assert_double_eq_tol((double)e->var_rnoise[8], 0.005 + 0.006 / 2, 1e-9);
    ck_assert_double_eq_tol((double)e->var_background[7], 0.009 / 3, 1e-9);
    ck_assert_double_eq_tol((double)e->err[7], sqrt(0.01 + 0.009 / 3), 1e-8);
    long n = 0;
    ck_assert(header_get_int(&e->primary, "BKGNEXP", &n) && n == 3);
    ck_assert_str_eq(background_recorded(&e->primary), "bkg0,bkg1,bkg2");
    end();
}
END_TEST

/* Twelve exposures: what sticks out of one is clipped, unless sigma is large. */
START_TEST(test_bkg_clips_outliers)
{
    begin(12);
    for (int k = 0; k < 12; k++) { /* 0.25 +- 0.01 */
        backgrounds.exposures[k]->sci[5] = k % 2 ? 0.24F : 0.26F;
    }
    backgrounds.exposures[4]->sci[5] = 50;
    run_well("save_combined_background=true");
    double mean = (5 * 0.26 + 6 * 0.24) / 11;
    ck_assert_double_eq_tol((double)e->sci[5], science(5) - mean, 2e-7);
    ck_assert_double_eq_tol((double)e->var_rnoise[5], 0.005 + 0.006 / 11, 1e-9);
    const struct exposure *b = stage_kit_kept(&kit, "combinedbackground");
    ck_assert_double_eq_tol((double)b->sci[5], mean, 1e-7);
    ck_assert_double_eq_tol((double)b->err[5], sqrt(0.009 / 11), 1e-8);
    ck_assert_double_eq_tol((double)b->var_poisson[0], 0.003 / 12, 1e-9);
    end();
    begin(12);
    backgrounds.exposures[4]->sci[5] = 50;
    run_well("sigma=100");
    ck_assert_double_eq_tol((double)e->sci[5], science(5) - (50 + 11 * 0.25) / 12,
                            2e-6);
    end();
}
END_TEST

START_TEST(test_bkg_errors_as_the_peer)
{
    begin(2);
    run_well("propagate_errors=false");
    ck_assert_double_eq_tol((double)e->sci[3], science(3) - 0.25, 2e-7);
    ck_assert(e->err[3] == 0.1F && e->var_poisson[3] == 0.005F);
    ck_assert_ptr_null(e->var_background);
    end();
}
END_TEST

/* No background has a value: the pixel stays and is flagged; all NaN: so does each. */
START_TEST(test_bkg_without_values)
{
    begin(2);
    for (int i = 0; i < N; i++) {
        backgrounds.exposures[0]->sci[i] = backgrounds.exposures[1]->sci[i] = NAN;
    }
    run_well("");
    for (int i = 0; i < N; i++) {
        ck_assert_double_eq_tol((double)e->sci[i], science(i), 2e-7);
        ck_assert_uint_eq(e->dq[i], DQ_DO_NOT_USE);
    }
    end();
}
END_TEST

START_TEST(test_bkg_other_tilt_is_not_subtracted)
{
    for (int k = 0; k < 3; k++) {
        begin(2);
        double *tilt[] = {&backgrounds.exposures[1]->meta.gwa_xtilt,
                          &backgrounds.exposures[1]->meta.gwa_ytilt,
                          &backgrounds.exposures[1]->meta.gwa_xtilt};
        *tilt[k] += k < 2 ? 1.1e-8 : 0.9e-8; /* the peer's tolerance: 1e-8 */
        run_well("");
        ck_assert_int_eq(kit.skipped, k < 2);
        double off = k < 2 ? 0 : 0.25;
        ck_assert_double_eq_tol((double)e->sci[3], science(3) - off, 2e-7);
        end();
    }
}
END_TEST

START_TEST(test_bkg_none_given)
{
    begin(1);
    kit.backgrounds = NULL;
    run_well("");
    ck_assert(kit.skipped);
    ck_assert_double_eq_tol((double)e->sci[3], science(3), 2e-7);
    end();
}
END_TEST

static void refused(const char *keyword, const char *value)
{
    struct err err = {0};
    ck_assert_int_eq(run("", 1, &err), ERR_INPUT);
    ck_assert_msg(strstr(err.message, "bkg1_rate.fits") &&
                      strstr(err.message, keyword) && strstr(err.message, value),
                  "%s", err.message);
    ck_assert_double_eq_tol((double)e->sci[3], science(3), 2e-7);
    end();
}

START_TEST(test_bkg_refuses_others)
{
    begin(2);
    strcpy(backgrounds.exposures[1]->meta.grating, "G235H");
    refused("GRATING", "G235H");
    begin(2);
    strcpy(backgrounds.exposures[1]->meta.filter, "F170LP");
    refused("FILTER", "F170LP");
    begin(2);
    strcpy(backgrounds.exposures[1]->meta.detector, "NRS2");
    refused("DETECTOR", "NRS2");
    begin(2);
    strcpy(backgrounds.exposures[1]->meta.bunit, "MJy/sr");
    refused("BUNIT", "MJy/sr");
    begin(2);
    backgrounds.exposures[1]->meta.substrt2 = 17;
    refused("SUBSTRT2", "17");
    begin(2);
    exposure_free(backgrounds.exposures[1]);
    backgrounds.exposures[1] = background_kit_exposure(1, NX, NY / 2);
    refused("SUBSIZE2", "20");
}
END_TEST

START_TEST(test_bkg_any_number_of_threads)
{
    begin(9);
    for (int i = 0; i < 9 * N; i++) {
        backgrounds.exposures[i / N]->sci[i % N] += (float)sin(i) + (i % 83 ? 0 : 40);
    }
    run_well("");
    struct exposure *first = e;
    e = support_exposure(NX, NY, 1, 1, "NRS1", "F290LP", "G395H");
    struct err err = {0};
    support_ok(run("", 3, &err), &err);
    ck_assert(!memcmp(e->sci, first->sci, N * sizeof *e->sci));
    ck_assert(!memcmp(e->err, first->err, N * sizeof *e->err));
    exposure_free(first);
    end();
}
END_TEST

/* An exposure that cannot be opened fails the stage; at most one is ever open. */
START_TEST(test_bkg_that_cannot_be_opened)
{
    struct err err = {0};
    begin(3);
    backgrounds.fail_at = 2;
    ck_assert_int_eq(run("", 1, &err), ERR_IO);
    ck_assert_int_eq(backgrounds.open, 0);
    ck_assert_int_eq(backgrounds.most_open, 1);
    end();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bkg_subtract");
    TCase *t = tcase_create("bkg_subtract");
    tcase_add_test(t, test_bkg_clip_is_that_of_astropy);
    tcase_add_test(t, test_bkg_mean_and_variances);
    tcase_add_test(t, test_bkg_clips_outliers);
    tcase_add_test(t, test_bkg_errors_as_the_peer);
    tcase_add_test(t, test_bkg_without_values);
    tcase_add_test(t, test_bkg_other_tilt_is_not_subtracted);
    tcase_add_test(t, test_bkg_none_given);
    tcase_add_test(t, test_bkg_refuses_others);
    tcase_add_test(t, test_bkg_any_number_of_threads);
    tcase_add_test(t, test_bkg_that_cannot_be_opened);
    suite_add_tcase(s, t);
    return support_run(s);
}
