/* Pixel by pixel as the peer on real sizes: tests/peer/bad_pixels.py. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "stages/pixel_replace.h"
#include "tests/stages/stage_kit.h"

#define NEAR(a, b, tolerance)                                                          \
    ck_assert_double_eq_tol((double)(a), (double)(b), (double)(tolerance))
#define SAME(a, b) ck_assert_double_eq((double)(a), (double)(b))

static struct stage_kit kit;

static void setup(void)
{
    stage_kit_init(&kit);
}

static void teardown(void)
{
    stage_kit_done(&kit);
}

static int at(int x, int y)
{
    return y * KIT_NX + x;
}

/* A profile across each slice, its height rising along x. */
static float truth(int x, int y)
{
    int slice = stage_kit_slice(x, y), row = y - (x >= 32);
    double d = row - (slice == 7 ? 6 : 16);
    return slice ? (float)((10 + 0.2 * x) * (exp(-d * d / 4) + 0.1)) : (float)NAN;
}

static struct exposure *make(void)
{
    struct exposure *e = stage_kit_exposure();
    for (int y = 0; y < KIT_NY; y++) {
        for (int x = 0; x < KIT_NX; x++) {
            float v = truth(x, y);
            e->sci[at(x, y)] = v;
            e->err[at(x, y)] = 0.1f * v;
            e->var_poisson[at(x, y)] = 0.01f * v * v;
            e->dq[at(x, y)] = isnan(v) ? DQ_DO_NOT_USE | DQ_NON_SCIENCE : 0;
        }
    }
    return e;
}

static void spoil(struct exposure *e, int x, int y, uint32_t flags)
{
    e->dq[at(x, y)] |= DQ_DO_NOT_USE | flags;
    e->sci[at(x, y)] = e->err[at(x, y)] = e->var_poisson[at(x, y)] = (float)NAN;
}

static void replace(struct exposure *e, const char *params)
{
    struct err err = {0};
    support_ok(stage_kit_run(&kit, &stage_pixel_replace, params, 2, e, &err), &err);
}

START_TEST(test_pixel_replace_mingrad_takes_the_flatter_pair)
{
    struct exposure *e = make();
    spoil(e, 20, 8, DQ_HOT);         /* steep across: from along x */
    spoil(e, 10, 16, 0);             /* the peak is symmetric across: y differs less */
    spoil(e, 45, 6, DQ_NON_SCIENCE); /* no science: filled, but not to be used */
    spoil(e, 50, 17, 0);
    spoil(e, 51, 17, 0); /* side by side: across the slice alone */
    spoil(e, 1, 6, 0);   /* too near to the edge */
    spoil(e, KIT_NX - 1, 6, 0);
    replace(e, "");
    const float v = e->sci[at(20, 8)];
    SAME(v, (truth(19, 8) + truth(21, 8)) / 2);
    SAME(e->err[at(20, 8)], (0.1f * truth(19, 8) + 0.1f * truth(21, 8)) / 2);
    /* roots are averaged: 0.1 v again; rounding of single precision */
    NEAR(sqrtf(e->var_poisson[at(20, 8)]), 0.1f * v, 1e-6f * v);
    ck_assert_uint_eq(e->dq[at(20, 8)], DQ_HOT | DQ_FLUX_ESTIMATED);
    SAME(e->sci[at(10, 16)], (truth(10, 15) + truth(10, 17)) / 2);
    ck_assert_uint_eq(e->dq[at(45, 6)],
                      DQ_DO_NOT_USE | DQ_NON_SCIENCE | DQ_FLUX_ESTIMATED);
    SAME(e->sci[at(50, 17)], (truth(50, 16) + truth(50, 18)) / 2);
    SAME(e->sci[at(51, 17)], (truth(51, 16) + truth(51, 18)) / 2);
    ck_assert(isnan(e->sci[at(1, 6)]) && isnan(e->sci[at(KIT_NX - 1, 6)]));
    ck_assert_uint_eq(e->dq[at(1, 6)], DQ_DO_NOT_USE);
    ck_assert_uint_eq(e->dq[at(30, 1)], DQ_DO_NOT_USE | DQ_NON_SCIENCE);
    exposure_free(e);
}
END_TEST

