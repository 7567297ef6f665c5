#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/dq.h"
#include "common/data/spectrum_io.h"
#include "stages/background_spectrum.h"
#include "tests/stages/background_kit.h"
#include "tests/support.h"

enum { NX = 5, NY = 4, N = NX * NY };

/* ---- spectra ---- */

static struct spectrum *spectrum(size_t n, const double *um, const double *value,
                                 double error, double seconds)
{
    struct err err = {0};
    struct spectrum *s = spectrum_new(n, &err);
    ck_assert_ptr_nonnull(s);
    for (size_t i = 0; i < n; i++) {
        s->wavelength[i] = um[i];
        s->flux[i] = s->surf_bright[i] = value[i];
        s->background[i] = 100 + value[i];
        s->sb_error[i] = error;
        s->bkgd_error[i] = 2 * error;
    }
    strcpy(s->source_type, "POINT");
    strcpy(s->filename, "sky_x1d.fits");
    s->meta.exposure_time = seconds;
    return s;
}

static const double um_a[] = {3.0, 3.1, 3.2, 3.3, 3.4, 3.5};
static const double um_b[] = {3.02, 3.12, 3.22, 3.32, 3.42, 3.52};
static const double um_c[] = {3.35, 3.45, 3.55, 3.65};
static const double value_a[] = {1, 2, 3, 4, 5, 6}, value_b[] = {2, 2, 2, 2, 2, 2};
static const double value_c[] = {9, 8, 7, 6};

static struct spectrum *make(char which)
{
    struct spectrum *s = which == 'A'   ? spectrum(6, um_a, value_a, 0.1, 100)
                         : which == 'B' ? spectrum(6, um_b, value_b, 0.2, 300)
                                        : spectrum(4, um_c, value_c, 0.3, 100);
    s->dq[2] = which == 'A' ? DQ_DO_NOT_USE : 0;
    return s;
}

static void combine(const char *which, struct spectrum **ret)
{
    struct err err = {0};
    struct spectrum *in[3] = {0};
    size_t n = strlen(which);
    const struct stage_env env = {0};
    for (size_t i = 0; i < n; i++) {
        in[i] = make(which[i]);
    }
    support_ok(background_spectrum_combine(&env, in, n, ret, &err), &err);
    for (size_t i = 0; i < n; i++) {
        spectrum_free(in[i]);
    }
}

/* What combine_1d of jwst 3.0.0 makes of the same spectra: same grids, shifted ones, ones that
 * overlap in part; ten digits of it. */
START_TEST(test_master_combines_as_the_peer)
{
    static const struct {
        const char *which;
        size_t n;
        double rows[7][4]; /* um, value, error, spectra */
    } expected[] = {
        {"AB",
         6,
         {{3.01, 2, 0.2, 1},
          {3.11, 2, 0.1520690633, 2},
          {3.21, 2, 0.2, 1},
          {3.31, 2.5, 0.1520690633, 2},
          {3.41, 2.75, 0.1520690633, 2},
          {3.51, 6, 0.1, 1}}},
        {"AA",
         5,
         {{3, 1, 0.07071067812, 2},
          {3.1, 2, 0.07071067812, 2},
          {3.3, 4, 0.07071067812, 2},
          {3.4, 5, 0.07071067812, 2},
          {3.5, 6, 0.07071067812, 2}}},
        {"ABC",
         7,
         {{3.01, 2, 0.2, 1},
          {3.11, 2, 0.1520690633, 2},
          {3.21, 2, 0.2, 1},
          {3.323333333, 3.8, 0.1356465997, 3},
          {3.423333333, 3.8, 0.1356465997, 3},
          {3.523333333, 3.8, 0.1356465997, 3},
          {3.65, 6, 0.3, 1}}},
        {"AC",
         6,
         {{3, 1, 0.1, 1},
          {3.1, 2, 0.1, 1},
          {3.2, 4, 0.1, 1},
          {3.425, 6.5, 0.158113883, 2},
          {3.55, 6.5, 0.158113883, 2},
          {3.65, 6, 0.3, 1}}},
    };
    for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
        struct spectrum *s = NULL;
        combine(expected[k].which, &s);
        ck_assert_uint_eq(s->n, expected[k].n);
        for (size_t i = 0; i < s->n; i++) {
            const double *row = expected[k].rows[i];
            ck_assert_double_eq_tol(s->wavelength[i], row[0], 1e-9);
            ck_assert_double_eq_tol(s->surf_bright[i], row[1], 1e-9);
            ck_assert_double_eq_tol(s->sb_error[i], row[2], 1e-9);
            ck_assert_double_eq(s->npixels[i], row[3]);
        }
        spectrum_free(s);
    }
}
END_TEST

