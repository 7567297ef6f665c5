/* Pixel by pixel as the peer on real sizes: tests/peer/bad_pixels.py. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "tests/stages/stage_kit.h"

#define NX 40
#define NY 30
#define FLAG (DQ_DO_NOT_USE | DQ_OTHER_BAD_PIXEL)

static struct stage_kit kit;
static struct exposure *member;

static int open_member(void *user, size_t i, bool pixels, struct exposure **ret,
                       struct err *err)
{
    (void)user;
    (void)i;
    (void)pixels;
    (void)err;
    *ret = member;
    return 0;
}

static void close_member(void *user, size_t i, struct exposure *e)
{
    (void)user;
    (void)i;
    (void)e;
}

static const struct exposure_source source = {1, open_member, close_member, NULL};

/* Level 1 with a slope along y; every pixel a little different. */
static struct exposure *make(void)
{
    struct exposure *e = support_exposure(NX, NY, 100, 100, "NRS1", "F290LP", "G395M");
    for (int i = 0; i < NX * NY; i++) {
        float noise = (float)((uint32_t)i * 2654435761u >> 16) / 65536;
        e->sci[i] = 1.0f + 0.1f * (float)(i / NX) + 0.01f * noise * noise;
    }
    return e;
}

static void setup(void)
{
    stage_kit_init(&kit);
    member = make();
    kit.backgrounds = &source;
}

static void teardown(void)
{
    exposure_free(member);
    stage_kit_done(&kit);
}

static size_t count(const struct exposure *e)
{
    size_t n = 0;
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        bool bad = e->dq[i] & DQ_OTHER_BAD_PIXEL;
        ck_assert_int_eq(bad, isnan(e->sci[i]) != 0);
        ck_assert_int_eq(bad, isnan(e->err[i]) != 0);
        ck_assert_int_eq(bad, isnan(e->var_poisson[i]) != 0);
        ck_assert(!bad || (e->dq[i] & FLAG) == FLAG);
        n += bad;
    }
    return n;
}

START_TEST(test_badpix_selfcal_flags_what_stands_out_everywhere)
{
    struct err err = {0};
    struct exposure *e = make();
    const int hot = 10 * NX + 20, cold = 5 * NX + 30, once = 20 * NX + 11;
    e->sci[hot] = member->sci[hot] = 9;
    e->sci[cold] = member->sci[cold] = -9;
    e->sci[once] = 9; /* a cosmic ray: not in the minimum */
    kit.background = member;
    /* 1198 pixels lie between the ranks: those two alone are beyond */
    support_ok(stage_kit_run(&kit, &stage_badpix_selfcal,
                             "flagfrac_lower=0.0005;flagfrac_upper=0.0005", 2, e, &err),
               &err);
    ck_assert_uint_eq(count(e), 2);
    ck_assert_uint_eq(count(member), 2);
    ck_assert(isnan(e->sci[hot]) && isnan(e->sci[cold]) && !isnan(e->sci[once]));
    ck_assert(isnan(member->sci[hot]) && isnan(member->sci[cold]));
    long n = 0;
    ck_assert(header_get_int(&e->primary, "BPXNFLG", &n) && n == 2);
    exposure_free(e);
}
END_TEST

START_TEST(test_badpix_selfcal_fractions_and_nans)
{
    struct err err = {0};
    struct exposure *e = make();
    /* what is NaN in one is taken from the other, in both it stays out */
    e->sci[100] = (float)NAN;
    e->sci[200] = member->sci[200] = (float)NAN;
    support_ok(stage_kit_run(&kit, &stage_badpix_selfcal,
                             "flagfrac_lower=0.01;flagfrac_upper=0.02;kernel_size=5", 1,
                             e, &err),
               &err);
    size_t n = 0;
    for (int i = 0; i < NX * NY; i++) {
        n += (e->dq[i] & DQ_OTHER_BAD_PIXEL) != 0;
    }
    /* 1199 values: above rank 0.98 * 1198 = 1174.04 are 24, below 11.98 are 12 */
    ck_assert_uint_eq(n, 36);
    ck_assert(!(e->dq[200] & DQ_OTHER_BAD_PIXEL));
    exposure_free(e);
}
END_TEST

START_TEST(test_badpix_selfcal_alone_or_skipped)
{
    struct err err = {0};
    struct exposure *e = make();
    e->sci[10 * NX + 20] = 9;
    kit.backgrounds = NULL;
    support_ok(stage_kit_run(&kit, &stage_badpix_selfcal, "", 1, e, &err), &err);
    ck_assert(kit.skipped);
    ck_assert_int_eq(kit.n_warnings, 1);
    ck_assert_uint_eq(count(e), 0);
    support_ok(stage_kit_run(&kit, &stage_badpix_selfcal,
                             "force_single=true;flagfrac_lower=0;flagfrac_upper=0.0005",
                             1, e, &err),
               &err);
    ck_assert(!kit.skipped);
    ck_assert_uint_eq(count(e), 1);
    ck_assert(isnan(e->sci[10 * NX + 20]));
    exposure_free(e);
}
END_TEST

START_TEST(test_badpix_selfcal_keeps_the_backgrounds)
{
    struct err err = {0};
    struct exposure *e = make();
    e->sci[10 * NX + 20] = member->sci[10 * NX + 20] = 9;
    support_ok(
        stage_kit_run(&kit, &stage_badpix_selfcal,
                      "save_flagged_bkg=true;flagfrac_lower=0;flagfrac_upper=0.0005", 1,
                      e, &err),
        &err);
    const struct exposure *kept = stage_kit_kept(&kit, "badpix_selfcal_bkg_0");
    ck_assert_uint_eq(count(kept), 1);
    ck_assert_str_eq(kept->meta.detector, "NRS1");
    ck_assert_uint_eq(count(member), 0); /* the source's own stays */
    exposure_free(e);
}
END_TEST

START_TEST(test_badpix_selfcal_threads_and_errors)
{
    struct err err = {0};
    struct exposure *a = make(), *b = make(), *small;
    support_ok(
        stage_kit_run(&kit, &stage_badpix_selfcal, "flagfrac_upper=0.1", 1, a, &err),
        &err);
    support_ok(
        stage_kit_run(&kit, &stage_badpix_selfcal, "flagfrac_upper=0.1", 3, b, &err),
        &err);
    ck_assert_mem_eq(a->dq, b->dq, sizeof(uint32_t) * NX * NY);
    ck_assert_int_eq(
        stage_kit_run(&kit, &stage_badpix_selfcal, "kernel_size=4", 1, a, &err),
        ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "kernel_size is 4"));
    small = support_exposure(NX, NY - 1, 100, 100, "NRS1", "F290LP", "G395M");
    ck_assert_int_eq(stage_kit_run(&kit, &stage_badpix_selfcal, "", 1, small, &err),
                     ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "40 x 30 pixels; expected 40 x 29"));
    exposure_free(small);
    exposure_free(a);
    exposure_free(b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("badpix_selfcal");
    TCase *t = tcase_create("badpix_selfcal");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_badpix_selfcal_flags_what_stands_out_everywhere);
    tcase_add_test(t, test_badpix_selfcal_fractions_and_nans);
    tcase_add_test(t, test_badpix_selfcal_alone_or_skipped);
    tcase_add_test(t, test_badpix_selfcal_keeps_the_backgrounds);
    tcase_add_test(t, test_badpix_selfcal_threads_and_errors);
    suite_add_tcase(s, t);
    return support_run(s);
}
