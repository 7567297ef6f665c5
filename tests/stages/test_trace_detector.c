#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "stages/trace_compact.h"
#include "stages/trace_detector.h"
#include "tests/stages/trace_kit.h"
#include "tests/support.h"

static struct trace_kit kit;
static struct err err;

static void setup(void)
{
    trace_kit_init(&kit);
}

static void teardown(void)
{
    trace_kit_done(&kit);
}

static int apply(double oversample, bool psf_optimal, int threads)
{
    const struct trace_detector_settings s = {10, oversample, 0.1, psf_optimal};
    struct par *par = NULL;
    int slices = -1;
    support_ok(par_new(threads, &par, &err), &err);
    support_ok(trace_detector_apply(kit.e, &s, par, NULL, NULL, &slices, &err), &err);
    par_free(par);
    return slices;
}

/* Position of row y (of the detector) in column x; NaN beyond the slice. */
static double position(double y, int x)
{
    const int row = (int)floor(y - kit.s.y0);
    if (row < 0 || row + 1 >= kit.s.rows) {
        return NAN;
    }
    const double *u = kit.s.u + (size_t)row * TRACE_KIT_NX + x;
    return u[0] + (y - kit.s.y0 - row) * (u[TRACE_KIT_NX] - u[0]);
}

static double truth(double u, int x)
{
    return trace_kit_light(&kit, u) * (1 + 0.2 * x / TRACE_KIT_NX);
}

/* Planes stay, and the model is there round the source only, as the source is: 2 % of the
 * peak, the resolution of the splines. */
START_TEST(test_trace_detector_model)
{
    const size_t n = exposure_pixels(kit.e);
    float *was = malloc(n * sizeof *was);
    size_t known = 0, wide = 0;
    memcpy(was, kit.e->sci, n * sizeof *was);
    ck_assert_int_eq(apply(1, false, 1), 1);
    ck_assert_mem_eq(was, kit.e->sci, n * sizeof *was);
    ck_assert_ptr_null(kit.e->sampling);
    for (size_t i = 0; i < n; i++) {
        if (isfinite(kit.e->trace_model[i])) {
            const int x = (int)(i % TRACE_KIT_NX);
            const double u = position((double)(i / TRACE_KIT_NX), x);
            ck_assert_int_eq(kit.e->regions[i], kit.s.slice);
            ck_assert_double_eq_tol((double)kit.e->trace_model[i], truth(u, x),
                                    0.02 * kit.peak);
            wide += fabs(u - kit.source) > 5 * kit.s.pitch;
            known++;
        }
    }
    ck_assert_uint_gt(known, 3 * TRACE_KIT_NX);
    ck_assert_uint_eq(wide, 0);
    free(was);
}
END_TEST

/* Twice the rows: samples lie where they say and hold what is there, far better than
 * pixels that are interpolated. */
START_TEST(test_trace_detector_oversamples)
{
    float *was = malloc(exposure_pixels(kit.e) * sizeof *was);
    double ours = 0, linear = 0;
    size_t n = 0;
    memcpy(was, kit.e->sci, exposure_pixels(kit.e) * sizeof *was);
    apply(2, false, 2);
    ck_assert_int_eq(kit.e->ny, 2 * TRACE_KIT_NY);
    for (size_t i = 0; i < exposure_pixels(kit.e); i++) {
        const int x = (int)(i % TRACE_KIT_NX), row = (int)(i / TRACE_KIT_NX);
        const struct exposure_sampling *s = kit.e->sampling;
        if (kit.e->regions[i] != kit.s.slice) {
            continue;
        }
        ck_assert_double_eq_tol(s->y_low[i], row / 2.0 - 0.5, 1e-12);
        ck_assert_double_eq_tol(s->y_high[i], row / 2.0, 1e-12);
        const double y = (s->y_low[i] + s->y_high[i]) / 2, u = position(y, x);
        if (fabs(u - kit.source) < 1.5 * kit.s.pitch) {
            const float *p = was + (size_t)floor(y) * TRACE_KIT_NX + x;
            const double f = y - floor(y);
            const double plain =
                (double)p[0] + f * ((double)p[TRACE_KIT_NX] - (double)p[0]);
            ours += pow((double)kit.e->sci[i] - truth(u, x), 2);
            linear += pow(plain - truth(u, x), 2);
            ck_assert_double_eq_tol((double)kit.e->err[i], 0.5 * 1.23, 1e-5);
            ck_assert_double_gt(kit.e->wavelength[i], 2.8);
            ck_assert_double_lt(kit.e->wavelength[i], 4.3);
            n++;
        }
    }
    ck_assert_uint_gt(n, 3 * TRACE_KIT_NX);
    ck_assert_double_lt(sqrt(ours), 0.2 * sqrt(linear));
    free(was);
}
END_TEST

/* A smooth field has no compact source; the linear interpolation keeps its value. */
START_TEST(test_trace_detector_smooth)
{
    trace_kit_fill(&kit, 0, 0.2, 0);
    ck_assert_int_eq(apply(2, false, 1), 0);
    for (size_t i = 0; i < exposure_pixels(kit.e); i++) {
        ck_assert(isnan(kit.e->trace_model[i]));
        if (isfinite(kit.e->sci[i])) {
            ck_assert_double_ge((double)kit.e->sci[i], kit.sky * 0.999);
            ck_assert_double_le((double)kit.e->sci[i], kit.sky * 1.201);
        }
    }
}
END_TEST

