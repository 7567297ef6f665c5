#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/math/rng.h"
#include "stages/flicker_quality.h"
#include "tests/stages/stage_kit.h"

/* 512 columns of 1024 rows. */
enum { NX = 512, NY = 1024, N = NX * NY };

static struct stage_kit kit;
static float image[N], model[N];
static uint8_t mask[N], held[N];
static const struct stage_env env;

static void setup(void)
{
    stage_kit_init(&kit);
}

static void teardown(void)
{
    stage_kit_done(&kit);
}

/* White noise, a level of each column, and a wave of each column (cycles per column). */
static void make(double white, double level, double wave, double cycles)
{
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (int x = 0; x < NX; x++) {
        const double l = level * rng_normal(&rng), phase = 2 * M_PI * rng_uniform(&rng);
        for (int y = 0; y < NY; y++) {
            const int i = y * NX + x;
            model[i] =
                (float)(l + wave * M_SQRT2 * sin(2 * M_PI * cycles * y / NY + phase));
            image[i] = model[i] + (float)(white * rng_normal(&rng));
            mask[i] = y % 50 < 25; /* slices are not background */
        }
    }
}

static struct flicker_quality measure(double share)
{
    struct err err = {0};
    struct flicker f = {
        .nx = NX, .ny = NY, .image = image, .noise = model, .mask = mask};
    struct flicker_quality q;
    flicker_hold_out(&f, share, held);
    support_ok(flicker_quality_measure(&env, &f, held, &q, &err), &err);
    return q;
}

/* 5 % of 262,144 pixels, within 4 standard deviations (112 each), and gone from the
 * mask; the same each time. */
START_TEST(test_flicker_quality_holds_out)
{
    make(1, 0, 0, 0);
    struct flicker f = {
        .nx = NX, .ny = NY, .image = image, .noise = model, .mask = mask};
    const double background = 25.0 / 50 * NY * NX;
    size_t n = flicker_hold_out(&f, 0.05, held);
    ck_assert_double_eq_tol((double)n, 0.05 * background, 0.05 * background * 0.05);
    for (int i = 0; i < N; i++) {
        ck_assert(!(held[i] && mask[i]));
        ck_assert(!held[i] || i / NX % 50 < 25);
    }
    make(1, 0, 0, 0);
    uint8_t *again = mem_alloc(N, 1, NULL);
    ck_assert_uint_eq(flicker_hold_out(&f, 0.05, again), n);
    ck_assert_mem_eq(again, held, N);
    free(again);
}
END_TEST

/*
 * White noise of variance 1; levels of columns of variance 1 below 100 Hz; or a wave of
 * variance 1, 15 cycles of 10 us * 1024: 1.46 kHz. A tenth of the pixels is held out: 320,000
 * pairs, so that bands are known to a few hundredths (see the header); 0.05 is allowed,
 * and 0.1 for the widest, whose error is four times that of the next.
 */
static void check_bands(const struct flicker_quality *q, const double *before)
{
    static const double tolerance[FLICKER_BANDS] = {0.05, 0.05, 0.06, 0.15};
    static const double white[FLICKER_BANDS] = {0.002, 0.018, 0.18, 0.8};
    double sum = 0;
    for (int b = 0; b < FLICKER_BANDS; b++) {
        ck_assert_double_eq_tol(q->band_before[b], before[b], 2 * tolerance[b]);
        ck_assert_double_eq_tol(q->band_after[b], white[b], tolerance[b]);
        sum += q->band_before[b];
    }
    ck_assert_double_eq_tol(sum, q->before, 1e-6);
    ck_assert_double_eq_tol(q->after, 1, 0.03); /* 4 sigma of 26,000 pixels */
}

START_TEST(test_flicker_quality_bands)
{
    make(1, 0, 0, 0);
    struct flicker_quality q = measure(0.1);
    check_bands(&q, (double[]){0.002, 0.018, 0.18, 0.8});
    make(1, 1, 0, 0);
    q = measure(0.1);
    check_bands(&q, (double[]){1.002, 0.018, 0.18, 0.8});
    make(1, 0, 1, 15);
    q = measure(0.1);
    check_bands(&q, (double[]){0.002, 0.018, 1.18, 0.8});
}
END_TEST

