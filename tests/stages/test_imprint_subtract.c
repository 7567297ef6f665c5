#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/math/rng.h"
#include "stages/imprint.h"
#include "tests/stages/stage_kit.h"

static struct stage_kit kit;

static void setup(void)
{
    stage_kit_init(&kit);
}

static void teardown(void)
{
    stage_kit_done(&kit);
}

static void near(float is, float expected, float tolerance)
{
    ck_assert_double_eq_tol((double)is, (double)expected, (double)tolerance);
}

static void same(float is, float expected)
{
    ck_assert_double_eq((double)is, (double)expected);
}

/* ---- a source of imprints in memory ------------------------------------------------ */

static struct {
    struct exposure *e[4];
    int opened, closed, with_pixels;
} shelf;

static int shelf_open(void *user, size_t i, bool pixels, struct exposure **ret,
                      struct err *err)
{
    (void)user;
    (void)err;
    ck_assert_int_eq(shelf.opened, shelf.closed); /* one at a time */
    shelf.opened++;
    shelf.with_pixels += pixels;
    *ret = shelf.e[i];
    return 0;
}

static void shelf_close(void *user, size_t i, struct exposure *e)
{
    (void)user;
    ck_assert_ptr_eq(e, shelf.e[i]);
    shelf.closed++;
}

static struct exposure_source source;

/* Offer these to the stage; they are freed by forget(). */
static void offer(struct exposure *a, struct exposure *b, struct exposure *c)
{
    memset(&shelf, 0, sizeof shelf);
    shelf.e[0] = a;
    shelf.e[1] = b;
    shelf.e[2] = c;
    source = (struct exposure_source){.n = c   ? 3
                                           : b ? 2
                                               : 1,
                                      .open = shelf_open,
                                      .close = shelf_close};
    kit.imprints = &source;
}

static void forget(void)
{
    ck_assert_int_eq(shelf.opened, shelf.closed);
    for (size_t i = 0; i < 4; i++) {
        exposure_free(shelf.e[i]);
        shelf.e[i] = NULL;
    }
    kit.imprints = NULL;
}

static struct exposure *small(const char *name, long dither, float level)
{
    struct exposure *e = stage_kit_exposure();
    snprintf(e->meta.filename, sizeof e->meta.filename, "%s", name);
    e->meta.pattern_number = dither;
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        e->sci[i] = level + (float)i / 1000.0F;
        e->dq[i] = i % 7 == 0 && level < 1 ? DQ_HOT : 0;
    }
    return e;
}

static const char *text_of(const struct exposure *e, const char *keyword)
{
    const char *text = NULL;
    ck_assert_msg(header_get_string(&e->primary, keyword, &text), "no %s", keyword);
    return text;
}

static double number_of(const struct exposure *e, const char *keyword)
{
    double v = 0;
    ck_assert_msg(header_get_real(&e->primary, keyword, &v), "no %s", keyword);
    return v;
}

static int run(const char *params, struct exposure *e, struct err *err)
{
    return stage_kit_run(&kit, &stage_imprint_subtract, params, 1, e, err);
}

/* ---- subtraction ------------------------------------------------------------------- */

/* A sole imprint is taken for any dither. Single precision: the difference of two floats
 * is exact to its last bit, the errors to one rounding. */
