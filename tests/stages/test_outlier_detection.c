#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "common/math/rng.h"
#include "stages/outlier_peer.h"
#include "stages/stage.h"
#include "tests/support.h"

enum { NX = 48, NY = 40, N = NX * NY, MOST = 4 };

static struct exposure *exposures[MOST];
static size_t n_exposures;
static int warnings;
static bool skipped;
static char said[2048];
static struct plane_set *kept[2];
static size_t n_kept;

static void on_note(void *user, int is_warning, const char *line)
{
    (void)user;
    warnings += is_warning;
    strncat(said, line, sizeof said - strlen(said) - 1);
}

static int on_planes(void *user, const char *exposure, const char *suffix,
                     struct plane_set *p, struct err *err)
{
    (void)user;
    (void)err;
    ck_assert_uint_lt(n_kept, 2);
    ck_assert_str_eq(exposure, "e0_cal.fits");
    ck_assert_str_eq(suffix, n_kept ? "nrs2_outlier_output" : "nrs1_outlier_output");
    kept[n_kept++] = p;
    return 0;
}

static void on_skipped(void *user)
{
    (void)user;
    skipped = true;
}

/* Noise on a gradient, a few pixels without a value, and some that stand out in all. */
static struct exposure *make(size_t k, const char *detector)
{
    struct exposure *e = support_exposure(NX, NY, 1, 1, detector, "F290LP", "G395H");
    struct rng rng;
    snprintf(e->meta.filename, sizeof e->meta.filename, "e%zu_cal.fits", k);
    rng_init(&rng, 11 + k, 0);
    for (int i = 0; i < N; i++) {
        e->sci[i] = (float)(10 + 0.1 * (i % NX) + rng_normal(&rng));
        if (rng_uniform(&rng) < 0.05 || i / NX == 20) {
            e->dq[i] |= DQ_DO_NOT_USE;
        }
    }
    e->sci[15 * NX + 11] += 50;
    e->sci[31 * NX + 30] -= 50;
    exposure_match_nans(e);
    return e;
}

static void begin(size_t n)
{
    for (size_t k = 0; k < n; k++) {
        exposures[k] = make(k, "NRS1");
    }
    n_exposures = n;
}

static void end(void)
{
    for (size_t k = 0; k < n_exposures; k++) {
        exposure_free(exposures[k]);
    }
}

/* "name=value;name=value" */
static int run(const char *text, int threads, struct err *err)
{
    struct params *params;
    struct par *par;
    char copy[256], *rest = copy, *item;
    const struct stage *s = &stage_outlier_detection;
    snprintf(copy, sizeof copy, "%s", text);
    support_ok(params_new(s->params, s->n_params, &params, err), err);
    while ((item = strsep(&rest, ";")) && *item) {
        char *value = strchr(item, '=');
        *value++ = '\0';
        support_ok(params_set(params, item, value, err), err);
    }
    support_ok(par_new(threads, &par, err), err);
    const struct stage_env env = {.par = par,
                                  .recipe = "spec3",
                                  .note = on_note,
                                  .skipped = on_skipped,
                                  .keep_planes = on_planes,
                                  .stage_name = s->name};
    struct dataset data = {.exposures = exposures, .n_exposures = n_exposures};
    said[0] = '\0';
    warnings = 0;
    skipped = false;
    int code = s->run(&env, params, &data, err);
    par_free(par);
    params_free(params);
    return code;
}

