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

/* The mask, the background and the noise (in the peer's sense: what was added) are
 * products; the cleaned exposure is the given one and the noise, to rounding. */
START_TEST(test_flicker_keeps_mask_background_and_noise)
{
    struct err err = {0};
    struct exposure *e = scene(0.01, 0), *given = scene(0.01, 0);
    e->sci[70 * NX + 5] = given->sci[70 * NX + 5] = NAN;
    int used = 0;
    const char *params = "mask_science_regions=true;n_sigma=6;save_mask=true;"
                         "save_background=true;save_noise=true";
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise, params, 2, e, &err),
               &err);
    const struct exposure *mask = stage_kit_kept(&kit, "mask"),
                          *background = stage_kit_kept(&kit, "flicker_bkg"),
                          *noise = stage_kit_kept(&kit, "flicker_noise");
    for (int i = 0; i < NX * NY; i++) {
        const bool in_slice = e->regions[i];
        if (isnan(given->sci[i])) {
            ck_assert(mask->sci[i] == 0 && isnan(noise->sci[i]) && isnan(e->sci[i]));
            continue;
        }
        ck_assert(!in_slice || mask->sci[i] == 0);
        used += mask->sci[i] == 1;
        ck_assert_double_eq_tol((double)background->sci[i], 0.1, 0.01);
        ck_assert_double_eq_tol((double)e->sci[i],
                                (double)(given->sci[i] + noise->sci[i]), 1e-6);
    }
    /* outside the slice, but for the lowest stripes */
    ck_assert_int_ge(used, NX * (NY - 20) * 85 / 100);
    ck_assert_str_eq(e->meta.bunit, noise->meta.bunit);
    ck_assert_uint_eq(kit.n_kept, 3);
    exposure_free(e);
    exposure_free(given);
}
END_TEST

/* A background that rises by 1 from left to right and from bottom to top is taken off and
 * put back; a level alone would leave the columns' medians, and the slope, to the noise. */
START_TEST(test_flicker_model_spares_a_slope)
{
    struct err err = {0};
    double worst[2];
    const char *params[2] = {
        "background_method=model;n_sigma=0;background_box_size=32,4",
        "background_method=median;n_sigma=0"};
    for (int k = 0; k < 2; k++) {
        struct exposure *e = scene(0, 0);
        worst[k] = 0;
        for (int i = 0; i < NX * NY; i++) {
            e->sci[i] = (float)(0.1 + (double)(i % NX) / NX + (double)i / NX / NY);
        }
        struct exposure *given = scene(0, 0);
        memcpy(given->sci, e->sci, NX * NY * sizeof *e->sci);
        support_ok(
            stage_kit_run(&kit, &stage_clean_flicker_noise, params[k], 1, e, &err),
            &err);
        for (int i = 0; i < NX * NY; i++) {
            worst[k] = fmax(worst[k], fabs((double)(e->sci[i] - given->sci[i])));
        }
        exposure_free(e);
        exposure_free(given);
    }
    ck_assert_double_lt(worst[0], 0.1); /* the filter bends the outermost 1.5 boxes */
    ck_assert_double_gt(worst[1], 0.45);
}
END_TEST

/* No box is nine tenths background: the level is taken off instead, and it is said. */
START_TEST(test_flicker_model_falls_back_to_the_level)
{
    char path[400], params[600];
    struct err err = {0};
    struct exposure *m = support_exposure(NX, NY, 1, 1, "NRS1", "F290LP", "G395H");
    for (int i = 0; i < NX * NY; i++) {
        m->sci[i] = (float)(i / NX % 2);
    }
    snprintf(path, sizeof path, "%.300s/stripes.fits", kit.folder);
    support_write_rate(path, m);
    exposure_free(m);
    float *first = NULL;
    for (int k = 0; k < 2; k++) {
        struct exposure *e = scene(0.01, 0);
        snprintf(params, sizeof params, "user_mask=%s;background_method=%s", path,
                 k ? "median" : "model");
        support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise, params, 1, e, &err),
                   &err);
        ck_assert_int_eq(strstr(kit.said, "32 x 32") != NULL, !k);
        if (k) {
            ck_assert_mem_eq(first, e->sci, NX * NY * sizeof *first);
        } else {
            first = malloc(NX * NY * sizeof *first);
            ck_assert_ptr_nonnull(first);
            memcpy(first, e->sci, NX * NY * sizeof *first);
        }
        exposure_free(e);
    }
    free(first);
}
END_TEST