START_TEST(test_imprint_sole_is_subtracted_as_it_is)
{
    struct err err = {0};
    struct exposure *e = small("science", 2, 5), *was = small("science", 2, 5);
    offer(small("leak_rate.fits", 4, 0.25F), NULL, NULL);
    const struct exposure *leak = shelf.e[0];
    e->dq[3] = was->dq[3] = DQ_WARM;
    support_ok(run("", e, &err), &err);
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        same(e->sci[i], was->sci[i] - leak->sci[i]);
        ck_assert_uint_eq(e->dq[i], was->dq[i] | leak->dq[i]);
        near(e->var_poisson[i], 0.01F, 1e-9F);
        near(e->var_rnoise[i], 0.01F, 1e-9F);
        near(e->err[i], sqrtf(0.02F), 3e-8F);
    }
    ck_assert(!kit.skipped);
    ck_assert_ptr_nonnull(strstr(kit.said, "leak_rate.fits (sole"));
    ck_assert_str_eq(text_of(e, "IMPRHOW"), "sole");
    ck_assert_str_eq(text_of(e, "IMPRFILE"), "leak_rate.fits");
    ck_assert_str_eq(text_of(e, "IMPRFIT"), "off");
    ck_assert_double_eq(number_of(e, "IMPRAMP"), 1);
    ck_assert_double_eq(number_of(e, "IMPRAERR"), 0);
    forget();
    exposure_free(e);
    exposure_free(was);
}
END_TEST

START_TEST(test_imprint_errors_as_the_peer)
{
    struct err err = {0};
    struct exposure *e = small("science", 2, 5), *was = small("science", 2, 5);
    offer(small("leak", 2, 0.25F), NULL, NULL);
    support_ok(run("propagate_errors=false", e, &err), &err);
    const size_t n = exposure_pixels(e);
    same(e->sci[9], was->sci[9] - shelf.e[0]->sci[9]);
    ck_assert_mem_eq(e->err, was->err, n * sizeof *e->err);
    ck_assert_mem_eq(e->var_poisson, was->var_poisson, n * sizeof *e->err);
    ck_assert_mem_eq(e->var_rnoise, was->var_rnoise, n * sizeof *e->err);
    forget();
    exposure_free(e);
    exposure_free(was);
}
END_TEST

START_TEST(test_imprint_none_is_said)
{
    struct err err = {0};
    struct exposure *e = small("science", 2, 5), *was = small("science", 2, 5);
    support_ok(run("fit_amplitude=true", e, &err), &err);
    ck_assert_mem_eq(e->sci, was->sci, exposure_pixels(e) * sizeof *e->sci);
    ck_assert(kit.skipped);
    ck_assert_int_eq(kit.n_warnings, 0);
    ck_assert_ptr_nonnull(strstr(kit.said, "science: no imprint was given"));
    ck_assert_str_eq(text_of(e, "IMPRHOW"), "none");
    ck_assert_ptr_null(header_find(&e->primary, "IMPRAMP"));
    exposure_free(e);
    exposure_free(was);
}
END_TEST

/* Its pixel is lost, and no other. */
START_TEST(test_imprint_nan_flags_its_pixel)
{
    struct err err = {0};
    struct exposure *e = small("science", 2, 5);
    offer(small("leak", 2, 2), NULL, NULL);
    shelf.e[0]->sci[100] = NAN;
    support_ok(run("", e, &err), &err);
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        ck_assert_int_eq(isnan(e->sci[i]), i == 100);
        ck_assert_uint_eq(e->dq[i], i == 100 ? DQ_DO_NOT_USE : 0);
    }
    forget();
    exposure_free(e);
}
END_TEST

/* ---- which imprint ------------------------------------------------------------------ */

static struct exposure_meta meta(const char *observation, long dither, bool background,
                                 double arcsec, double days)
{
    struct exposure_meta m = {.pattern_number = dither,
                              .is_background = background,
                              .ra_ref = 10,
                              .dec_ref = -30 + arcsec / 3600,
                              .expstart = 60000 + days};
    snprintf(m.observation, sizeof m.observation, "%s", observation);
    return m;
}

static void expect(const struct exposure_meta *e, const struct exposure_meta *all,
                   size_t n, bool nearest, enum imprint_how how, size_t index)
{
    struct imprint_choice c = imprint_match(e, all, n, nearest);
    ck_assert_int_eq(c.how, how);
    if (how != IMPRINT_NONE) {
        ck_assert_uint_eq(c.index, index);
    }
}