/* ---- the peer's method, written down as it is defined ---- */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *v, size_t n)
{
    qsort(v, n, sizeof *v, compare);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void least_differences(double *least)
{
    for (int i = 0; i < N; i++) {
        least[i] = NAN;
        for (size_t k = 0; k < n_exposures; k++) {
            const float *s = exposures[k]->sci;
            const float below = s[i] - (i >= NX ? s[i - NX] : 0);
            const float above = s[i] - (i < N - NX ? s[i + NX] : 0);
            least[i] = fmin(least[i], fmin((double)fabsf(below), (double)fabsf(above)));
        }
    }
}

static double box_median(const double *least, int x, int y, int half)
{
    double v[100];
    size_t n = 0;
    for (int j = y - half; j <= y + half; j++) {
        for (int i = x - half; i <= x + half; i++) {
            const bool inside = i >= 0 && j >= 0 && i < NX && j < NY;
            const double d = inside ? least[j * NX + i] : 0;
            if (!isnan(d)) {
                v[n++] = d;
            }
        }
    }
    return median_of(v, n);
}

static void as_defined(int half, double percent, bool *ret)
{
    static double least[N], ratio[N], v[N];
    size_t n = 0;
    least_differences(least);
    for (int i = 0; i < N; i++) {
        if (!isnan(least[i])) {
            v[n++] = least[i];
        }
    }
    const double floor = median_of(v, n) / 3;
    n = 0;
    for (int i = 0; i < N; i++) {
        const int x = i % NX, y = i / NX;
        ratio[i] = isnan(least[i])
                       ? (double)NAN
                       : least[i] / fmax(box_median(least, x, y, half), floor);
        if (x >= 4 && y >= 4 && x < NX - 4 && y < NY - 4 && !isnan(ratio[i])) {
            v[n++] = ratio[i];
        }
    }
    qsort(v, n, sizeof *v, compare);
    const double at = (double)(n - 1) * percent / 100;
    const size_t k = (size_t)at;
    const double limit = v[k] + (at - (double)k) * (v[k + 1] - v[k]);
    for (int i = 0; i < N; i++) {
        ret[i] = ratio[i] > limit;
    }
}

START_TEST(test_outlier_peer_as_defined)
{
    static bool expected[N];
    struct err err = {0};
    begin(3);
    as_defined(3, 98, expected);
    support_ok(run("threshold_percent=98", 2, &err), &err);
    ck_assert_int_eq(warnings, 0);
    ck_assert(expected[15 * NX + 11] && expected[31 * NX + 30]);
    for (size_t k = 0; k < 3; k++) {
        const struct exposure *e = exposures[k];
        const char *method;
        long count = 0;
        for (int i = 0; i < N; i++) {
            ck_assert_int_eq((e->dq[i] & DQ_OUTLIER) != 0, expected[i]);
            ck_assert_int_eq(e->outlier_reason[i],
                             expected[i] ? OUTLIER_NEIGHBOURS : OUTLIER_KEPT);
            ck_assert(isnan(e->sci[i]) == !!(e->dq[i] & DQ_DO_NOT_USE));
            ck_assert(isnan(e->err[i]) == isnan(e->sci[i]));
            ck_assert(!expected[i] || isnan(e->sci[i]));
            count += expected[i];
        }
        long told = 0;
        ck_assert(header_get_string(&e->primary, "OUTMETH", &method));
        ck_assert_str_eq(method, "PEER");
        ck_assert(header_get_int(&e->primary, "OUTNEIGH", &told));
        ck_assert_int_eq(told, count);
    }
    end();
}
END_TEST

START_TEST(test_outlier_peer_any_threads)
{
    static bool once[MOST][N];
    struct err err = {0};
    for (int threads = 1; threads <= 5; threads += 2) {
        begin(4);
        support_ok(run("threshold_percent=97;kernel_size=5 9", threads, &err), &err);
        for (size_t k = 0; k < 4; k++) {
            for (int i = 0; i < N; i++) {
                const bool now = exposures[k]->outlier_reason[i];
                ck_assert(threads == 1 || once[k][i] == now);
                once[k][i] = now;
            }
        }
        end();
    }
}
END_TEST

/* Detectors have nothing to do with each other. */
START_TEST(test_outlier_peer_by_detector)
{
    static bool expected[N];
    struct err err = {0};
    begin(2);
    as_defined(3, 98, expected);
    exposures[2] = make(7, "NRS2");
    n_exposures = 3;
    support_ok(run("threshold_percent=98", 1, &err), &err);
    int differ = 0;
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(exposures[1]->outlier_reason[i] != 0, expected[i]);
        differ += (exposures[2]->outlier_reason[i] != 0) != expected[i];
    }
    ck_assert_int_gt(differ, 0);
    end();
}
END_TEST

START_TEST(test_outlier_peer_second_check)
{
    struct err err = {0};
    begin(2);
    support_ok(run("ifu_second_check=true", 1, &err), &err);
    for (int x = 0; x < NX; x++) { /* a row without a value has no differences */
        const struct exposure *e = exposures[0];
        ck_assert_int_eq(e->outlier_reason[20 * NX + x], OUTLIER_NO_DIFFERENCE);
        ck_assert(e->dq[20 * NX + x] & DQ_OUTLIER);
    }
    end();
}
END_TEST

