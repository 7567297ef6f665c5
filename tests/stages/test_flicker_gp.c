#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/data/exposure_io.h"
#include "common/math/rng.h"
#include "stages/flicker_gp.h"
#include "tests/stages/stage_kit.h"
#include "tests/support.h"

/*
 * A narrow detector of one output: 64 columns of 2048 rows, with slices of 30 rows every
 * 49 as the instrument has them; 1/f noise of 0.012 and white noise of 0.0065.
 */
enum { NX = 64, NY = 2048, PITCH = 49, SLICE = 30, FRAME = 2048 };
static const double FLICKER = 0.012, WHITE = 0.0065;

static struct stage_kit kit;
static float truth[NX * NY]; /* the 1/f noise that was added */

static void setup(void)
{
    stage_kit_init(&kit);
}

static void teardown(void)
{
    stage_kit_done(&kit);
}

static bool in_slice(int y)
{
    return y % PITCH < SLICE;
}

/* 1/f noise of standard deviation 1, n values. */
static float *series(struct rng *rng, size_t n)
{
    struct err err = {0};
    float complex *half = mem_calloc(n / 2 + 1, sizeof *half, &err);
    float *out = mem_alloc(n, sizeof *out, &err);
    double power = 0;
    for (size_t k = 1; k <= n / 2; k++) {
        const double a = 1 / sqrt((double)k);
        const double re = a * rng_normal(rng), im = a * rng_normal(rng);
        half[k] = (float)re + (float)im * (float complex)I;
        power += 2 * (re * re + im * im);
    }
    support_ok(fft_to_real(n, half, out, &err), &err);
    for (size_t t = 0; t < n; t++) {
        out[t] /= (float)sqrt(power);
    }
    free(half);
    return out;
}

static struct exposure *scene(double flicker, double white)
{
    struct rng rng;
    rng_init(&rng, 11, 0);
    struct exposure *e = support_exposure(NX, NY, 1, 1, "NRS1", "F290LP", "G395H");
    e->regions = mem_calloc(NX * NY, 1, NULL);
    float *noise = series(&rng, (size_t)NX * (NY + 12));
    for (int x = 0; x < NX; x++) {
        for (int y = 0; y < NY; y++) {
            const int i = y * NX + x;
            truth[i] = (float)flicker * noise[x * (NY + 12) + y];
            e->sci[i] = 0.1F + truth[i] + (float)(white * rng_normal(&rng));
            e->sci[i] += in_slice(y) ? 1.0F : 0;
            e->regions[i] = in_slice(y);
            e->var_rnoise[i] = (float)(WHITE * WHITE);
            e->var_poisson[i] = 0;
        }
    }
    free(noise);
    return e;
}

static const char gp[] = "fit_method=gp;mask_science_regions=true";

static struct exposure *cleaned(const char *params, int threads)
{
    struct err err = {0};
    struct exposure *e = scene(FLICKER, WHITE);
    support_ok(
        stage_kit_run(&kit, &stage_clean_flicker_noise, params, threads, e, &err),
        &err);
    return e;
}

/* Share of the variance of the 1/f noise that was removed inside the slices, after means
 * over 2 * half + 1 rows. */
static double removed(const struct exposure *e, int half)
{
    struct exposure *raw = scene(FLICKER, WHITE);
    double before = 0, after = 0;
    for (int x = 0; x < NX; x++) {
        for (int y = half; y < NY - half; y++) {
            double t = 0, left = 0;
            for (int k = y - half; k <= y + half; k++) {
                const int i = k * NX + x;
                t += (double)truth[i];
                left += (double)truth[i] - (double)(raw->sci[i] - e->sci[i]);
            }
            before += in_slice(y) ? t * t : 0;
            after += in_slice(y) ? left * left : 0;
        }
    }
    exposure_free(raw);
    return 1 - after / before;
}

/* One output alone gives 0.58 (single pixels) and 0.93 (means of 65 rows), of which another
 * 0.03 may be lost by chance; the medians of the columns remove less. */
START_TEST(test_flicker_gp_removes_noise_inside_the_slices)
{
    struct exposure *e = cleaned(gp, 2);
    ck_assert_double_gt(removed(e, 0), 0.55);
    ck_assert_double_gt(removed(e, 32), 0.90);
    exposure_free(e);
    e = cleaned("fit_method=median;mask_science_regions=true", 2);
    ck_assert_double_lt(removed(e, 32), 0.80);
    exposure_free(e);
}
END_TEST

/* The variance that is added is that of what is left, inside the slices and outside them.
 * A series of 1/f noise of 64 lines has few independent parts: 20 %. */