START_TEST(test_imprint_match_follows_the_peer)
{
    const struct exposure_meta e = meta("001", 2, false, 0, 0);
    const struct exposure_meta other[] = {meta("009", 7, true, 900, 50)};
    expect(&e, other, 1, false, IMPRINT_SOLE, 0);
    expect(&e, other, 0, true, IMPRINT_NONE, 0);

    const struct exposure_meta matched[] = {
        meta("001", 2, true, 0, 0), meta("001", 1, false, 0, 0),
        meta("002", 2, false, 0, 0), meta("001", 2, false, 5, 9),
        meta("001", 2, false, 0, 0)};
    expect(&e, matched, 5, true, IMPRINT_MATCH, 3); /* the first that matches */

    const struct exposure_meta remaining[] = {meta("001", 2, true, 0, 0),
                                              meta("005", 3, false, 50, 9)};
    expect(&e, remaining, 2, false, IMPRINT_REMAINING, 1);
}
END_TEST

START_TEST(test_imprint_match_nearest_where_the_peer_skips)
{
    const struct exposure_meta e = meta("001", 2, false, 0, 0);
    const struct exposure_meta all[] = {
        meta("001", 1, false, 0.4, 0), meta("001", 3, false, -0.3, 9),
        meta("001", 4, false, 0.3, 8), meta("001", 4, false, 0.3001, 7.5),
        meta("001", 2, true, 0.1, 0)};
    expect(&e, all, 5, false, IMPRINT_NONE, 0);
    expect(&e, all, 5, true, IMPRINT_NEAREST, 3); /* 0.1 mas farther, but sooner */
    ck_assert_double_eq_tol(imprint_match(&e, all, 5, true).distance, 0.3001, 1e-6);

    struct exposure_meta undated[] = {all[1], all[2], all[0]};
    undated[0].expstart = NAN;
    expect(&e, undated, 3, true, IMPRINT_NEAREST, 1); /* a known time comes first */
    undated[1].expstart = NAN;
    expect(&e, undated, 3, true, IMPRINT_NEAREST, 0); /* then the order */

    const struct exposure_meta flagged[] = {meta("001", 1, true, 9, 0),
                                            meta("001", 3, true, 4, 0)};
    expect(&e, flagged, 2, false, IMPRINT_NONE, 0);
    expect(&e, flagged, 2, true, IMPRINT_NEAREST, 1);
}
END_TEST

/* Only what is chosen is read with its pixels. */
START_TEST(test_imprint_takes_the_match_of_several)
{
    struct err err = {0};
    struct exposure *e = small("science", 3, 5);
    offer(small("leak1", 1, 0), small("leak3", 3, 2), small("leak2", 2, 4));
    support_ok(run("", e, &err), &err);
    near(e->sci[50], 3, 1e-6F);
    ck_assert_str_eq(text_of(e, "IMPRFILE"), "leak3");
    ck_assert_str_eq(text_of(e, "IMPRHOW"), "match");
    ck_assert_int_eq(shelf.with_pixels, 1);
    forget();
    exposure_free(e);
}
END_TEST

START_TEST(test_imprint_several_and_none_matches)
{
    struct err err = {0};
    struct exposure *e = small("science", 3, 5);
    offer(small("leak1", 1, 1), small("leak2", 2, 2), NULL);
    shelf.e[0]->meta.dec_ref += 0.5 / 3600;
    shelf.e[1]->meta.dec_ref += 0.2 / 3600;
    support_ok(run("use_nearest=false", e, &err), &err);
    same(e->sci[0], 5);
    ck_assert(kit.skipped);
    ck_assert_int_eq(kit.n_warnings, 1);
    ck_assert_ptr_nonnull(strstr(kit.said, "none of 2 imprints"));
    ck_assert_str_eq(text_of(e, "IMPRHOW"), "none");
    ck_assert_int_eq(shelf.with_pixels, 0);

    support_ok(run("", e, &err), &err);
    same(e->sci[0], 3);
    ck_assert(!kit.skipped);
    ck_assert_str_eq(text_of(e, "IMPRHOW"), "nearest");
    ck_assert_str_eq(text_of(e, "IMPRFILE"), "leak2");
    ck_assert_double_eq_tol(number_of(e, "IMPRDIST"), 0.2, 1e-6);
    forget();
    exposure_free(e);
}
END_TEST