START_TEST(test_pixel_replace_tells_how_many)
{
    struct exposure *e = make();
    const char *algorithm = "";
    long n = 0;
    spoil(e, 20, 8, 0);
    spoil(e, 22, 15, 0);
    replace(e, "algorithm=fit_profile");
    ck_assert(header_get_int(&e->primary, "PXNREPL", &n) && n == 2);
    ck_assert(header_get_string(&e->primary, "PXALGO", &algorithm));
    ck_assert_str_eq(algorithm, "fit_profile");
    ck_assert_ptr_nonnull(strstr(kit.said, "2 pixels filled"));
    exposure_free(e);
}
END_TEST

START_TEST(test_pixel_replace_profile_is_scaled_to_the_column)
{
    struct exposure *e = make();
    spoil(e, 20, 7, DQ_HOT);
    spoil(e, 20, 5, 0);
    spoil(e, 40, 17, 0);
    for (int y = 0; y < KIT_NY; y++) { /* a column three times as bright */
        e->sci[at(40, y)] *= 3;
    }
    spoil(e, 60, 6, DQ_NON_SCIENCE);
    replace(e, "algorithm=fit_profile;n_adjacent_cols=2");
    /* The profile is the same in all columns; its scale is fitted to 1e-4 (the limit of the
     * peer's minimiser). */
    NEAR(e->sci[at(20, 7)], truth(20, 7), 3e-4f * truth(20, 7));
    NEAR(e->sci[at(20, 5)], truth(20, 5), 3e-4f * truth(20, 5));
    NEAR(e->err[at(20, 7)], 0.1f * truth(20, 7), 3e-5f * truth(20, 7));
    NEAR(sqrtf(e->var_poisson[at(20, 7)]), 0.1f * truth(20, 7), 3e-5f * truth(20, 7));
    NEAR(e->sci[at(40, 17)], 3 * truth(40, 17), 1e-3f * truth(40, 17));
    ck_assert_uint_eq(e->dq[at(20, 7)], DQ_HOT | DQ_FLUX_ESTIMATED);
    ck_assert_uint_eq(e->dq[at(60, 6)], DQ_DO_NOT_USE | DQ_NON_SCIENCE);
    ck_assert(isnan(e->sci[at(60, 6)]));
    SAME(e->sci[at(21, 7)], truth(21, 7));
    exposure_free(e);
}
END_TEST

START_TEST(test_pixel_replace_profile_of_noise_is_not_scaled)
{
    struct exposure *e = make();
    for (int i = 0; i < KIT_NX * KIT_NY; i++) {
        e->err[i] = e->sci[i]; /* S/N 1 everywhere */
    }
    spoil(e, 20, 7, 0);
    replace(e, "algorithm=fit_profile;n_adjacent_cols=1");
    SAME(e->sci[at(20, 7)], (truth(19, 7) + truth(21, 7)) / 2);
    exposure_free(e);
}
END_TEST

START_TEST(test_pixel_replace_profile_leaves_what_it_cannot_know)
{
    struct exposure *e = make();
    for (int y = 0; y < KIT_NY; y++) {
        for (int x = 17; x <= 23;
             x++) { /* columns 18..22 alone: no neighbours within 2 */
            if (stage_kit_slice(x, y) == 7 && (x != 20 || y == 6)) {
                spoil(e, x, y, 0);
            }
        }
    }
    replace(e, "algorithm=fit_profile;n_adjacent_cols=2");
    ck_assert(isnan(e->sci[at(20, 6)]));
    ck_assert_uint_eq(e->dq[at(20, 6)], DQ_DO_NOT_USE);
    ck_assert(isnan(e->sci[at(19, 6)])); /* the column has no good pixel */
    exposure_free(e);
}
END_TEST