/* Of extended sources, and of targets that are no sky, BACKGROUND is the sky. */
START_TEST(test_master_takes_the_background_column)
{
    struct err err = {0};
    const struct stage_env env = {0};
    for (int k = 0; k < 3; k++) {
        struct spectrum *in = make('B'), *s = NULL;
        if (k < 2) {
            support_ok(header_set_bool(&in->primary, "BKGDTARG", k == 1, NULL, &err),
                       &err);
        } else {
            strcpy(in->source_type, "EXTENDED");
        }
        support_ok(background_spectrum_combine(&env, &in, 1, &s, &err), &err);
        ck_assert_double_eq_tol(s->surf_bright[3], k == 1 ? 2 : 102, 1e-12);
        ck_assert_double_eq_tol(s->sb_error[3], k == 1 ? 0.2 : 0.4, 1e-12);
        spectrum_free(s);
        spectrum_free(in);
    }
}
END_TEST

START_TEST(test_master_without_good_spectra)
{
    struct err err = {0};
    const struct stage_env env = {0};
    struct spectrum *in = make('B'), *s = NULL;
    for (size_t i = 0; i < in->n; i++) {
        in->surf_bright[i] = in->flux[i] = NAN;
    }
    ck_assert_int_eq(background_spectrum_combine(&env, &in, 1, &s, &err), ERR_NODATA);
    ck_assert_ptr_nonnull(strstr(err.message, "sky_x1d.fits"));
    spectrum_free(in);
    in = make('B');
    in->wavelength[3] = in->wavelength[2]; /* not monotonic */
    ck_assert_int_eq(background_spectrum_combine(&env, &in, 1, &s, &err), ERR_NODATA);
    spectrum_free(in);
    in = make('B');
    in->wavelength[3] = NAN;
    ck_assert_int_eq(background_spectrum_combine(&env, &in, 1, &s, &err), ERR_NODATA);
    spectrum_free(in);
}
END_TEST

START_TEST(test_master_moving_median)
{
    struct err err = {0};
    struct spectrum *s = make('A');
    s->surf_bright[1] = 50;
    support_ok(background_spectrum_smooth(s, 3, &err), &err);
    const double expected[] = {25.5, 3, 4, 4, 5, 5.5};
    for (size_t i = 0; i < 6; i++) {
        ck_assert_double_eq_tol(s->surf_bright[i], expected[i], 1e-12);
    }
    support_ok(background_spectrum_smooth(s, 99, &err), &err); /* wider than it */
    ck_assert_double_eq_tol(s->surf_bright[0], 4.5, 1e-12);
    spectrum_free(s);
}
END_TEST

/* ---- the stage ---- */

struct told {
    bool skipped;
    int warnings;
    char said[4096];
    struct spectrum *kept;
};

static struct background_kit kit;
static struct told told;
static struct dataset data;

static void on_skipped(void *user)
{
    (void)user;
    told.skipped = true;
}

static void on_note(void *user, int is_warning, const char *line)
{
    (void)user;
    size_t n = strlen(told.said);
    snprintf(told.said + n, sizeof told.said - n, "%s\n", line);
    told.warnings += is_warning;
}

static int on_keep(void *user, const char *suffix, struct spectrum *s, struct err *err)
{
    (void)user;
    (void)err;
    ck_assert_str_eq(suffix, "masterbg1d");
    told.kept = s;
    return 0;
}