START_TEST(test_flicker_box_size_is_two_whole_numbers)
{
    static const char *const wrong[] = {"32", "32,32,32", "16.5,32"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err err = {0};
        char params[100];
        struct exposure *e = scene(0, 0);
        snprintf(params, sizeof params,
                 "background_method=model;background_box_size=%s", wrong[i]);
        ck_assert_int_eq(
            stage_kit_run(&kit, &stage_clean_flicker_noise, params, 1, e, &err),
            ERR_PARAM);
        ck_assert_ptr_nonnull(strstr(err.message, "two whole numbers"));
        exposure_free(e);
    }
}
END_TEST

/* A Gaussian in a histogram of pixels knows center and sigma as well as the clipped
 * statistics do where there is nothing but noise. */
START_TEST(test_flicker_histogram)
{
    double left = clean("fit_histogram=true;n_sigma=6", 0.01, 0, 1);
    ck_assert_double_eq_tol(left, 0.001, 3e-5);
}
END_TEST

static void expect_untouched(const char *params, struct exposure *e, const char *why)
{
    struct err err = {0};
    const char *card = NULL;
    const size_t bytes = exposure_pixels(e) * sizeof *e->sci;
    float *before = malloc(bytes);
    ck_assert_ptr_nonnull(before);
    memcpy(before, e->sci, bytes);
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise, params, 1, e, &err),
               &err);
    ck_assert_mem_eq(before, e->sci, bytes);
    ck_assert(kit.skipped);
    ck_assert_int_eq(kit.n_warnings, 1);
    ck_assert_ptr_nonnull(strstr(kit.said, why));
    ck_assert(header_get_string(&e->primary, "CFN_LEFT", &card));
    ck_assert_ptr_nonnull(strstr(card, why));
    free(before);
    exposure_free(e);
}

/* What cannot be cleaned stays as it is, and log, header and status say why. */
START_TEST(test_flicker_leaves_as_it_is)
{
    expect_untouched("background_method=median_image", scene(0.01, 0),
                     "several integrations");
    struct exposure *e = scene(0.01, 0);
    memset(e->regions, 1, NX * NY);
    expect_untouched("mask_science_regions=true", e, "no background pixel");
    expect_untouched("mask_science_regions=true;fit_method=fft;background_method=none",
                     (e = scene(0.01, 0), memset(e->regions, 1, NX * NY), e),
                     "no background pixel");
}
END_TEST

/* A column without background stays as it is; the others do not. */
START_TEST(test_flicker_column_without_background)
{
    struct err err = {0};
    struct exposure *e = scene(0.01, 0), *given = scene(0.01, 0);
    long columns = 0;
    for (int y = 0; y < NY; y++) {
        e->regions[y * NX + 20] = 1;
    }
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise,
                             "mask_science_regions=true;n_sigma=6", 1, e, &err),
               &err);
    for (int y = 0; y < NY; y++) {
        const int i = y * NX + 20;
        ck_assert_double_eq((double)e->sci[i], (double)given->sci[i]);
        ck_assert(e->sci[i + 1] != given->sci[i + 1]);
    }
    ck_assert(header_get_int(&e->primary, "CFN_NOBG", &columns));
    ck_assert_int_eq(columns, 1);
    ck_assert_ptr_nonnull(strstr(kit.said, "1 of 64 columns"));
    ck_assert(!kit.skipped);
    exposure_free(e);
    exposure_free(given);
}
END_TEST