START_TEST(test_flicker_gp_tells_how_wrong_it_is)
{
    struct exposure *e = cleaned(gp, 2), *raw = scene(FLICKER, WHITE);
    for (int slices = 0; slices < 2; slices++) {
        double actual = 0, claimed = 0;
        for (int i = 0; i < NX * NY; i++) {
            const double left = (double)(truth[i] - (raw->sci[i] - e->sci[i]));
            const bool counts = in_slice(i / NX) == slices;
            actual += counts ? left * left : 0;
            claimed += counts ? (double)(e->var_rnoise[i] - raw->var_rnoise[i]) : 0;
        }
        ck_assert_double_eq_tol(actual / claimed, 1, 0.2);
    }
    exposure_free(e);
    exposure_free(raw);
}
END_TEST

START_TEST(test_flicker_gp_is_the_same_for_any_number_of_threads)
{
    struct exposure *one = cleaned(gp, 1), *three = cleaned(gp, 3);
    ck_assert_mem_eq(one->sci, three->sci, sizeof truth);
    ck_assert_mem_eq(one->var_rnoise, three->var_rnoise, sizeof truth);
    exposure_free(one);
    exposure_free(three);
}
END_TEST

/* Columns without any background pixel are predicted from the lines read before and after,
 * of which one output's tell little: no worse than not at all, and nothing becomes NaN. */
START_TEST(test_flicker_gp_columns_without_background)
{
    struct err err = {0};
    struct exposure *e = scene(FLICKER, WHITE), *raw = scene(FLICKER, WHITE);
    for (int y = 0; y < NY; y++) {
        e->dq[y * NX + 30] |= DQ_DO_NOT_USE;
        e->sci[y * NX + 50] = raw->sci[y * NX + 50] = NAN;
    }
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise, gp, 2, e, &err), &err);
    double before = 0, after = 0;
    for (int y = 0; y < NY; y++) {
        for (int x = 0; x < NX; x++) {
            ck_assert_int_eq(isfinite(e->sci[y * NX + x]) != 0, x != 50);
        }
        const int i = y * NX + 30;
        const double left = (double)(truth[i] - (raw->sci[i] - e->sci[i]));
        before += (double)(truth[i] * truth[i]);
        after += left * left;
    }
    ck_assert_double_lt(after, 1.1 * before);
    exposure_free(e);
    exposure_free(raw);
}
END_TEST

/* A covariance that was saved gives the same estimate as the exposure's own (it is stored
 * in single precision); another file is refused. */
START_TEST(test_flicker_gp_covariance_in_a_file)
{
    struct err err = {0};
    char path[300], params[600];
    snprintf(params, sizeof params, "%s;save_covariance=true", gp);
    struct exposure *own = cleaned(params, 2);
    snprintf(path, sizeof path, "%s/covariance.fits", kit.folder);
    const struct exposure *kept = stage_kit_kept(&kit, "covariance");
    ck_assert_int_eq(kept->ny, 3);
    support_ok(exposure_write(kept, path, "covariance.fits", NULL, &err), &err);
    snprintf(params, sizeof params, "%s;gp_covariance_file=%s", gp, path);
    struct exposure *e = cleaned(params, 2);
    for (int i = 0; i < NX * NY; i++) {
        ck_assert_double_eq_tol((double)e->sci[i], (double)own->sci[i], 1e-5);
    }
    snprintf(path, sizeof path, "%s/rate.fits", kit.folder);
    support_write_rate(path, own);
    snprintf(params, sizeof params, "%s;gp_covariance_file=%s", gp, path);
    int code = stage_kit_run(&kit, &stage_clean_flicker_noise, params, 1, e, &err);
    ck_assert_int_eq(code, ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "rate.fits"));
    ck_assert_ptr_nonnull(strstr(err.message, "GPWHITE"));
    exposure_free(own);
    exposure_free(e);
}
END_TEST

/* Without background pixels, with fewer than the covariance needs, and without noise, the
 * image stays as it is. */
START_TEST(test_flicker_gp_nothing_to_do)
{
    struct err err = {0};
    struct exposure *e = scene(FLICKER, WHITE), *raw = scene(FLICKER, WHITE);
    memset(e->regions, 1, NX * NY);
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise, gp, 2, e, &err), &err);
    ck_assert_mem_eq(e->sci, raw->sci, sizeof truth);
    exposure_free(e);
    exposure_free(raw);

    e = scene(FLICKER, WHITE);
    raw = scene(FLICKER, WHITE);
    memset(e->regions, 1, NX * NY);
    memset(e->regions + 100 * NX, 0, 12 * NX);
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise, gp, 2, e, &err), &err);
    ck_assert_mem_eq(e->sci, raw->sci, sizeof truth);
    ck_assert_ptr_nonnull(strstr(kit.said, "too few background pixels"));
    exposure_free(e);
    exposure_free(raw);

    e = scene(0, 0);
    raw = scene(0, 0);
    support_ok(stage_kit_run(&kit, &stage_clean_flicker_noise, gp, 2, e, &err), &err);
    ck_assert_mem_eq(e->sci, raw->sci, sizeof truth);
    exposure_free(e);
    exposure_free(raw);
}
END_TEST