/* Refused, with keyword and both values; the exposure stays as it was. */
static void refuse(struct exposure *imprint, const char *keyword, const char *value)
{
    struct err err = {0};
    struct exposure *e = small("science", 3, 5);
    offer(small("leak3", 3, 2), imprint, NULL);
    ck_assert_int_eq(run("", e, &err), ERR_INPUT);
    ck_assert_msg(strstr(err.message, "leak4") && strstr(err.message, keyword) &&
                      strstr(err.message, value) && strstr(err.message, "science"),
                  "%s", err.message);
    same(e->sci[0], 5);
    forget();
    exposure_free(e);
}

START_TEST(test_imprint_of_another_kind_is_refused)
{
    struct exposure *e = small("leak4", 4, 1);
    strcpy(e->meta.detector, "NRS2");
    refuse(e, "DETECTOR", "NRS2");
    e = small("leak4", 4, 1);
    strcpy(e->meta.grating, "G395M");
    refuse(e, "GRATING", "G395M");
    e = small("leak4", 4, 1);
    strcpy(e->meta.filter, "F170LP");
    refuse(e, "FILTER", "F170LP");
    e = small("leak4", 4, 1);
    e->meta.substrt2 = 1;
    refuse(e, "SUBSTRT2", "1");
    e = support_exposure(KIT_NX, KIT_NY - 1, KIT_X0, KIT_Y0, "NRS1", "F290LP", "G395H");
    strcpy(e->meta.filename, "leak4");
    refuse(e, "SUBSIZE2", "23");
}
END_TEST

/* ---- how much of it ------------------------------------------------------------------ */

/*
 * A window of 256 x 1024 pixels of the frame: slices of 30 rows every 49, and leakage as
 * failed-open shutters leave it, two sloping traces and a faint wave; read noise 0.0065.
 */
enum { NX = 256, NY = 1024 };
#define NOISE 0.0065

static double leak_at(int x, int y)
{
    double sum = 0.02 * (0.5 + 0.5 * sin(x / 300. * 6) * cos(y / 410. * 6));
    const double from[2] = {131, 620}, peak[2] = {0.9, 1.5};
    for (int k = 0; k < 2; k++) {
        double d = (y - from[k] - x * 0.2) / 1.6;
        sum += peak[k] * exp(-0.5 * d * d);
    }
    return sum;
}

static bool is_slice(int y)
{
    return y % 49 < 30;
}

/* scene: what shines in the slices; amplitude of the leakage; cosmic rays. */
static struct exposure *window(uint64_t seed, double scene, double amplitude, int rays)
{
    struct rng rng;
    rng_init(&rng, seed, 0);
    struct exposure *e = support_exposure(NX, NY, 1, 1, "NRS1", "F290LP", "G395H");
    e->regions = mem_calloc((size_t)NX * NY, 1, NULL);
    for (int y = 0; y < NY; y++) {
        for (int x = 0; x < NX; x++) {
            size_t i = (size_t)y * NX + (size_t)x;
            double leak = amplitude * leak_at(x, y);
            double stripe = 0.02 * sin(x * 1.7); /* a level of the column */
            e->regions[i] = is_slice(y);
            e->sci[i] =
                (float)(leak + stripe + NOISE * rng_normal(&rng) +
                        (is_slice(y) ? scene * (2 + sin(x / 9.) * cos(y / 5.)) : 0));
            e->var_rnoise[i] = (float)(NOISE * NOISE);
            e->var_poisson[i] = 1e-7F;
            e->err[i] = sqrtf(e->var_rnoise[i] + e->var_poisson[i]);
        }
    }
    for (int i = 0; i < rays; i++) {
        size_t at = (size_t)(rng_uniform(&rng) * (NX * NY - 2));
        e->sci[at] += 10;
        e->sci[at + 1] += 3;
    }
    return e;
}