/* A model that follows each pixel of the fit, and so gives a pixel held out the noise of
 * its neighbours: the power rises by that of the model, a third of the variance. */
START_TEST(test_flicker_quality_shows_overfitting)
{
    make(1, 0, 0, 0);
    struct err err = {0};
    struct flicker f = {
        .nx = NX, .ny = NY, .image = image, .noise = model, .mask = mask};
    struct flicker_quality q;
    flicker_hold_out(&f, 0.05, held);
    for (int i = NX; i < N - NX; i++) {
        double sum = 0, n = 0;
        for (int k = i - NX; k <= i + NX; k += NX) {
            sum += mask[k] ? (double)image[k] : 0;
            n += mask[k];
        }
        model[i] = n > 0 ? (float)(sum / n) : 0;
    }
    support_ok(flicker_quality_measure(&env, &f, held, &q, &err), &err);
    ck_assert_double_gt(q.after, 1.4 * q.before);
    ck_assert_int_eq(flicker_guard_noise(&q), FLICKER_NO_GAIN);
}
END_TEST

/* Cosmic rays of 50 sigma on a thousandth of the pixels are not measured as noise. */
START_TEST(test_flicker_quality_leaves_outliers_out)
{
    make(1, 0, 0, 0);
    for (int i = 0; i < N; i += 1009) {
        image[i] += 50;
    }
    ck_assert_double_eq_tol(measure(0.1).before, 1, 0.03);
}
END_TEST

/* ---- the stage ---- */

static struct exposure *rate(void)
{
    struct exposure *e = support_exposure(NX, NY, 1, 1, "NRS1", "F290LP", "G395H");
    e->regions = mem_calloc(N, 1, NULL);
    for (int i = 0; i < N; i++) {
        e->sci[i] = image[i];
        e->regions[i] = i / NX % 50 >= 25;
    }
    return e;
}

#define TEXT(verdict) flicker_verdict_text(verdict)
#define GUARD "mask_science_regions=true;n_sigma=4;hold_out=0.05;guard=true"

static const char *verdict(struct exposure *e, const char *params, bool *ret_same)
{
    static char word[80];
    struct err err = {0};
    const char *text;
    float *before = mem_alloc(N, sizeof *before, &err);
    memcpy(before, e->sci, N * sizeof *before);
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise, params, 2, e, &err),
               &err);
    const bool left = header_get_string(&e->primary, "CFN_LEFT", &text);
    snprintf(word, sizeof word, "%s", left ? text : "cleaned");
    ck_assert(!left || strstr(kit.said, text));
    *ret_same = !memcmp(before, e->sci, N * sizeof *before);
    ck_assert(*ret_same == kit.skipped);
    free(before);
    exposure_free(e);
    return word;
}

/* Levels of the columns are taken out, and the header tells the noise: 0.0113 before
 * (0.008 white and 0.008 of the columns), 0.008 after. */
START_TEST(test_flicker_quality_header)
{
    struct err err = {0};
    double before, after, low_before, low_after;
    make(0.008, 0.008, 0, 0);
    struct exposure *e = rate();
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise, GUARD, 2, e, &err),
               &err);
    ck_assert(!kit.skipped);
    ck_assert(header_get_real(&e->primary, "CFN_BEF", &before));
    ck_assert(header_get_real(&e->primary, "CFN_AFT", &after));
    ck_assert(header_get_real(&e->primary, "CFN_BEF1", &low_before));
    ck_assert(header_get_real(&e->primary, "CFN_AFT1", &low_after));
    /* 512 columns know the variance of their levels to 6 %; clipping takes a little */
    ck_assert_double_eq_tol(before, 2 * 0.008 * 0.008, 0.2 * 0.008 * 0.008);
    ck_assert_double_eq_tol(after, 0.008 * 0.008, 0.06 * 0.008 * 0.008);
    ck_assert_double_eq_tol(low_before, 0.008 * 0.008, 0.2 * 0.008 * 0.008);
    ck_assert_double_eq_tol(low_after, 0, 0.06 * 0.008 * 0.008);
    ck_assert_ptr_nonnull(strstr(kit.said, "held out"));
    exposure_free(e);
}
END_TEST

