#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "stages/trace_cells.h"
#include "stages/trace_sky.h"
#include "stages/trace_swing.h"
#include "tests/stages/trace_kit.h"
#include "tests/support.h"

/* The kit's pixels are 0.037 arcsec high. */
static const struct trace_settings settings = {90, 0.011};
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

static struct trace_sky_result apply(int threads)
{
    struct trace_sky_result r;
    struct par *par = NULL;
    support_ok(par_new(threads, &par, &err), &err);
    support_ok(trace_sky_apply(kit.e, &settings, par, NULL, &r, &err), &err);
    par_free(par);
    return r;
}

/* Is row a row of cells: higher than no pixel, and not at whole rows? */
static bool is_cell(size_t i)
{
    const struct exposure_sampling *s = kit.e->sampling;
    return kit.e->regions[i] == kit.s.slice &&
           fabs(s->y_low[i] - floor(s->y_low[i]) - 0.5) > 1e-6 &&
           fabs(s->y_high[i] - floor(s->y_high[i]) - 0.5) > 1e-6;
}

static double truth_of(size_t i)
{
    const struct exposure_sampling *s = kit.e->sampling;
    const int x = (int)(i % TRACE_KIT_NX);
    const double y = (s->y_low[i] + s->y_high[i]) / 2 - kit.s.y0;
    const int row = (int)floor(y);
    const double *u = kit.s.u + (size_t)row * TRACE_KIT_NX + x;
    return trace_kit_light(&kit, u[0] + (y - row) * (u[TRACE_KIT_NX] - u[0])) *
           (1 + 0.2 * x / TRACE_KIT_NX);
}

/* The worst deviation of cells from the truth, over the peak. */
static double worst_cell(size_t *ret_n)
{
    double worst = 0;
    *ret_n = 0;
    for (size_t i = 0; i < exposure_pixels(kit.e); i++) {
        if (is_cell(i) && !(kit.e->dq[i] & DQ_DO_NOT_USE)) {
            const double off = fabs((double)kit.e->sci[i] - truth_of(i));
            worst = off > worst ? off : worst;
            (*ret_n)++;
        }
    }
    return worst / kit.peak;
}

/* Positions and rows are each other's inverse; 1e-9: rounding. */
START_TEST(test_trace_slice_inverts)
{
    for (int x = 0; x < TRACE_KIT_NX; x += 37) {
        for (int row = 0; row < kit.s.rows; row++) {
            const double u = kit.s.u[(size_t)row * TRACE_KIT_NX + (size_t)x];
            if (!isnan(u)) {
                ck_assert_double_eq_tol(trace_row_of(&kit.s, x, u), kit.s.y0 + row,
                                        1e-9);
            }
        }
    }
    ck_assert_double_gt(kit.s.pitch, 0.03);
    ck_assert_double_eq_tol(trace_within(&kit.s, kit.s.low), 0.5, 1e-9);
    ck_assert_double_eq_tol(trace_within(&kit.s, kit.source), 1, 1e-9);
}
END_TEST

/* A swing of 12 % goes; what is left is the spline's resolution (docs/accuracy.md). The
 * cells lie round the source and hold its light: 1 % of the peak. */
START_TEST(test_trace_sky_stills)
{
    size_t n;
    const int rows = kit.s.rows;
    const struct trace_sky_result r = apply(1);
    ck_assert_int_eq(r.slices, 1);
    ck_assert_int_ge(r.cells, 5);
    ck_assert_int_lt(r.cells, rows / 2);
    ck_assert_double_gt(r.before, 0.1);
    ck_assert_double_lt(r.after, 0.002);
    ck_assert_double_lt(worst_cell(&n), 0.01);
    ck_assert_uint_gt(n, 5 * 500);
    ck_assert_ptr_nonnull(kit.e->sampling);
    ck_assert_ptr_nonnull(kit.e->trace_model);
}
END_TEST

/* Light times height, column by column: 0.5 %, since the model's cells and the pixels are
 * two samplings of the same profile. */
START_TEST(test_trace_sky_conserves)
{
    static double before[TRACE_KIT_NX], after[TRACE_KIT_NX], height[2][TRACE_KIT_NX];
    for (size_t i = 0; i < exposure_pixels(kit.e); i++) {
        if (kit.e->regions[i] == kit.s.slice) {
            before[i % TRACE_KIT_NX] += (double)kit.e->sci[i];
            height[0][i % TRACE_KIT_NX] += 1;
        }
    }
    apply(2);
    for (size_t i = 0; i < exposure_pixels(kit.e); i++) {
        if (kit.e->regions[i] == kit.s.slice) {
            const double h = kit.e->sampling->y_high[i] - kit.e->sampling->y_low[i];
            after[i % TRACE_KIT_NX] += (double)kit.e->sci[i] * h;
            height[1][i % TRACE_KIT_NX] += h;
        }
    }
    for (int x = 0; x < TRACE_KIT_NX; x++) {
        if (before[x] > 0) {
            ck_assert_double_eq_tol(height[1][x], height[0][x], 1e-6);
            ck_assert_double_eq_tol(after[x] / before[x], 1, 0.005);
        }
    }
}
END_TEST