/* ---- against dense algebra: four outputs of 96 samples ---- */

enum { OUTPUTS = 4, N = 128, ALL = OUTPUTS * N };

static const struct gp_readout small = {.n_outputs = OUTPUTS,
                                        .n_lines = 4,
                                        .length = 24,
                                        .line = 26,
                                        .group = 24,
                                        .group_period = 24,
                                        .n = N};

static void small_covariance(struct gp_covariance *cov)
{
    *cov = (struct gp_covariance){.n_nodes = 40, .white = 0.4};
    for (size_t k = 0; k < cov->n_nodes; k++) {
        cov->lag[k] = (double)k;
        cov->within[k] = exp(-(double)k / 8);
        cov->between[k] = 0.7 * exp(-(double)k / 12);
    }
}

/* Covariance of any two samples, from the spectra that the solver uses. */
static double *dense_covariance(const struct gp_covariance *cov, const struct fft *fft)
{
    struct err err = {0};
    float differences[N / 2 + 1], mean[N / 2 + 1];
    support_ok(gp_covariance_spectra(cov, &small, fft, differences, mean, &err), &err);
    double own[N], common[N],
        *dense = mem_alloc((size_t)ALL * ALL, sizeof *dense, &err);
    for (int t = 0; t < N; t++) {
        own[t] = common[t] = 0;
        for (int k = 0; k <= N / 2; k++) {
            const double w =
                (k == 0 || k == N / 2 ? 1 : 2) * cos(2 * M_PI * k * t / N) / N;
            own[t] += w * (double)differences[k];
            common[t] += w * ((double)mean[k] - (double)differences[k]) / OUTPUTS;
        }
    }
    for (int i = 0; i < ALL; i++) {
        for (int j = 0; j < ALL; j++) {
            const int lag = abs(i % N - j % N);
            dense[i * ALL + j] = common[lag] + (i / N == j / N ? own[lag] : 0);
        }
    }
    return dense;
}

/* Solve a x = b in place by Cholesky; a is n * n and positive definite. */
static void dense_solve(double *a, double *b, int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (int k = 0; k < j; k++) {
                sum -= a[i * n + k] * a[j * n + k];
            }
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
        for (int k = 0; k < i; k++) {
            b[i] -= a[i * n + k] * b[k];
        }
        b[i] /= a[i * n + i];
    }
    for (int i = n; i-- > 0;) {
        for (int k = i + 1; k < n; k++) {
            b[i] -= a[k * n + i] * b[k];
        }
        b[i] /= a[i * n + i];
    }
}

/* The rounds end when the residual is 1e-4 of its first value; the smallest eigenvalue is
 * above 0.1, so that the estimate is right within 1e-3 of its size. */
START_TEST(test_flicker_gp_solves_as_dense_algebra)
{
    struct err err = {0};
    struct gp_covariance cov;
    struct fft *fft = NULL;
    struct par *par = NULL;
    struct rng rng;
    _Alignas(16) float y[ALL], weight[ALL];
    double a[ALL];
    int where[ALL], n = 0, rounds;
    rng_init(&rng, 3, 0);
    small_covariance(&cov);
    support_ok(fft_new_aligned(N, &fft, &err), &err);
    support_ok(par_new(2, &par, &err), &err);
    double *k = dense_covariance(&cov, fft);
    double *m = mem_alloc((size_t)ALL * ALL, sizeof *m, &err);
    for (int i = 0; i < ALL; i++) {
        y[i] = (float)(rng_normal(&rng) + sin(i % N / 9.0));
        const bool known = i % N < 104 && i % N % 11 < 6;
        weight[i] = known ? (float)(1 / (0.2 + 0.4 * rng_uniform(&rng))) : 0;
        if (known) {
            where[n++] = i;
        }
    }
    for (int i = 0; i < n; i++) {
        a[i] = (double)y[where[i]];
        for (int j = 0; j < n; j++) {
            m[i * n + j] = k[where[i] * ALL + where[j]];
        }
        m[i * n + i] += 1 / (double)weight[where[i]];
    }
    dense_solve(m, a, n);
    const struct stage_env env = {.par = par};
    float differences[N / 2 + 1], mean[N / 2 + 1];
    support_ok(gp_covariance_spectra(&cov, &small, fft, differences, mean, &err), &err);
    const struct gp_problem problem = {.readout = &small,
                                       .fft = fft,
                                       .differences = differences,
                                       .mean = mean,
                                       .weight = weight};
    support_ok(gp_solve(&env, &problem, y, 1e-4, &rounds, &err), &err);
    double square = 0, wrong = 0;
    for (int i = 0; i < ALL; i++) {
        double x = 0;
        for (int j = 0; j < n; j++) {
            x += k[i * ALL + where[j]] * a[j];
        }
        square += x * x;
        wrong += (x - (double)y[i]) * (x - (double)y[i]);
    }
    ck_assert_double_lt(sqrt(wrong / square), 1e-3);
    ck_assert_double_gt(square / ALL, 0.1);
    ck_assert_int_lt(rounds, 30);
    free(k);
    free(m);
    fft_free(fft);
    par_free(par);
}
END_TEST