/* psf_optimal: a model of every slice, everywhere. */
START_TEST(test_trace_detector_psf_optimal)
{
    size_t known = 0, of_slices = 0;
    ck_assert_int_gt(apply(1, true, 1), 1);
    for (size_t i = 0; i < exposure_pixels(kit.e); i++) {
        known += isfinite(kit.e->trace_model[i]);
        of_slices += kit.e->regions[i] != 0;
    }
    ck_assert_uint_gt(known, of_slices * 8 / 10);
}
END_TEST

/* A bad pixel at the source is estimated from the model: 5 % of the peak. One on the sky
 * stays bad. */
START_TEST(test_trace_detector_bad_pixels)
{
    const int x = 320, y = (int)lround(trace_row_of(&kit.s, x, kit.source));
    const int sky = (int)lround(trace_row_of(&kit.s, x, kit.source - 0.4));
    const int rows[2] = {y, sky};
    for (int k = 0; k < 2; k++) {
        const size_t i = (size_t)rows[k] * TRACE_KIT_NX + (size_t)x;
        kit.e->dq[i] = DQ_DO_NOT_USE | DQ_DEAD;
        kit.e->sci[i] = kit.e->err[i] = NAN;
    }
    apply(2, false, 1);
    for (int k = 0; k < 2; k++) {
        const size_t i = (size_t)(2 * y + k) * TRACE_KIT_NX + (size_t)x;
        const double u = position(y - 0.25 + 0.5 * k, x);
        ck_assert_uint_eq(kit.e->dq[i], DQ_FLUX_ESTIMATED | DQ_DEAD);
        ck_assert_double_eq_tol((double)kit.e->sci[i], truth(u, x), 0.05 * kit.peak);
        ck_assert(isfinite(kit.e->err[i]));
        const size_t j = (size_t)(2 * sky + k) * TRACE_KIT_NX + (size_t)x;
        ck_assert_uint_eq(kit.e->dq[j], DQ_DO_NOT_USE | DQ_DEAD);
        ck_assert(isnan(kit.e->sci[j]));
    }
}
END_TEST

/* A sky that was subtracted too much: the model is of what is above the mean, and comes
 * back at the level of the data: 5 % of the peak, as its columns are divided by sums that
 * know nothing of the sky. */
START_TEST(test_trace_detector_negative_sky)
{
    size_t known = 0;
    kit.sky = -1;
    trace_kit_fill(&kit, 100, 0.5, 0);
    apply(1, false, 1);
    for (size_t i = 0; i < exposure_pixels(kit.e); i++) {
        if (isfinite(kit.e->trace_model[i])) {
            const int x = (int)(i % TRACE_KIT_NX);
            const double u = position((double)(i / TRACE_KIT_NX), x);
            ck_assert_double_eq_tol((double)kit.e->trace_model[i], truth(u, x),
                                    0.05 * kit.peak);
            known++;
        }
    }
    ck_assert_uint_gt(known, 3 * TRACE_KIT_NX);
}
END_TEST

START_TEST(test_trace_detector_same_for_any_threads)
{
    trace_kit_fill(&kit, 100, 0.5, 5);
    apply(2, false, 1);
    struct exposure *one = kit.e;
    struct trace_kit again;
    trace_kit_init(&again);
    kit.e = again.e;
    trace_kit_fill(&kit, 100, 0.5, 5);
    apply(2, false, 3);
    const size_t n = exposure_pixels(one);
    ck_assert_mem_eq(one->sci, kit.e->sci, n * sizeof *one->sci);
    ck_assert_mem_eq(one->err, kit.e->err, n * sizeof *one->err);
    ck_assert_mem_eq(one->trace_model, kit.e->trace_model, n * sizeof *one->sci);
    kit.e = one;
    trace_kit_done(&again);
}
END_TEST

/* Two heaps of steep positions, one of them flat on top, and a few strays. */
START_TEST(test_trace_compact_peaks)
{
    struct trace_compact c = {0};
    for (int i = 0; i < 40; i++) {
        support_ok(trace_compact_add(&c, -2.2 + 0.001 * i, &err), &err);
        support_ok(trace_compact_add(&c, 3.1, &err), &err);
        support_ok(trace_compact_add(&c, 3.6, &err), &err);
    }
    support_ok(trace_compact_add(&c, 0.1, &err), &err);
    support_ok(trace_compact_find(&c, 1, 40, 2, &err), &err);
    ck_assert_uint_eq(c.n_peaks, 2);
    ck_assert_double_eq_tol(c.peaks[0], -2.5, 1e-9); /* the bin's lower edge */
    ck_assert_double_eq_tol(c.peaks[1], 3, 1e-9);
    ck_assert(trace_compact_is(&c, -0.5));
    ck_assert(!trace_compact_is(&c, -4.5));
    ck_assert(!trace_compact_is(&c, 0.5));
    ck_assert(!trace_compact_is(&c, NAN));
    trace_compact_done(&c);
    for (int i = 0; i < 49; i++) { /* one too few */
        support_ok(trace_compact_add(&c, 0.1, &err), &err);
    }
    support_ok(trace_compact_find(&c, 1, 40, 2, &err), &err);
    ck_assert_uint_eq(c.n_peaks, 0);
    trace_compact_done(&c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trace_detector");
    TCase *t = tcase_create("trace_detector");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_trace_detector_model);
    tcase_add_test(t, test_trace_detector_oversamples);
    tcase_add_test(t, test_trace_detector_smooth);
    tcase_add_test(t, test_trace_detector_psf_optimal);
    tcase_add_test(t, test_trace_detector_bad_pixels);
    tcase_add_test(t, test_trace_detector_negative_sky);
    tcase_add_test(t, test_trace_detector_same_for_any_threads);
    tcase_add_test(t, test_trace_compact_peaks);
    suite_add_tcase(s, t);
    return support_run(s);
}