static struct exposure *named(struct exposure *e, const char *name)
{
    snprintf(e->meta.filename, sizeof e->meta.filename, "%s", name);
    return e;
}

static struct imprint_amplitude fit(double truth, uint64_t seed, int rays)
{
    struct err err = {0};
    struct imprint_amplitude a;
    struct exposure *e = window(seed, 3, truth, rays),
                    *i = window(seed + 1, 0, 1, rays);
    support_ok(imprint_fit_amplitude(e, i, &a, &err), &err);
    exposure_free(e);
    exposure_free(i);
    return a;
}

/* Ten draws, each with 200 cosmic rays: the mean within 3 of its errors (no bias by the
 * imprint's noise, which would be -0.4 % here by least squares), and the spread as the
 * errors say, within a factor of 2 (ten draws know it to 24 %). */
START_TEST(test_imprint_amplitude_is_found_without_bias)
{
    const double truths[] = {0.5, 1, 1.7};
    for (int k = 0; k < 3; k++) {
        double sum = 0, squares = 0, error = 0;
        for (uint64_t i = 0; i < 10; i++) {
            struct imprint_amplitude a = fit(truths[k], 100 + 2 * i, 200);
            sum += a.value;
            squares += (a.value - truths[k]) * (a.value - truths[k]);
            error += a.error * a.error;
            ck_assert_uint_gt(a.n, 50000);
        }
        error = sqrt(error / 10);
        ck_assert_double_lt(error, 0.002);
        ck_assert_double_eq_tol(sum / 10, truths[k], 3 * error / sqrt(10));
        double ratio = sqrt(squares / 10) / error;
        ck_assert_msg(ratio > 0.5 && ratio < 2, "spread / error %g", ratio);
    }
}
END_TEST

/* Sum over the slices of what is left of the leakage, as a share of the leakage. */
static double left_in_slices(const struct exposure *e, double scene)
{
    double with = 0, norm = 0;
    for (int y = 0; y < NY; y++) {
        for (int x = 0; x < NX; x++) {
            size_t i = (size_t)y * NX + (size_t)x;
            double clean =
                scene * (2 + sin(x / 9.) * cos(y / 5.)) + 0.02 * sin(x * 1.7);
            if (is_slice(y) &&
                fabs((double)e->sci[i] - clean) < 2) { /* no cosmic ray */
                with += leak_at(x, y) * ((double)e->sci[i] - clean);
                norm += leak_at(x, y) * leak_at(x, y);
            }
        }
    }
    return with / norm;
}

/* A dither whose leakage is 1.4 times that of the only imprint: 40 % would be left; the
 * target is 10 %, the noise of the fit 0.2 %. The errors grow by a^2 of the imprint's. */
START_TEST(test_imprint_fitted_leakage_leaves_the_slices)
{
    struct err err = {0};
    struct exposure *e = window(7, 3, 1.4, 100);
    struct exposure *leak = named(window(8, 0, 1, 100), "leak");
    for (size_t i = 0; i < exposure_pixels(leak); i++) {
        leak->sci[i] -= 0.02F * sinf((float)(i % NX) * 1.7F); /* cleaned of stripes */
    }
    offer(leak, NULL, NULL);
    double before = left_in_slices(e, 3);
    support_ok(run("fit_amplitude=true", e, &err), &err);
    ck_assert_double_eq_tol(before, 1.4, 0.02);
    ck_assert_double_lt(fabs(left_in_slices(e, 3)), 0.01 * before);
    double a = number_of(e, "IMPRAMP"), error = number_of(e, "IMPRAERR");
    ck_assert_double_eq_tol(a, 1.4, 5 * error);
    ck_assert_str_eq(text_of(e, "IMPRFIT"), "fitted");
    size_t at = 200 * NX + 77;
    double imprint = (double)leak->sci[at];
    ck_assert_double_eq_tol(
        (double)e->var_rnoise[at],
        NOISE * NOISE * (1 + a * a) + error * error * imprint * imprint, 1e-9);
    ck_assert_double_eq_tol((double)e->var_poisson[at], 1e-7 * (1 + a * a), 1e-12);
    forget();
    exposure_free(e);
}
END_TEST