/*
 * A covariance of 1 up to lag 10 has a spectrum with negative lobes. A spectrum of next to
 * nothing between others would make a process that cannot bend: at the ends of the series,
 * where there are no data, it ran off to several times the noise. So it falls as 1/f there.
 */
START_TEST(test_flicker_gp_spectra_have_no_holes)
{
    struct err err = {0};
    struct gp_covariance cov = {.n_nodes = 64, .white = 1e-6};
    struct fft *fft = NULL;
    float differences[N / 2 + 1], mean[N / 2 + 1];
    for (size_t k = 0; k < cov.n_nodes; k++) {
        cov.lag[k] = (double)k;
        cov.within[k] = k < 10;
    }
    support_ok(fft_new_aligned(N, &fft, &err), &err);
    support_ok(gp_covariance_spectra(&cov, &small, fft, differences, mean, &err), &err);
    for (int k = 0; k <= N / 2; k++) {
        const double d = (double)differences[k];
        ck_assert_double_gt(d * fmax(k, 1), 0.02 * (double)differences[0]);
        ck_assert_double_eq(d, (double)mean[k]);
    }
    fft_free(fft);
}
END_TEST

/* ---- the order of the readout ---- */

/* A full frame of background whose noise is shared by pixels of one time. */
static void check_order(bool columns, bool backwards, bool irs2, const char *expected)
{
    struct err err = {0};
    struct rng rng;
    rng_init(&rng, 5, 0);
    struct exposure *e =
        support_exposure(FRAME, FRAME, 1, 1, "NRS1", "F290LP", "G395H");
    const size_t n = exposure_pixels(e);
    struct flicker f = {.exposure = e, .nx = FRAME, .ny = FRAME, .image = e->sci};
    f.mask = mem_alloc(n, 1, &err);
    memset(f.mask, 1, n);
    float *common = series(&rng, n);
    for (size_t y = 0; y < FRAME; y++) {
        for (size_t x = 0; x < FRAME; x++) {
            const size_t row = y % 512, flip = y / 512 % 2 && backwards;
            const size_t t =
                columns ? x % 512 * FRAME + y : x * 512 + (flip ? 511 - row : row);
            e->sci[y * FRAME + x] =
                (float)(0.01 * (double)common[t] + 0.01 * rng_normal(&rng));
        }
    }
    struct gp_readout r;
    gp_readout_choose(&f, irs2, &r);
    ck_assert_str_eq(r.name, expected);
    ck_assert_uint_eq(r.line, columns ? 2100 : irs2 ? 712 : 524);
    free(common);
    free(f.mask);
    exposure_free(e);
}

START_TEST(test_flicker_gp_finds_the_order_of_the_readout)
{
    check_order(false, true, true,
                "four outputs of 512 rows in alternating directions");
    check_order(false, false, false, "four outputs of 512 rows in one direction");
    check_order(true, false, false, "four outputs of 512 columns");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flicker_gp");
    TCase *t = tcase_create("flicker_gp");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_flicker_gp_removes_noise_inside_the_slices);
    tcase_add_test(t, test_flicker_gp_tells_how_wrong_it_is);
    tcase_add_test(t, test_flicker_gp_is_the_same_for_any_number_of_threads);
    tcase_add_test(t, test_flicker_gp_columns_without_background);
    tcase_add_test(t, test_flicker_gp_covariance_in_a_file);
    tcase_add_test(t, test_flicker_gp_nothing_to_do);
    tcase_add_test(t, test_flicker_gp_solves_as_dense_algebra);
    tcase_add_test(t, test_flicker_gp_spectra_have_no_holes);
    tcase_add_test(t, test_flicker_gp_finds_the_order_of_the_readout);
    suite_add_tcase(s, t);
    return support_run(s);
}