/* What the method looked at, of each detector; and it finds the same. */
START_TEST(test_outlier_peer_keeps)
{
    static double least[N];
    static const char *const names[] = {"DIFFARR", "MINARR", "NORMARR", "MINNORM"};
    static bool expected[N];
    static float sci[N];
    struct err err = {0};
    begin(3);
    least_differences(least);
    as_defined(3, 98, expected);
    memcpy(sci, exposures[1]->sci, sizeof sci);
    exposures[3] = make(7, "NRS2");
    n_exposures = 4;
    n_kept = 0;
    support_ok(run("threshold_percent=98;save_intermediate_results=true", 2, &err),
               &err);
    ck_assert_uint_eq(n_kept, 2);
    const struct plane_set *p = kept[0];
    long box = 0;
    ck_assert_uint_eq(p->n, 4);
    ck_assert_uint_eq(p->images[0].axes[2], 3);
    ck_assert_uint_eq(kept[1]->images[0].axes[2], 1);
    ck_assert(header_get_int(&p->primary, "KERNXSZ", &box));
    ck_assert_int_eq(box, 7);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_str_eq(p->images[i].extname, names[i]);
    }
    for (int i = 0; i < N; i++) {
        const double below = (double)fabsf(sci[i] - (i >= NX ? sci[i - NX] : 0));
        const double above = (double)fabsf(sci[i] - (i < N - NX ? sci[i + NX] : 0));
        const double own = (double)p->images[0].data[N + i];
        const double minimum = (double)p->images[1].data[i];
        const double norm = (double)p->images[2].data[i];
        ck_assert(isnan(own) ? isnan(fmin(below, above)) : own == fmin(below, above));
        ck_assert(isnan(minimum) ? isnan(least[i]) : minimum == least[i]);
        ck_assert(norm > 0);
        if (!isnan(minimum)) { /* rounded to floats: 6e-8 each */
            ck_assert_double_eq_tol((double)p->images[3].data[i] * norm, minimum,
                                    2e-7 * minimum);
        }
        ck_assert_int_eq(exposures[0]->outlier_reason[i] != 0, expected[i]);
    }
    plane_set_free(kept[0]);
    plane_set_free(kept[1]);
    end();
}
END_TEST

START_TEST(test_outlier_peer_alone)
{
    struct err err = {0};
    begin(1);
    support_ok(run("", 1, &err), &err);
    ck_assert(skipped);
    ck_assert_int_eq(warnings, 1);
    ck_assert_ptr_null(exposures[0]->outlier_reason);
    end();
}
END_TEST

START_TEST(test_outlier_kernel)
{
    static const char *const bad[] = {"7", "7 7 7", "7 7.5"};
    char text[64];
    struct err err = {0};
    begin(2);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "kernel_size=%s", bad[i]);
        ck_assert_int_eq(run(text, 1, &err), ERR_PARAM);
        ck_assert_ptr_nonnull(strstr(err.message, bad[i]));
    }
    support_ok(run("kernel_size=6, 7", 1, &err), &err);
    ck_assert_int_eq(warnings, 1);
    ck_assert_ptr_nonnull(strstr(said, "7 is taken for 6"));
    end();
}
END_TEST

START_TEST(test_outlier_peer_sizes_differ)
{
    struct err err = {0};
    begin(2);
    exposures[2] = support_exposure(NX, NY + 8, 1, 1, "NRS1", "F290LP", "G395H");
    snprintf(exposures[2]->meta.filename, 256, "wide_cal.fits");
    n_exposures = 3;
    ck_assert_int_eq(run("", 1, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "wide_cal.fits"));
    end();
}
END_TEST

START_TEST(test_outlier_percentile_as_numpy)
{
    double a[] = {3, 1, 2, 5, 4}, b[] = {7}, c[] = {1, 1, 1, 2};
    ck_assert_double_eq(outlier_percentile(a, 5, 50), 3);
    ck_assert_double_eq_tol(outlier_percentile(a, 5, 90), 4.6, 1e-14);
    ck_assert_double_eq(outlier_percentile(a, 5, 100), 5);
    ck_assert_double_eq(outlier_percentile(a, 5, 0), 1);
    ck_assert_double_eq(outlier_percentile(b, 1, 99.8), 7);
    ck_assert_double_eq_tol(outlier_percentile(c, 4, 70), 1.1, 1e-14);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outlier_detection");
    TCase *t = tcase_create("all");
    tcase_add_test(t, test_outlier_peer_as_defined);
    tcase_add_test(t, test_outlier_peer_any_threads);
    tcase_add_test(t, test_outlier_peer_by_detector);
    tcase_add_test(t, test_outlier_peer_second_check);
    tcase_add_test(t, test_outlier_peer_keeps);
    tcase_add_test(t, test_outlier_peer_alone);
    tcase_add_test(t, test_outlier_kernel);
    tcase_add_test(t, test_outlier_peer_sizes_differ);
    tcase_add_test(t, test_outlier_percentile_as_numpy);
    suite_add_tcase(s, t);
    return support_run(s);
}
