#include <check.h>
#include <math.h>
#include <string.h>
#include "stages/adaptive_trace_model.h"
#include "tests/stages/stage_kit.h"
#include "tests/stages/trace_kit.h"
#include "tests/support.h"

static struct trace_kit trace;
static struct stage_kit kit;
static struct err err;

static void setup(void)
{
    trace_kit_init(&trace);
    stage_kit_init(&kit);
}

static void teardown(void)
{
    stage_kit_done(&kit);
    trace_kit_done(&trace);
}

static void run(const char *params)
{
    support_ok(
        stage_kit_run(&kit, &stage_adaptive_trace_model, params, 2, trace.e, &err),
        &err);
}

static double keyword(const char *name)
{
    double v = NAN;
    ck_assert_msg(header_get_real(&trace.e->primary, name, &v), "%s", name);
    return v;
}

static const char *sampling(void)
{
    const char *v = "";
    ck_assert(header_get_string(&trace.e->primary, "TRCSAMPL", &v));
    return v;
}

START_TEST(test_adaptive_trace_model_sky)
{
    run("sampling=sky;knot_step=0.011");
    ck_assert_str_eq(sampling(), "SKY");
    ck_assert_double_eq(keyword("TRCSLICE"), 1);
    ck_assert_double_gt(keyword("TRCCELLS"), 4);
    ck_assert_double_gt(keyword("TRCSWING"), 0.1);
    ck_assert_double_lt(keyword("TRCREST"), 0.002);
    ck_assert_ptr_nonnull(trace.e->sampling);
    ck_assert_ptr_nonnull(strstr(kit.said, "positions fixed on the sky"));
}
END_TEST

/* The defaults are the peer's: pixels stay. */
START_TEST(test_adaptive_trace_model_defaults)
{
    run("");
    ck_assert_str_eq(sampling(), "DETECTOR");
    ck_assert_double_eq(keyword("TRCSLICE"), 1);
    ck_assert_double_eq(keyword("TRCOVERS"), 1);
    ck_assert_ptr_null(trace.e->sampling);
    ck_assert_ptr_nonnull(trace.e->trace_model);
    ck_assert_int_eq(trace.e->ny, TRACE_KIT_NY);
}
END_TEST

START_TEST(test_adaptive_trace_model_oversamples)
{
    run("oversample=3;save_intermediate_results=true");
    ck_assert_int_eq(trace.e->ny, 3 * TRACE_KIT_NY);
    ck_assert_double_eq(keyword("TRCOVERS"), 3);
    ck_assert_uint_eq(kit.n_kept, 4);
    const struct exposure *full = stage_kit_kept(&kit, "spline_full"),
                          *used = stage_kit_kept(&kit, "spline_used"),
                          *linear = stage_kit_kept(&kit, "linear_interp"),
                          *rest = stage_kit_kept(&kit, "spline_residual");
    const size_t n = exposure_pixels(trace.e);
    size_t composed = 0;
    ck_assert_uint_eq(exposure_pixels(full), n);
    for (size_t i = 0; i < n; i++) {
        const float sci = trace.e->sci[i];
        if (isfinite(used->sci[i]) && isfinite(rest->sci[i]) && isfinite(sci)) {
            ck_assert_double_eq_tol((double)sci, (double)(used->sci[i] + rest->sci[i]),
                                    1e-4);
            ck_assert(used->sci[i] == full->sci[i]);
            composed++;
        } else if (isnan(used->sci[i]) && isfinite(sci)) {
            ck_assert(sci == linear->sci[i]);
        }
    }
    ck_assert_uint_gt(composed, 1000);
}
END_TEST

START_TEST(test_adaptive_trace_model_smooth)
{
    trace_kit_fill(&trace, 0, 0.2, 0);
    run("sampling=sky");
    ck_assert_double_eq(keyword("TRCCELLS"), 0);
    ck_assert_ptr_null(trace.e->sampling);
    ck_assert_ptr_nonnull(strstr(kit.said, "nothing compact"));
}
END_TEST

/* For other stages: the model alone, and once. */
START_TEST(test_adaptive_trace_model_of_exposure)
{
    const struct stage_env env = {.recipe = "spec2"};
    support_ok(adaptive_trace_model_of(&env, trace.e, &err), &err);
    const float *model = trace.e->trace_model;
    ck_assert_ptr_nonnull(model);
    support_ok(adaptive_trace_model_of(&env, trace.e, &err), &err);
    ck_assert_ptr_eq(model, trace.e->trace_model);
}
END_TEST

START_TEST(test_adaptive_trace_model_twice)
{
    run("oversample=2");
    ck_assert_int_eq(
        stage_kit_run(&kit, &stage_adaptive_trace_model, "", 1, trace.e, &err),
        ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "before"));
}
END_TEST

/* spec3: exposures are opened after the stage, and the cube's header is told. */
static int open_it(void *user, size_t i, bool pixels, struct exposure **ret,
                   struct err *e)
{
    (void)i;
    (void)pixels;
    (void)e;
    *ret = user;
    return 0;
}

static void leave_it(void *user, size_t i, struct exposure *e)
{
    (void)user;
    (void)i;
    (void)e;
}

START_TEST(test_adaptive_trace_model_tells_cubes)
{
    const struct exposure_source source = {1, open_it, leave_it, trace.e};
    const struct stage_env env = {.recipe = "spec3"};
    struct dataset data = {.source = &source};
    struct params *params = NULL;
    struct exposure *e = NULL;
    struct header h = {0};
    double v = NAN;
    const struct stage *s = &stage_adaptive_trace_model;
    support_ok(params_new(s->params, s->n_params, &params, &err), &err);
    support_ok(params_set(params, "sampling", "sky", &err), &err);
    support_ok(params_set(params, "knot_step", "0.011", &err), &err);
    support_ok(s->run(&env, params, &data, &err), &err);
    ck_assert_ptr_null(trace.e->sampling);
    support_ok(dataset_open(&data, 0, true, &e, &err), &err);
    ck_assert_ptr_nonnull(trace.e->sampling);
    support_ok(dataset_describe(&data, &h, &err), &err);
    ck_assert(header_get_real(&h, "TRCSWING", &v));
    ck_assert_double_gt(v, 0.1);
    ck_assert(header_get_real(&h, "TRCREST", &v));
    ck_assert_double_lt(v, 0.002);
    dataset_close(&data, 0, e);
    dataset_correctors_done(&data);
    params_free(params);
    header_done(&h);
}
END_TEST

START_TEST(test_adaptive_trace_model_needs_wcs)
{
    struct exposure *e = stage_kit_exposure();
    ck_assert_int_eq(stage_kit_run(&kit, &stage_adaptive_trace_model, "", 1, e, &err),
                     ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "assign_wcs"));
    exposure_free(e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("adaptive_trace_model");
    TCase *t = tcase_create("adaptive_trace_model");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_adaptive_trace_model_sky);
    tcase_add_test(t, test_adaptive_trace_model_defaults);
    tcase_add_test(t, test_adaptive_trace_model_oversamples);
    tcase_add_test(t, test_adaptive_trace_model_smooth);
    tcase_add_test(t, test_adaptive_trace_model_of_exposure);
    tcase_add_test(t, test_adaptive_trace_model_twice);
    tcase_add_test(t, test_adaptive_trace_model_tells_cubes);
    tcase_add_test(t, test_adaptive_trace_model_needs_wcs);
    suite_add_tcase(s, t);
    return support_run(s);
}