/* Two calibrated exposures, SCI 1; column x is at 3.0 + 0.1 x um, row 0 outside slices. */
static void begin(void)
{
    struct err err = {0};
    told = (struct told){0};
    background_kit_init(&kit, 2, NX, NY);
    for (size_t k = 0; k < 2; k++) {
        struct exposure *e = kit.exposures[k];
        e->wavelength = mem_alloc(N, sizeof *e->wavelength, &err);
        for (int i = 0; i < N; i++) {
            e->sci[i] = 1;
            e->wavelength[i] = i < NX ? (double)NAN : 3.0 + 0.1 * (i % NX);
        }
        strcpy(e->meta.source_type, "EXTENDED");
    }
    data = (struct dataset){.source = &kit.source};
}

static void end(void)
{
    dataset_correctors_done(&data);
    background_kit_done(&kit);
    spectrum_free(told.kept);
}

static int run(const char *name, const char *value, struct err *err)
{
    struct params *params = NULL;
    const struct stage *stage = &stage_master_background;
    const struct stage_env env = {.recipe = "spec3",
                                  .stage_name = stage->name,
                                  .skipped = on_skipped,
                                  .note = on_note,
                                  .keep_spectrum = on_keep};
    support_ok(params_new(stage->params, stage->n_params, &params, err), err);
    if (name) {
        support_ok(params_set(params, name, value, err), err);
    }
    int code = stage->run(&env, params, &data, err);
    params_free(params);
    return code;
}

/* A background member from 3.0 to 3.5 um: 1 to 6, error 0.1. */
static int run_with_member(const char *name, const char *value, struct err *err)
{
    struct spectrum *s = spectrum(6, um_a, value_a, 0.1, 100);
    data.background_spectra = &s;
    data.n_background_spectra = 1;
    int code = run(name, value, err);
    data.background_spectra = NULL;
    data.n_background_spectra = 0;
    spectrum_free(s);
    return code;
}

static struct exposure *opened(size_t i, bool pixels)
{
    struct err err = {0};
    struct exposure *e = NULL;
    support_ok(dataset_open(&data, i, pixels, &e, &err), &err);
    return e;
}

/* Column x has the sky 1 + x; a point source's has another path loss. */
START_TEST(test_master_subtracts_by_wavelength)
{
    struct err err = {0};
    begin();
    struct exposure *point = kit.exposures[1];
    strcpy(point->meta.source_type, "POINT");
    point->pathloss_ps = mem_alloc(N, sizeof(float), &err);
    point->pathloss_un = mem_alloc(N, sizeof(float), &err);
    for (int i = 0; i < N; i++) {
        point->pathloss_ps[i] = 0.8F;
        point->pathloss_un[i] = 0.9F;
    }
    support_ok(run_with_member("save_background", "true", &err), &err);
    ck_assert(!told.skipped);
    ck_assert_ptr_nonnull(told.kept);
    ck_assert_double_eq_tol(told.kept->surf_bright[2], 3, 1e-12);
    for (size_t k = 0; k < 2; k++) {
        const double ratio = k ? 0.9 / 0.8 : 1;
        struct exposure *e = opened(k, false);
        ck_assert(e->sci[N - 1] == 1.0F); /* headers only */
        dataset_close(&data, k, e);
        e = opened(k, true);
        for (int i = 0; i < N; i++) {
            const double left = i < NX ? 1 : 1 - ratio * (1 + i % NX);
            ck_assert_double_eq_tol((double)e->sci[i], left, 2e-6); /* floats of 6 */
        }
        double low = 0, high = 0;
        ck_assert(header_get_real(&e->primary, "MBKGLOW", &low) && low == 3.0);
        ck_assert(header_get_real(&e->primary, "MBKGHIGH", &high) && high == 3.5);
        dataset_close(&data, k, e);
    }
    /* A narrow plane on a row, and between two whose correlation is 0.25; one as wide as the
     * rows are far apart, of which a sixth, two thirds and a sixth count (sums of 16 samples:
     * 1 %); none beyond the spectrum. */
    ck_assert_double_eq_tol(dataset_common_error(&data, 3.2, 1e-6), 0.1, 1e-5);
    ck_assert_double_eq_tol(dataset_common_error(&data, 3.25, 1e-6),
                            0.1 * sqrt(0.5 + 0.125), 1e-5);
    ck_assert_double_eq_tol(dataset_common_error(&data, 3.2, 0.1),
                            0.1 * sqrt(0.5 + 2 * 0.25 * 2 * 4 / 36.0), 1e-3);
    ck_assert_double_eq(dataset_common_error(&data, 3.7, 0.1), 0);
    end();
}
END_TEST