static void check_untouched(void)
{
    const size_t n = exposure_pixels(kit.e);
    float *was = malloc(n * sizeof *was);
    memcpy(was, kit.e->sci, n * sizeof *was);
    const struct trace_sky_result r = apply(1);
    ck_assert_int_eq(r.cells, 0);
    ck_assert(isnan(r.before));
    ck_assert_ptr_null(kit.e->sampling);
    ck_assert_int_eq(kit.e->ny, TRACE_KIT_NY);
    ck_assert_mem_eq(was, kit.e->sci, n * sizeof *was);
    free(was);
}

START_TEST(test_trace_sky_leaves_smooth_alone)
{
    trace_kit_fill(&kit, 0, 0.05, 0);
    check_untouched();
    trace_kit_fill(&kit, 0, 0.2, 7);
    check_untouched();
}
END_TEST

START_TEST(test_trace_sky_leaves_faint_alone)
{
    trace_kit_fill(&kit, 0.4, 1, 3);
    check_untouched();
}
END_TEST

/* Bad pixels do not bend the model; where a bad one was at the source, its cells come from
 * the model and the pixels beside: 2 % of the peak. None is lost. */
START_TEST(test_trace_sky_bad_pixels)
{
    size_t n, hits = 0, lost = 0, estimated = 0;
    struct trace_sky_result r;
    for (size_t i = 11; i < exposure_pixels(kit.e); i += 97) {
        kit.e->dq[i] |= DQ_DO_NOT_USE;
        kit.e->sci[i] = NAN;
    }
    for (int x = 40; x < TRACE_KIT_NX; x += 90) {
        const int y = (int)lround(trace_row_of(&kit.s, x, kit.source));
        const size_t i = (size_t)y * TRACE_KIT_NX + (size_t)x;
        kit.e->dq[i] |= DQ_DO_NOT_USE;
        kit.e->sci[i] = NAN;
        hits++;
    }
    r = apply(1);
    ck_assert_uint_gt(hits, 5);
    ck_assert_double_lt(r.after, 0.005);
    ck_assert_double_lt(worst_cell(&n), 0.02);
    ck_assert_uint_gt(n, 5 * 500);
    for (size_t i = 0; i < exposure_pixels(kit.e); i++) {
        lost += is_cell(i) && (kit.e->dq[i] & DQ_DO_NOT_USE);
        estimated += is_cell(i) && (kit.e->dq[i] & DQ_FLUX_ESTIMATED);
    }
    ck_assert_uint_eq(lost, 0);
    ck_assert_uint_gt(estimated, 3);
}
END_TEST

/* A line that shines elsewhere in the slice: the model beside it stays what it was, and
 * the line's light stays. Its columns do not follow the model, and their errors are those of
 * the pixels all the same: a fifth more. */
START_TEST(test_trace_sky_lines)
{
    for (int x = 300; x < 306; x++) {
        for (int row = 0; row < kit.s.rows; row++) {
            const double u = kit.s.u[(size_t)row * TRACE_KIT_NX + (size_t)x];
            const double d = (u - kit.source - 0.2) / 0.25;
            if (!isnan(u)) {
                kit.e->sci[(size_t)(kit.s.y0 + row) * TRACE_KIT_NX + (size_t)x] +=
                    (float)(80 * exp(-d * d / 2));
            }
        }
    }
    const struct trace_sky_result r = apply(1);
    ck_assert_double_lt(r.after, 0.003);
    for (size_t i = 0; i < exposure_pixels(kit.e); i++) {
        const int x = (int)(i % TRACE_KIT_NX);
        if (is_cell(i)) {
            const bool is_line = x >= 300 && x < 306;
            const double more = (double)kit.e->sci[i] - truth_of(i);
            ck_assert_double_gt(more, is_line ? 30 : -0.01 * kit.peak);
            ck_assert_double_lt(more, is_line ? 100 : 0.01 * kit.peak);
            ck_assert_double_lt((double)kit.e->err[i], 1.2 * kit.error);
        }
    }
}
END_TEST

/* Errors of equal pixels: those of the cells are the same, and somewhat more where the
 * model moved light (docs/algorithms.md). */
START_TEST(test_trace_sky_errors)
{
    size_t n = 0;
    trace_kit_fill(&kit, 100, 0.5, 5);
    const struct trace_sky_result r = apply(1);
    ck_assert_double_lt(r.after, 0.01);
    for (size_t i = 0; i < exposure_pixels(kit.e); i++) {
        if (is_cell(i) && !(kit.e->dq[i] & DQ_DO_NOT_USE)) {
            ck_assert_double_ge((double)kit.e->err[i], 0.5 * 0.999);
            ck_assert_double_lt((double)kit.e->err[i], 0.5 * 1.1);
            ck_assert_double_eq_tol((double)kit.e->var_poisson[i], 0.125, 0.125 * 2e-3);
            n++;
        }
    }
    ck_assert_uint_gt(n, 1000);
}
END_TEST