START_TEST(test_pixel_replace_threads_and_errors)
{
    static const char *const algorithms[] = {"algorithm=mingrad",
                                             "algorithm=fit_profile"};
    struct err err = {0};
    for (int k = 0; k < 2; k++) {
        struct exposure *a = make(), *b = make();
        for (int i = 0; i < 60; i++) {
            spoil(a, i * 37 % KIT_NX, i * 11 % KIT_NY, 0);
            spoil(b, i * 37 % KIT_NX, i * 11 % KIT_NY, 0);
        }
        support_ok(stage_kit_run(&kit, &stage_pixel_replace, algorithms[k], 1, a, &err),
                   &err);
        support_ok(stage_kit_run(&kit, &stage_pixel_replace, algorithms[k], 3, b, &err),
                   &err);
        ck_assert_mem_eq(a->sci, b->sci, sizeof(float) * KIT_NX * KIT_NY);
        ck_assert_mem_eq(a->err, b->err, sizeof(float) * KIT_NX * KIT_NY);
        ck_assert_mem_eq(a->dq, b->dq, sizeof(uint32_t) * KIT_NX * KIT_NY);
        exposure_free(a);
        exposure_free(b);
    }
    struct exposure *e = make();
    free(e->regions);
    e->regions = NULL;
    ck_assert_int_eq(
        stage_kit_run(&kit, &stage_pixel_replace, "algorithm=fit_profile", 1, e, &err),
        ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "no map of slices"));
    exposure_free(e);
}
END_TEST

START_TEST(test_pixel_replace_trace_model)
{
    struct exposure *e = make();
    e->trace_model = malloc(sizeof(float) * KIT_NX * KIT_NY);
    ck_assert_ptr_nonnull(e->trace_model);
    for (int i = 0; i < KIT_NX * KIT_NY; i++) {
        e->trace_model[i] = (float)NAN;
    }
    e->trace_model[at(20, 7)] = 42;
    e->trace_model[at(21, 7)] = 43;
    e->trace_model[at(25, 7)] = 44; /* a good pixel stays */
    spoil(e, 20, 7, DQ_HOT);
    spoil(e, 21, 7, 0);
    spoil(e, 50, 17, 0); /* no model there: its neighbours */
    replace(e, "algorithm=trace_model");
    SAME(e->sci[at(20, 7)], 42);
    SAME(e->sci[at(21, 7)], 43);
    SAME(e->sci[at(25, 7)], truth(25, 7));
    ck_assert_uint_eq(e->dq[at(20, 7)], DQ_HOT | DQ_FLUX_ESTIMATED);
    /* a third and two thirds of the way between columns 19 and 22; single precision */
    const float a = 0.1f * truth(19, 7), b = 0.1f * truth(22, 7);
    NEAR(e->err[at(20, 7)], a + (b - a) / 3, 1e-6f * a);
    NEAR(e->err[at(21, 7)], a + (b - a) * 2 / 3, 1e-6f * a);
    NEAR(sqrtf(e->var_poisson[at(21, 7)]), a + (b - a) * 2 / 3, 1e-6f * a);
    SAME(e->sci[at(50, 17)], (truth(50, 16) + truth(50, 18)) / 2);
    ck_assert_uint_eq(e->dq[at(50, 17)], DQ_FLUX_ESTIMATED);
    exposure_free(e);
}
END_TEST

static double parabola(float x, const void *user)
{
    const double *bottom = user;
    return ((double)x - *bottom) * ((double)x - *bottom);
}

START_TEST(test_pixel_replace_minimum_is_found)
{
    static const double bottoms[] = {0.37, 1, -4.2, 12, 0};
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 2; k++) {
            float x = pixel_replace_minimum(parabola, &bottoms[i], k ? 1.0f : 0.0f);
            /* it ends once the steps are below 1e-4 */
            ck_assert_double_eq_tol((double)x, bottoms[i], 2e-4);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pixel_replace");
    TCase *t = tcase_create("pixel_replace");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_pixel_replace_mingrad_takes_the_flatter_pair);
    tcase_add_test(t, test_pixel_replace_tells_how_many);
    tcase_add_test(t, test_pixel_replace_profile_is_scaled_to_the_column);
    tcase_add_test(t, test_pixel_replace_profile_of_noise_is_not_scaled);
    tcase_add_test(t, test_pixel_replace_profile_leaves_what_it_cannot_know);
    tcase_add_test(t, test_pixel_replace_threads_and_errors);
    tcase_add_test(t, test_pixel_replace_trace_model);
    tcase_add_test(t, test_pixel_replace_minimum_is_found);
    suite_add_tcase(s, t);
    return support_run(s);
}