/* Parameters that mean nothing for this exposure: said, and the result is that without. */
START_TEST(test_flicker_autoparam_and_channels_of_a_window)
{
    const char *params[] = {"n_sigma=6", "n_sigma=6;autoparam=true",
                            "n_sigma=6;fit_by_channel=true",
                            "n_sigma=6;single_mask=false"};
    const int warnings[] = {0, 1, 1, 0};
    for (int k = 0; k < 4; k++) {
        const double left = clean(params[k], 0.01, 0, 1);
        ck_assert_int_eq(kit.n_warnings, warnings[k]);
        ck_assert_double_eq(left, clean(params[0], 0.01, 0, 1));
    }
}
END_TEST

START_TEST(test_flicker_user_mask_that_is_no_image)
{
    struct err err = {0};
    struct exposure *e = scene(0, 0);
    char path[400], params[500];
    snprintf(path, sizeof path, "%.300s/mask.txt", kit.folder);
    support_write_file(path, "1 1 1\n", 6);
    snprintf(params, sizeof params, "user_mask=%s", path);
    ck_assert_int_eq(
        stage_kit_run(&kit, &stage_clean_flicker_noise, params, 1, e, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "user_mask"));
    ck_assert_ptr_nonnull(strstr(err.message, "mask.txt"));
    exposure_free(e);
}
END_TEST

static float flat_of(int x, int y)
{
    return 1 + 0.5F * (float)sin(x * 0.7) * (float)sin(y * 0.01);
}

static void fill_flat(struct fits_out *f, const void *arg)
{
    static float values[2048 * 2048];
    struct err err = {0};
    const size_t axes[2] = {2048, 2048};
    for (int i = 0; i < 2048 * 2048; i++) {
        values[i] = flat_of(i % 2048, i / 2048);
    }
    values[130 * 2048 + 30] = NAN; /* gaps do no harm */
    values[131 * 2048 + 31] = 0;
    (void)arg;
    support_ok(fits_out_image(f, "SCI", NULL, FITS_FLOAT, 2, axes, values, &err), &err);
}

/* Stripes under a flat of 0.5 to 1.5: the fit divides by it and multiplies again, so that
 * the noise is taken off as where it is 1. Without the flat, the background's structure
 * goes into the columns' medians. */
START_TEST(test_flicker_flat_is_applied_and_restored)
{
    double left[2];
    struct err err = {0};
    stage_kit_write(support_path(kit.folder, "flat.fits"), fill_flat, NULL);
    for (int k = 0; k < 2; k++) {
        struct exposure *e = scene(0.01, 0);
        for (int i = 0; i < NX * NY; i++) {
            e->sci[i] *= flat_of(i % NX, i / NX);
        }
        const char *params = k ? "mask_science_regions=true;n_sigma=0"
                               : "mask_science_regions=true;n_sigma=0;"
                                 "apply_flat_field=true";
        support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise, params, 1, e, &err),
                   &err);
        ck_assert_str_eq(kit.used, k ? "" : "flat ");
        for (int i = 0; i < NX * NY; i++) {
            e->sci[i] /= flat_of(i % NX, i / NX);
        }
        left[k] = left_over(e, 5.1);
        exposure_free(e);
    }
    ck_assert_double_eq_tol(left[0], 0.001, 3e-5);
    ck_assert_double_gt(left[1], 0.003);
}
END_TEST

