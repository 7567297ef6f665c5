#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/math/rng.h"
#include "tests/stages/stage_kit.h"
#include "tests/support.h"

/*
 * A narrow detector: 64 columns of 2048 rows. Each column may have a level of its own, and
 * all of them a slow wave along the readout.
 */
enum { NX = 64, NY = 2048 };

static struct stage_kit kit;
static float truth[NX * NY]; /* what was added */

static void setup(void)
{
    stage_kit_init(&kit);
}

static void teardown(void)
{
    stage_kit_done(&kit);
}

/* Background 0.1, white noise 0.001, stripes, and a bright slice in rows 100..119. */
static struct exposure *scene(double stripe, double wave)
{
    struct rng rng;
    rng_init(&rng, 7, 0);
    struct exposure *e = support_exposure(NX, NY, 1, 1, "NRS1", "F290LP", "G395H");
    e->regions = mem_calloc(NX * NY, 1, NULL);
    for (int x = 0; x < NX; x++) {
        double level = stripe * rng_normal(&rng);
        for (int y = 0; y < NY; y++) {
            size_t i = (size_t)y * NX + (size_t)x;
            bool in_slice = y >= 100 && y < 120;
            truth[i] = (float)(level + wave * sin(2 * M_PI * 4 * y / NY));
            e->sci[i] = (float)(0.1 + 0.001 * rng_normal(&rng)) + truth[i];
            e->sci[i] += in_slice ? 5.0F : 0;
            e->regions[i] = in_slice;
        }
    }
    return e;
}

/* Rms round `expected` inside the slice. The smoothing of fft mixes the outermost columns
 * with the edge that is not fitted. */
static double left_over(const struct exposure *e, double expected)
{
    double squares = 0;
    int n = 0;
    for (int y = 100; y < 120; y++) {
        for (int x = 12; x < NX - 12; x++, n++) {
            double v = (double)e->sci[y * NX + x] - expected;
            squares += v * v;
        }
    }
    return sqrt(squares / n);
}

static double clean(const char *params, double stripe, double wave, int threads)
{
    struct err err = {0};
    struct exposure *e = scene(stripe, wave);
    support_ok(
        stage_kit_run(&kit, &stage_clean_flicker_noise, params, threads, e, &err),
        &err);
    bool fits_level = strstr(params, "background_method=none");
    double left = left_over(e, fits_level ? 5.0 : 5.1);
    exposure_free(e);
    return left;
}

/* Stripes of 0.01 under white noise of 0.001: the median of 1800 pixels knows a column's
 * level to 0.001 * 1.25 / sqrt(1800) = 3e-5, so that what is left is the white noise,
 * 0.001, which 800 pixels show within 3 %. */
START_TEST(test_flicker_median_takes_stripes_out_of_the_slices)
{
    double left = clean("mask_science_regions=true;n_sigma=6", 0.01, 0, 1);
    ck_assert_double_eq_tol(left, 0.001, 3e-5);
}
END_TEST

/* A slice that is not masked shifts no column: its pixels stand out. */
START_TEST(test_flicker_bright_pixels_are_clipped)
{
    ck_assert_double_eq_tol(clean("n_sigma=6", 0.01, 0, 1), 0.001, 3e-5);
}
END_TEST

/* A wave of 0.01 and 512 pixels along the readout, which no median sees: nine vectors of
 * 1800 pixels, smoothed over columns, leave the white noise within 3 %. Any number of
 * threads gives the same. */
START_TEST(test_flicker_fft_follows_a_wave)
{
    const char *params =
        "mask_science_regions=true;fit_method=fft;background_method=none";
    double left = clean(params, 0, 0.01, 1);
    ck_assert_double_eq_tol(left, 0.001, 3e-5);
    ck_assert_double_eq(clean(params, 0, 0.01, 3), left);
    ck_assert_double_gt(clean("mask_science_regions=true", 0, 0.01, 1), 0.008);
}
END_TEST

START_TEST(test_flicker_user_mask)
{
    char path[400];
    struct err err = {0};
    struct exposure *m = support_exposure(NX, NY, 1, 1, "NRS1", "F290LP", "G395H");
    for (int i = 0; i < NX * NY; i++) {
        m->sci[i] = i / NX >= 60 && i / NX < 70; /* ten rows only */
    }
    snprintf(path, sizeof path, "%.300s/mask.fits", kit.folder);
    support_write_rate(path, m);
    exposure_free(m);
    char params[500];
    snprintf(params, sizeof params, "user_mask=%s;background_method=none", path);
    /* ten pixels know the level to 0.001 * 1.25 / sqrt(10) = 4e-4 */
    double left = clean(params, 0.01, 0, 1);
    ck_assert_double_eq_tol(left, hypot(0.001, 4e-4), 1e-4);

    struct exposure *e = support_exposure(NX, NY / 2, 1, 1, "NRS1", "F290LP", "G395H");
    int code = stage_kit_run(&kit, &stage_clean_flicker_noise, params, 1, e, &err);
    ck_assert_int_eq(code, ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "mask.fits"));
    ck_assert_ptr_nonnull(strstr(err.message, "64 x 1024"));
    exposure_free(e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("clean_flicker_noise");
    TCase *t = tcase_create("clean_flicker_noise");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_flicker_median_takes_stripes_out_of_the_slices);
    tcase_add_test(t, test_flicker_bright_pixels_are_clipped);
    tcase_add_test(t, test_flicker_fft_follows_a_wave);
    tcase_add_test(t, test_flicker_user_mask);
    suite_add_tcase(s, t);
    return support_run(s);
}
