#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/math/rng.h"
#include "tests/stages/stage_kit.h"

/*
 * A piece of the detector 512 columns wide with fifteen slices of 30 rows, 49 rows apart,
 * as in its lower half. Noise: 0.0065 white, and 0.005 of columns and waves along the
 * readout that differ from column to column.
 */
enum { NX = 512, NY = 2048, SLICES = 15, FIRST = 100, HEIGHT = 30, PITCH = 49 };
#define WHITE 0.0065
#define FIT "n_sigma=4;auto_mask=true"

static struct stage_kit kit;

static void setup(void)
{
    stage_kit_init(&kit);
}

static void teardown(void)
{
    stage_kit_done(&kit);
}

static struct exposure *noise(void)
{
    struct rng rng;
    rng_init(&rng, 11, 0);
    struct exposure *e = support_exposure(NX, NY, 1, 1, "NRS1", "F290LP", "G395H");
    e->regions = mem_calloc(NX * NY, 1, NULL);
    for (int x = 0; x < NX; x++) {
        const double level = 0.005 * rng_normal(&rng);
        const double wave = 0.005 * rng_normal(&rng), phase = 6 * rng_uniform(&rng);
        for (int y = 0; y < NY; y++) {
            const int i = y * NX + x, row = (y - FIRST) % PITCH;
            const bool in = y >= FIRST && y < FIRST + SLICES * PITCH && row < HEIGHT;
            e->sci[i] =
                (float)(0.05 + level + wave * sin(2 * M_PI * 3 * y / NY + phase) +
                        WHITE * rng_normal(&rng));
            if (in)
                e->regions[i] = (uint8_t)(1 + (y - FIRST) / PITCH);
        }
    }
    return e;
}

/* Light of a uniform extended source: 27 rows of each slice, blurred by the optics: a
 * core of 0.8 rows and 5 % in wings of 4 rows. */
static double slice_light(int y)
{
    double sum = 0;
    for (int s = 0; s < SLICES; s++) {
        const double low = FIRST + s * PITCH + 1.5 - y - 0.5, high = low + 27;
        sum += 0.475 * (erf(high / 0.8 / M_SQRT2) - erf(low / 0.8 / M_SQRT2)) +
               0.025 * (erf(high / 4 / M_SQRT2) - erf(low / 4 / M_SQRT2));
    }
    return sum;
}

static void add_source(struct exposure *e, double level)
{
    for (int y = 0; y < NY; y++) {
        const double light = level * slice_light(y);
        for (int x = 0; x < NX; x++) {
            e->sci[y * NX + x] += (float)light;
        }
    }
}

/* A spectrum of a failed-open shutter: 1.6 rows wide (sigma), 4 rows tilted. */
static double trace_row(double first, int x)
{
    return first + 0.008 * x;
}

static void add_trace(struct exposure *e, double first, double level, int x0, int x1)
{
    for (int y = 0; y < NY; y++) {
        for (int x = x0; x < x1; x++) {
            const double d = (y - trace_row(first, x)) / 1.6;
            e->sci[y * NX + x] += (float)(level * exp(-0.5 * d * d));
        }
    }
}

static void add_wide(struct exposure *e, double level)
{
    for (int y = 0; y < NY; y++) {
        for (int x = 0; x < NX; x++) {
            e->sci[y * NX + x] += (float)(level * sin(x / 300.0) * cos(y / 410.0));
        }
    }
}

static void clean(struct exposure *e, const char *params, int threads)
{
    struct err err = {0};
    support_ok(
        stage_kit_run(&kit, &stage_clean_flicker_noise, params, threads, e, &err),
        &err);
}

/* Rms of a plane inside the slices round its mean. */
static double rms_inside(const struct exposure *e)
{
    double sum = 0, squares = 0, n = 0;
    for (int i = 0; i < NX * NY; i++) {
        if (e->regions[i]) {
            sum += (double)e->sci[i];
            squares += (double)e->sci[i] * (double)e->sci[i];
            n++;
        }
    }
    return sqrt(squares / n - sum / n * (sum / n));
}

/* A trace of 0.7 sigma a pixel: of its brightest rows 95 % are found; of pixels away from everything at most 1 % are lost. */
START_TEST(test_flicker_auto_finds_a_faint_trace)
{
    struct exposure *e = noise();
    add_trace(e, 1300, 0.7 * WHITE, 0, NX);
    clean(e, FIT ";save_mask=true", 1);
    const struct exposure *m = stage_kit_kept(&kit, "mask");
    int on = 0, found = 0, clear = 0, lost = 0;
    for (int y = 1150; y < NY; y++) {
        for (int x = 0; x < NX; x++) {
            const double d = fabs(y - trace_row(1300, x));
            on += d < 1;
            found += d < 1 && m->sci[y * NX + x] == 0;
            clear += d > 15;
            lost += d > 15 && m->sci[y * NX + x] == 0;
        }
    }
    ck_assert_msg(found > 0.95 * on, "%d of %d", found, on);
    ck_assert_msg(lost < 0.01 * clear, "%d of %d", lost, clear);
    exposure_free(e);
}
END_TEST

/* What is bright ends where it ends, and the wide means do not carry its light on: 40
 * columns beyond the end of a trace of 100 sigma at most a third of the pixels are gone. */