/* White noise alone: a fit can only add to it. Without the guard it does. */
START_TEST(test_flicker_guard_without_flicker)
{
    bool same;
    make(0.008, 0, 0, 0);
    ck_assert_str_eq(verdict(rate(), GUARD, &same), TEXT(FLICKER_NO_GAIN));
    ck_assert(same);
    ck_assert_ptr_nonnull(strstr(kit.said, "left as it is"));
    ck_assert_int_eq(kit.n_warnings, 1);
    struct err err = {0};
    struct exposure *e = rate();
    const char *off = "mask_science_regions=true;n_sigma=4;hold_out=0.05";
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise, off, 2, e, &err), &err);
    ck_assert(memcmp(e->sci, image, sizeof image));
    ck_assert(!kit.skipped);
    ck_assert_ptr_null(header_find(&e->primary, "CFN_LEFT"));
    ck_assert_ptr_nonnull(header_find(&e->primary, "CFN_AFT"));
    exposure_free(e);
}
END_TEST

/* Twenty rows of background are too few; with 1/f noise and the usual mask it cleans. */
START_TEST(test_flicker_guard_few_pixels)
{
    bool same;
    make(0.008, 0.008, 0, 0);
    ck_assert_str_eq(verdict(rate(), GUARD, &same), "cleaned");
    ck_assert(!same);
    struct exposure *e = rate();
    for (int i = 20 * NX; i < N; i++) {
        e->regions[i] = 1;
    }
    ck_assert_str_eq(verdict(e, GUARD, &same), TEXT(FLICKER_FEW));
    ck_assert(same);
}
END_TEST

/* Twenty rows in each output are enough for the column, but not for the output. */
START_TEST(test_flicker_guard_few_pixels_of_an_output)
{
    struct flicker f = {
        .nx = NX, .ny = NY, .image = image, .noise = model, .mask = mask};
    make(0.008, 0.008, 0, 0);
    for (int i = 0; i < N; i++) {
        mask[i] = i / NX % 512 < 20;
    }
    ck_assert_int_eq(flicker_guard_mask(&f, NY), FLICKER_CLEAN);
    ck_assert_int_eq(flicker_guard_mask(&f, 512), FLICKER_FEW);
}
END_TEST

/* Light that changes over hundreds of pixels, of 0.02 rms, over noise of 0.011. */
START_TEST(test_flicker_guard_scattered_light)
{
    bool same;
    make(0.008, 0.008, 0, 0);
    struct exposure *e = rate();
    for (int i = 0; i < N; i++) {
        e->sci[i] += (float)(0.04 * sin(i % NX / 100.0) * cos(i / NX / 150.0));
    }
    ck_assert_str_eq(
        verdict(e, "mask_science_regions=true;n_sigma=0;guard=true", &same),
        TEXT(FLICKER_LIGHT));
    ck_assert(same);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flicker_quality");
    TCase *t = tcase_create("flicker_quality");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_flicker_quality_holds_out);
    tcase_add_test(t, test_flicker_quality_bands);
    tcase_add_test(t, test_flicker_quality_shows_overfitting);
    tcase_add_test(t, test_flicker_quality_leaves_outliers_out);
    tcase_add_test(t, test_flicker_quality_header);
    tcase_add_test(t, test_flicker_guard_without_flicker);
    tcase_add_test(t, test_flicker_guard_few_pixels);
    tcase_add_test(t, test_flicker_guard_few_pixels_of_an_output);
    tcase_add_test(t, test_flicker_guard_scattered_light);
    suite_add_tcase(s, t);
    return support_run(s);
}