START_TEST(test_master_errors_as_the_peer)
{
    struct err err = {0};
    begin();
    support_ok(run_with_member("propagate_errors", "false", &err), &err);
    ck_assert_double_eq(dataset_common_error(&data, 3.25, 0.1), 0);
    end();
}
END_TEST

START_TEST(test_master_never_twice)
{
    static const char *const keywords[] = {"S_BKDSUB", "S_MSBSUB"};
    struct err err = {0};
    for (int k = 0; k < 4; k++) {
        begin();
        support_ok(header_set_string(&kit.exposures[k % 2]->primary, keywords[k % 2],
                                     k < 2 ? "COMPLETE" : "SKIPPED", NULL, &err),
                   &err);
        support_ok(run_with_member(NULL, NULL, &err), &err);
        ck_assert_int_eq(told.skipped, k < 2);
        ck_assert_uint_eq(data.n_correctors, k < 2 ? 0 : 1);
        end();
    }
    begin();
    support_ok(header_set_string(&kit.exposures[0]->primary, "S_BKDSUB", "COMPLETE",
                                 NULL, &err),
               &err);
    support_ok(run_with_member("force_subtract", "true", &err), &err);
    ck_assert_uint_eq(data.n_correctors, 1);
    ck_assert_int_eq(told.warnings, 1);
    end();
}
END_TEST

START_TEST(test_master_nothing_given)
{
    struct err err = {0};
    begin();
    support_ok(run(NULL, NULL, &err), &err);
    ck_assert(told.skipped);
    ck_assert_uint_eq(data.n_correctors, 0);
    end();
}
END_TEST

/* Where the spectrum ends nothing is subtracted, and that is said; where it does not
 * begin, it is an error. */
START_TEST(test_master_out_of_reach)
{
    struct err err = {0};
    struct exposure *e = NULL;
    begin();
    kit.exposures[1]->wavelength[N - 1] = 3.8;
    support_ok(run_with_member(NULL, NULL, &err), &err);
    e = opened(1, true);
    ck_assert_int_eq(told.warnings, 1);
    ck_assert_ptr_nonnull(strstr(told.said, "bkg1_rate.fits from 3.0000 to 3.8000 um"));
    ck_assert_double_eq((double)e->sci[N - 1], 1);
    ck_assert_double_eq_tol((double)e->sci[N - 2], 1 - 4, 2e-6);
    dataset_close(&data, 1, e);
    for (int i = 0; i < N; i++) {
        kit.exposures[0]->wavelength[i] += 1;
    }
    ck_assert_int_eq(dataset_open(&data, 0, true, &e, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "bkg0_rate.fits"));
    ck_assert_ptr_nonnull(strstr(err.message, "4.0000 to 4.4000"));
    end();
}
END_TEST

/* ---- a user's spectrum ---- */

struct table {
    const char *extname, *value, *unit;
    size_t n;
    const double *um, *values;
    const char *flags; /* NULL, or one digit a row */
};

static void write_table(const char *path, const struct table *t)
{
    struct err err = {0};
    struct fits_out *f = NULL;
    uint32_t dq[8] = {0};
    for (size_t i = 0; t->flags && i < t->n; i++) {
        dq[i] = (uint32_t)(t->flags[i] - '0');
    }
    const struct fits_column columns[] = {
        {.name = "WAVELENGTH",
         .unit = "um",
         .type = FITS_DOUBLE,
         .repeat = 1,
         .data = t->um},
        {.name = t->value,
         .unit = t->unit,
         .type = FITS_DOUBLE,
         .repeat = 1,
         .data = t->values},
        {.name = "DQ", .unit = "", .type = FITS_UINT32, .repeat = 1, .data = dq}};
    remove(path);
    support_ok(fits_out_create(path, &f, &err), &err);
    support_ok(fits_out_primary(f, NULL, &err), &err);
    support_ok(fits_out_table(f, t->extname, NULL, t->n, columns, 3, &err), &err);
    support_ok(fits_out_close(f, &err), &err);
}