/* Light of a column weighted by a star's profile, in one noise after another: its scatter
 * is what the errors of the samples say, taken as independent. The scatter of 20 draws of
 * 700 columns is known to 1 %; 10 % is what an extracted spectrum's error may be off. */
START_TEST(test_trace_sky_errors_are_right)
{
    enum { DRAWS = 20 };
    static double sum[TRACE_KIT_NX], square[TRACE_KIT_NX], said[TRACE_KIT_NX];
    double scatter = 0, reported = 0;
    for (unsigned seed = 1; seed <= DRAWS; seed++) {
        double light[TRACE_KIT_NX] = {0};
        trace_kit_done(&kit);
        trace_kit_init(&kit);
        trace_kit_fill(&kit, 100, 0.5, seed);
        ck_assert_int_gt(apply(1).cells, 0);
        for (size_t i = 0; i < exposure_pixels(kit.e); i++) {
            if (kit.e->regions[i] != kit.s.slice || (kit.e->dq[i] & DQ_DO_NOT_USE)) {
                continue;
            }
            const size_t x = i % TRACE_KIT_NX;
            const double low = kit.e->sampling->y_low[i];
            const double high = kit.e->sampling->y_high[i];
            const double off =
                (low + high) / 2 - trace_row_of(&kit.s, (int)x, kit.source);
            const double weight = (high - low) * exp(-off * off / 0.72);
            light[x] += weight * (double)kit.e->sci[i];
            said[x] += pow(weight * (double)kit.e->err[i], 2) / DRAWS;
        }
        for (int x = 0; x < TRACE_KIT_NX; x++) {
            sum[x] += light[x];
            square[x] += light[x] * light[x];
        }
    }
    for (int x = 50; x < TRACE_KIT_NX - 50; x++) {
        scatter += (square[x] - sum[x] * sum[x] / DRAWS) / (DRAWS - 1);
        reported += said[x];
    }
    ck_assert_double_eq_tol(sqrt(reported / scatter), 1, 0.1);
}
END_TEST

START_TEST(test_trace_sky_same_for_any_threads)
{
    trace_kit_fill(&kit, 100, 0.5, 5);
    apply(1);
    struct exposure *one = kit.e;
    struct trace_kit again;
    trace_kit_init(&again);
    kit.e = again.e;
    trace_kit_fill(&kit, 100, 0.5, 5);
    apply(3);
    const size_t n = exposure_pixels(one);
    ck_assert_uint_eq(exposure_pixels(kit.e), n);
    ck_assert_mem_eq(one->sci, kit.e->sci, n * sizeof *one->sci);
    ck_assert_mem_eq(one->err, kit.e->err, n * sizeof *one->err);
    ck_assert_mem_eq(one->sampling->y_low, kit.e->sampling->y_low, n * sizeof(double));
    kit.e = one;
    trace_kit_done(&again);
}
END_TEST

/* A series that swings with the phase by a known amount: 1e-3, the fit's. */
START_TEST(test_trace_swing_of_known)
{
    static float samples[TRACE_KIT_NX];
    double before, after;
    for (int x = 0; x < TRACE_KIT_NX; x++) {
        const double y = trace_row_of(&kit.s, x, kit.source);
        samples[x] = (float)(50 * (1 + 0.03 * cos(2 * M_PI * y)) + 1e-4 * x);
    }
    samples[100] = 9999; /* a cosmic ray */
    samples[101] = NAN;
    support_ok(trace_swing(kit.e, &kit.s, kit.source, samples, &before, &after, &err),
               &err);
    ck_assert_double_eq_tol(after, 0.03, 1e-3);
    ck_assert_double_gt(before, 0.1);
}
END_TEST

START_TEST(test_trace_sky_cancelled)
{
    const atomic_bool stop = true;
    struct trace_sky_result r;
    ck_assert_int_eq(trace_sky_apply(kit.e, &settings, NULL, &stop, &r, &err),
                     ERR_CANCELLED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trace_sky");
    TCase *t = tcase_create("trace_sky");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_trace_slice_inverts);
    tcase_add_test(t, test_trace_sky_stills);
    tcase_add_test(t, test_trace_sky_conserves);
    tcase_add_test(t, test_trace_sky_leaves_smooth_alone);
    tcase_add_test(t, test_trace_sky_leaves_faint_alone);
    tcase_add_test(t, test_trace_sky_bad_pixels);
    tcase_add_test(t, test_trace_sky_lines);
    tcase_add_test(t, test_trace_sky_errors);
    tcase_add_test(t, test_trace_sky_errors_are_right);
    tcase_add_test(t, test_trace_sky_same_for_any_threads);
    tcase_add_test(t, test_trace_swing_of_known);
    tcase_add_test(t, test_trace_sky_cancelled);
    suite_add_tcase(s, t);
    return support_run(s);
}