START_TEST(test_flicker_auto_keeps_what_lies_beyond_a_trace)
{
    struct exposure *e = noise();
    add_trace(e, 1300, 100 * WHITE, 200, NX);
    clean(e, FIT ";save_mask=true", 1);
    const struct exposure *m = stage_kit_kept(&kit, "mask");
    int lost = 0;
    for (int y = 1295; y < 1306; y++) {
        for (int x = 0; x < 160; x++) {
            lost += m->sci[y * NX + x] == 0;
        }
    }
    ck_assert_int_lt(lost, 160 * 11 / 3);
    exposure_free(e);
}
END_TEST

/*
 * The share of an extended source's flux that cleaning takes: slices cleaned with the
 * source less the same without it. At most 0.5 %, from 0.1 sigma a pixel, where its
 * wings cannot be seen, to 30 sigma, where they can.
 */
static void check_loss(const char *params, double sigma)
{
    struct exposure *with = noise(), *without = noise();
    add_source(with, sigma * WHITE);
    clean(with, params, 1);
    clean(without, params, 1);
    double got = 0, truth = 0;
    for (int y = 0; y < NY; y++) {
        for (int x = 12; x < NX - 12; x++) {
            const int i = y * NX + x;
            got +=
                with->regions[i] ? (double)with->sci[i] - (double)without->sci[i] : 0;
            truth += with->regions[i] ? sigma * WHITE * slice_light(y) : 0;
        }
    }
    const double loss = 1 - got / truth;
    printf("%s, %g sigma a pixel: %.3f %% lost\n", params, sigma, 100 * loss);
    ck_assert_msg(fabs(loss) < 0.005, "%s at %g sigma: %g", params, sigma, loss);
    exposure_free(with);
    exposure_free(without);
}

static const double loss_sigmas[] = {0.1, 0.3, 1, 3,
                                     30}; /* a test each: they take long */
enum { LOSSES = sizeof loss_sigmas / sizeof *loss_sigmas };

START_TEST(test_flicker_auto_loses_no_flux)
{
    check_loss(FIT, loss_sigmas[_i]);
    check_loss(FIT ";fit_method=gp", loss_sigmas[_i]);
}
END_TEST

/* With leakage (two bright traces through slices and gaps, wide light) the noise left in
 * the slices is within 2 % of what is left without it; with the slices alone masked it
 * is not, for the fit follows the wide light. */
START_TEST(test_flicker_auto_leakage_does_no_harm)
{
    const char *const params[2] = {FIT ";fit_method=gp",
                                   "mask_science_regions=true;fit_method=gp"};
    double ratio[2];
    for (int k = 0; k < 2; k++) {
        struct exposure *plain = noise(), *leak = noise(), *light = noise();
        for (int i = 0; i < NX * NY; i++) {
            light->sci[i] = 0;
        }
        add_trace(light, 431, 0.9, 50, NX);
        add_trace(light, 1320, 1.5, 50, NX);
        add_wide(light, 0.01);
        for (int i = 0; i < NX * NY; i++) {
            leak->sci[i] += light->sci[i];
        }
        clean(plain, params[k], 1);
        clean(leak, params[k], 1);
        for (int i = 0; i < NX * NY; i++) {
            leak->sci[i] -= light->sci[i];
        }
        ratio[k] = rms_inside(leak) / rms_inside(plain);
        exposure_free(plain);
        exposure_free(leak);
        exposure_free(light);
    }
    ck_assert_double_lt(ratio[0], 1.02);
    ck_assert_double_gt(ratio[1], 1.05);
}
END_TEST

/* Light over all but the fewest rows: every column keeps 1/16 of its rows, and those
 * include the ones without light. */
START_TEST(test_flicker_auto_leaves_enough_in_every_column)
{
    struct exposure *e = noise();
    for (int y = 150; y < NY; y++) {
        for (int x = 0; x < NX; x++) {
            e->sci[y * NX + x] += y / 3 % 2 ? 2 : 1;
        }
    }
    clean(e, "n_sigma=0;auto_mask=true;save_mask=true", 1);
    const struct exposure *m = stage_kit_kept(&kit, "mask");
    for (int x = 0; x < NX; x++) {
        int n = 0;
        for (int y = 0; y < NY; y++) {
            n += m->sci[y * NX + x] != 0;
        }
        ck_assert_int_ge(n, NY / 16);
    }
    exposure_free(e);
}
END_TEST

/* The same bits for any number of threads. */
START_TEST(test_flicker_auto_threads)
{
    struct exposure *one = noise(), *three = noise();
    add_trace(one, 1300, 0.01, 0, NX);
    add_trace(three, 1300, 0.01, 0, NX);
    add_wide(one, 0.01);
    add_wide(three, 0.01);
    clean(one, FIT, 1);
    clean(three, FIT, 3);
    ck_assert_mem_eq(one->sci, three->sci, sizeof *one->sci * NX * NY);
    exposure_free(one);
    exposure_free(three);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flicker_auto");
    TCase *t = tcase_create("flicker_auto");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_flicker_auto_finds_a_faint_trace);
    tcase_add_test(t, test_flicker_auto_keeps_what_lies_beyond_a_trace);
    tcase_add_loop_test(t, test_flicker_auto_loses_no_flux, 0, LOSSES);
    tcase_add_test(t, test_flicker_auto_leakage_does_no_harm);
    tcase_add_test(t, test_flicker_auto_leaves_enough_in_every_column);
    tcase_add_test(t, test_flicker_auto_threads);
    suite_add_tcase(s, t);
    return support_run(s);
}