/* Unsorted, one row flagged, one NaN: 10 at 3.0, 20 at 3.2, 40 at 3.4. */
static const double user_um[] = {3.4, 3.0, 3.1, 3.2, 3.3};
static const double user_values[] = {40, 10, 99, 20, (double)NAN};
static const struct table user = {"EXTRACT1D", "SURF_BRIGHT", "MJy/sr", 5,
                                  user_um,     user_values,   "00200"};

START_TEST(test_master_user_background)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "mine_x1d.fits");
    struct err err = {0};
    struct table t = user;
    for (int k = 0; k < 2; k++) {
        t.extname = k ? "COMBINE1D" : "EXTRACT1D"; /* the peer's _masterbg1d */
        t.flags = k ? "00100" : "00700";
        write_table(path, &t);
        begin();
        support_ok(run("user_background", path, &err), &err);
        struct exposure *e = opened(0, true);
        ck_assert_double_eq_tol((double)e->sci[NX], 1 - 10, 1e-5);
        ck_assert_double_eq_tol((double)e->sci[NX + 1], 1 - 15, 1e-5);
        ck_assert_double_eq_tol((double)e->sci[NX + 3], 1 - 30, 1e-5);
        const char *name = "";
        ck_assert(header_get_string(&e->primary, "MASTERBG", &name));
        ck_assert_str_eq(name, "mine_x1d.fits");
        dataset_close(&data, 0, e);
        end();
    }
    support_remove(folder);
}
END_TEST

/* Our own product can be given again. */
START_TEST(test_master_user_background_of_ours)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "ours_x1d.fits");
    struct err err = {0};
    struct spectrum *s = spectrum(6, um_a, value_a, 0.1, 100), *back = NULL;
    struct provenance p = {0};
    support_ok(spectrum_write(s, path, "ours_x1d.fits", &p, &err), &err);
    support_ok(background_spectrum_read(path, &back, &err), &err);
    ck_assert_uint_eq(back->n, 6);
    ck_assert_double_eq(back->surf_bright[5], 6);
    ck_assert_double_eq(back->sb_error[5], 0.1);
    spectrum_free(back);
    spectrum_free(s);
    support_remove(folder);
}
END_TEST

static void refused(const struct table *t, const char *message)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "mine_x1d.fits");
    struct err err = {0};
    if (t) {
        write_table(path, t);
    }
    begin();
    ck_assert_int_eq(run("user_background", path, &err), ERR_PARAM);
    ck_assert_msg(strstr(err.message, "mine_x1d.fits") && strstr(err.message, message),
                  "%s", err.message);
    ck_assert_uint_eq(data.n_correctors, 0);
    end();
    support_remove(folder);
}

START_TEST(test_master_refuses_user_backgrounds)
{
    static const double nans[] = {(double)NAN, (double)NAN, (double)NAN};
    struct table t = user;
    refused(NULL, "mine_x1d.fits");
    t.extname = "SOMETHING";
    refused(&t, "EXTRACT1D");
    t = user;
    t.value = "FLUX";
    refused(&t, "SURF_BRIGHT");
    t = user;
    t.unit = "Jy";
    refused(&t, "MJy/sr");
    t = user;
    t.n = 3;
    t.values = nans;
    refused(&t, "0 of 3 rows");
    t = user;
    t.n = 0;
    refused(&t, "0 of 0 rows");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("master_background");
    TCase *t = tcase_create("master_background");
    tcase_add_test(t, test_master_combines_as_the_peer);
    tcase_add_test(t, test_master_takes_the_background_column);
    tcase_add_test(t, test_master_without_good_spectra);
    tcase_add_test(t, test_master_moving_median);
    tcase_add_test(t, test_master_subtracts_by_wavelength);
    tcase_add_test(t, test_master_errors_as_the_peer);
    tcase_add_test(t, test_master_never_twice);
    tcase_add_test(t, test_master_nothing_given);
    tcase_add_test(t, test_master_out_of_reach);
    tcase_add_test(t, test_master_user_background);
    tcase_add_test(t, test_master_user_background_of_ours);
    tcase_add_test(t, test_master_refuses_user_backgrounds);
    suite_add_tcase(s, t);
    return support_run(s);
}