/* NSClean of a full frame: a wave along the readout, taken out of the slice. */
START_TEST(test_flicker_fft_of_a_full_frame)
{
    enum { FRAME = 2048 };
    struct err err = {0};
    struct rng rng;
    rng_init(&rng, 5, 0);
    struct exposure *e =
        support_exposure(FRAME, FRAME, 1, 1, "NRS2", "F290LP", "G395H");
    e->regions = mem_calloc((size_t)FRAME * FRAME, 1, NULL);
    for (int i = 0; i < FRAME * FRAME; i++) {
        const int y = i / FRAME;
        e->regions[i] = y >= 700 && y < 730;
        e->sci[i] =
            (float)(0.001 * rng_normal(&rng) + 0.01 * sin(2 * M_PI * 3 * y / FRAME));
        e->sci[i] += e->regions[i] ? 5.0F : 0;
    }
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise,
                             "mask_science_regions=true;fit_method=fft;n_sigma=0", 2, e,
                             &err),
               &err);
    double squares = 0;
    for (int y = 700; y < 730; y++) {
        for (int x = 20; x < FRAME - 20; x++) {
            const double v = (double)e->sci[y * FRAME + x] - 5;
            squares += v * v / (30.0 * (FRAME - 40));
        }
    }
    /* Of the wave's rms, 0.007. Fitted are positive frequencies alone, as in the peer, so
     * that gaps (also the rows of the fixed slits) leave something of a wave. */
    ck_assert_double_lt(sqrt(squares), 0.0018);
    exposure_free(e);
}
END_TEST

/* A window of short lines: noise slower than a line is followed over several of them, and
 * lines among which hardly a pixel is background stay as they are, which is said. */
START_TEST(test_flicker_fft_of_short_lines)
{
    enum { LONG = 400, SHORT = 64 };
    struct err err = {0};
    struct rng rng;
    rng_init(&rng, 6, 0);
    struct exposure *e =
        support_exposure(LONG, SHORT, 701, 301, "NRS1", "F290LP", "G395H");
    e->regions = mem_calloc((size_t)LONG * SHORT, 1, NULL);
    for (int x = 0; x < LONG; x++) {
        for (int y = 0; y < SHORT; y++) {
            const int i = y * LONG + x;
            const double seconds = (x * (SHORT + 12) + y) * 10e-6;
            /* 300 Hz: a wave of four lines */
            e->sci[i] = (float)(0.001 * rng_normal(&rng) +
                                0.01 * sin(2 * M_PI * 300 * seconds));
            e->regions[i] = (y >= 20 && y < 40) || (x >= 150 && x < 350 && y > 0);
            e->sci[i] += e->regions[i] ? 5.0F : 0;
        }
    }
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise,
                             "mask_science_regions=true;fit_method=fft;n_sigma=0;"
                             "background_method=none",
                             2, e, &err),
               &err);
    double squares = 0, sparse = 0;
    for (int y = 20; y < 40; y++) {
        for (int x = 20; x < 130; x++) {
            const double v = (double)e->sci[y * LONG + x] - 5;
            squares += v * v / (20.0 * 110);
        }
        for (int x = 240; x < 260; x++) {
            const double v = (double)e->sci[y * LONG + x] - 5;
            sparse += v * v / (20.0 * 20);
        }
    }
    /* 25 vectors for some 500 pixels, less certain in the gap: a few tenths of the white
     * noise's variance come on top */
    ck_assert_double_lt(sqrt(squares), 0.0014);
    ck_assert_double_gt(sqrt(sparse), 0.005);
    ck_assert_ptr_nonnull(strstr(kit.said, "one pixel in twenty"));
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
    tcase_add_test(t, test_flicker_keeps_mask_background_and_noise);
    tcase_add_test(t, test_flicker_model_spares_a_slope);
    tcase_add_test(t, test_flicker_model_falls_back_to_the_level);
    tcase_add_test(t, test_flicker_box_size_is_two_whole_numbers);
    tcase_add_test(t, test_flicker_histogram);
    tcase_add_test(t, test_flicker_leaves_as_it_is);
    tcase_add_test(t, test_flicker_column_without_background);
    tcase_add_test(t, test_flicker_autoparam_and_channels_of_a_window);
    tcase_add_test(t, test_flicker_user_mask_that_is_no_image);
    tcase_add_test(t, test_flicker_flat_is_applied_and_restored);
    tcase_add_test(t, test_flicker_fft_of_a_full_frame);
    tcase_add_test(t, test_flicker_fft_of_short_lines);
    suite_add_tcase(s, t);
    return support_run(s);
}