/* Said, and subtracted as it is. */
static void refused(struct exposure *leak, double truth, const char *params,
                    const char *why)
{
    struct err err = {0};
    struct exposure *e = window(17, 3, truth, 0), *was = window(17, 3, truth, 0);
    offer(named(leak, "leak"), NULL, NULL);
    support_ok(run(params, e, &err), &err);
    ck_assert_int_eq(kit.n_warnings, 1);
    ck_assert_msg(strstr(kit.said, why) != NULL, "%s", kit.said);
    ck_assert_str_eq(text_of(e, "IMPRFIT"), "refused");
    ck_assert_double_eq(number_of(e, "IMPRAMP"), 1);
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        same(e->sci[i], was->sci[i] - leak->sci[i]);
    }
    forget();
    exposure_free(e);
    exposure_free(was);
}

START_TEST(test_imprint_amplitude_that_is_not_believed)
{
    refused(window(18, 0, 1, 0), 5, "fit_amplitude=true", "outside 0.3 to 3");
    refused(window(18, 0, 1, 0), 0.1, "fit_amplitude=true", "outside 0.3 to 3");
    refused(window(18, 0, 1, 0), 1.2, "fit_amplitude=true;amplitude_max=1.1",
            "outside 0.3 to 1.1");
    refused(window(18, 0, 0, 0), 1, "fit_amplitude=true", "subtracted as it is");
    struct exposure *zero = window(18, 0, 0, 0);
    for (size_t i = 0; i < exposure_pixels(zero); i++) {
        zero->sci[i] = 0;
    }
    refused(zero, 1, "fit_amplitude=true", "tell no amplitude");
    struct exposure *all_slice = window(18, 0, 1, 0);
    for (size_t i = 0; i < exposure_pixels(all_slice); i++) {
        all_slice->dq[i] = DQ_DO_NOT_USE;
    }
    refused(all_slice, 1, "fit_amplitude=true", "0 pixels in the gaps");
}
END_TEST

START_TEST(test_imprint_fit_needs_the_slices)
{
    struct err err = {0};
    struct exposure *e = small("science", 3, 5);
    free(e->regions);
    e->regions = NULL;
    offer(small("leak", 3, 1), NULL, NULL);
    ck_assert_int_eq(run("fit_amplitude=true", e, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "assign_wcs"));
    support_ok(run("", e, &err), &err);
    forget();
    exposure_free(e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("imprint_subtract");
    TCase *t = tcase_create("imprint_subtract");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_imprint_sole_is_subtracted_as_it_is);
    tcase_add_test(t, test_imprint_errors_as_the_peer);
    tcase_add_test(t, test_imprint_none_is_said);
    tcase_add_test(t, test_imprint_nan_flags_its_pixel);
    tcase_add_test(t, test_imprint_match_follows_the_peer);
    tcase_add_test(t, test_imprint_match_nearest_where_the_peer_skips);
    tcase_add_test(t, test_imprint_takes_the_match_of_several);
    tcase_add_test(t, test_imprint_several_and_none_matches);
    tcase_add_test(t, test_imprint_of_another_kind_is_refused);
    tcase_add_test(t, test_imprint_amplitude_is_found_without_bias);
    tcase_add_test(t, test_imprint_fitted_leakage_leaves_the_slices);
    tcase_add_test(t, test_imprint_amplitude_that_is_not_believed);
    tcase_add_test(t, test_imprint_fit_needs_the_slices);
    suite_add_tcase(s, t);
    return support_run(s);
}
