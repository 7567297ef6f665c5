#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "common/data/ref_flat.h"
#include "stages/slice_columns.h"
#include "tests/stages/stage_kit.h"
#include "tests/support.h"

/*
 * The synthetic references, on a frame of 120 x 48 pixels that holds the exposure's
 * window from (33, 9):
 *   fflat  fast 1 + 2 |um - 3.3|: the kink shows the average over a pixel's interval
 *   sflat  fast 2; image 1 + 0.001 X + 0.002 Y by frame pixel, error a tenth of that
 *   dflat  fast 1; planes at 2.9, 3.3, 4.1 um of 1.0, 1.4, 2.2: linear in wavelength
 * The fast tables run from 3.02 to 3.61 um, so that the edges are outside.
 */
enum { NX = 120, NY = 48 };

/* Marked pixels, in the exposure's coordinates; all in slice 7. */
enum { NAN_X = 10, ZERO_X = 11, BAD_X = 12, MARK_X = 13, NEGATIVE_X = 14, MARK_Y = 5 };

struct made {
    int without_data_column, falling, small, wrong_planes, dq_def, dq_cube;
};

static void fast(struct fits_out *f, const struct made *made, double at_kink,
                 double slope, float relative_error)
{
    enum { N = 61 };
    struct err err = {0};
    const char *name[N];
    int32_t nelem[N];
    float um[N], value[N], error[N];
    for (int i = 0; i < N; i++) {
        name[i] = "ANY";
        nelem[i] = N - 1; /* the last is padding */
        um[i] = i == N - 1 ? 0 : (float)(3.02 + 0.01 * i);
        value[i] = (float)(at_kink + slope * fabs((double)um[i] - 3.3));
        error[i] = relative_error * value[i];
    }
    if (made->falling) {
        um[3] = 3.0F;
    }
    struct fits_column columns[] = {{"slit_name", "", FITS_STRING, 15, NULL, name},
                                    {"nelem", "", FITS_INT32, 1, NULL, nelem},
                                    {"wavelength", "um", FITS_FLOAT, 1, NULL, um},
                                    {"error", "", FITS_FLOAT, 1, NULL, error},
                                    {"data", "", FITS_FLOAT, 1, NULL, value}};
    support_ok(fits_out_table(f, "FAST_VARIATION", NULL, N, columns,
                              made->without_data_column ? 4 : 5, &err),
               &err);
}

static void fill_fflat(struct fits_out *f, const void *arg)
{
    fast(f, arg, 1, 2, 0.01F);
}

static void dq_def(struct fits_out *f)
{
    struct err err = {0};
    int32_t bit[] = {0, 1, 2}, value[] = {1, 2, 4};
    const char *name[] = {"DO_NOT_USE", "UNRELIABLE_SLOPE", "NOT_A_FLAG"};
    struct fits_column columns[] = {{"BIT", "", FITS_INT32, 1, NULL, bit},
                                    {"VALUE", "", FITS_INT32, 1, NULL, value},
                                    {"NAME", "", FITS_STRING, 40, NULL, name}};
    support_ok(fits_out_table(f, "DQ_DEF", NULL, 3, columns, 3, &err), &err);
}

static void fill_sflat(struct fits_out *f, const void *arg)
{
    const struct made *made = arg;
    struct err err = {0};
    static float sci[NX * NY], error[NX * NY];
    static uint32_t dq[NX * NY];
    size_t axes[2] = {NX, made->small ? KIT_NY : NY};
    memset(dq, 0, sizeof dq);
    for (int i = 0; i < NX * NY; i++) {
        sci[i] = (float)(1 + 0.001 * (i % NX) + 0.002 * (i / NX));
        error[i] = 0.1F * sci[i];
    }
    int mark = (MARK_Y + KIT_Y0 - 1) * NX + KIT_X0 - 1;
    sci[mark + NAN_X] = NAN;
    sci[mark + ZERO_X] = 0;
    sci[mark + NEGATIVE_X] = -1;
    dq[mark + BAD_X] = 1;
    dq[mark + MARK_X] = made->dq_def ? 2 | 4 : DQ_UNRELIABLE_SLOPE;
    support_ok(fits_out_image(f, "SCI", NULL, FITS_FLOAT, 2, axes, sci, &err), &err);
    support_ok(fits_out_image(f, "DQ", NULL, FITS_UINT32, 2, axes, dq, &err), &err);
    support_ok(fits_out_image(f, "ERR", NULL, FITS_FLOAT, 2, axes, error, &err), &err);
    fast(f, made, 2, 0, 0);
    if (made->dq_def) {
        dq_def(f);
    }
}

static void fill_dflat(struct fits_out *f, const void *arg)
{
    const struct made *made = arg;
    struct err err = {0};
    static float sci[3 * NX * NY], error[3 * NX * NY];
    static uint32_t dq[3 * NX * NY];
    float um[] = {2.9F, 3.3F, 4.1F, NAN}, values[] = {1.0F, 1.4F, 2.2F};
    size_t axes[3] = {NX, NY, 3};
    memset(dq, 0, sizeof dq);
    for (int i = 0; i < 3 * NX * NY; i++) {
        sci[i] = values[i / (NX * NY)];
        error[i] = 0.02F * sci[i];
    }
    /* Flagged in the upper plane only: counts where that plane takes part. */
    dq[(2 * NY + MARK_Y + KIT_Y0 - 1) * NX + KIT_X0 - 1 + 20] = DQ_HOT;
    dq[(2 * NY + MARK_Y + KIT_Y0 - 1) * NX + KIT_X0 - 1 + 40] = DQ_HOT;
    struct fits_column column = {"wavelength", "um", FITS_FLOAT, 1, NULL, um};
    support_ok(fits_out_image(f, "SCI", NULL, FITS_FLOAT, 3, axes, sci, &err), &err);
    support_ok(fits_out_image(f, "ERR", NULL, FITS_FLOAT, 3, axes, error, &err), &err);
    support_ok(fits_out_image(f, "DQ", NULL, FITS_UINT32, made->dq_cube ? 3 : 2, axes,
                              dq, &err),
               &err);
    support_ok(fits_out_table(f, "WAVELENGTH", NULL, made->wrong_planes ? 2 : 4,
                              &column, 1, &err),
               &err);
    fast(f, made, 1, 0, 0);
}

static const struct made good = {0};

static void write_references(struct stage_kit *kit, const struct made *f,
                             const struct made *s, const struct made *d)
{
    stage_kit_write(support_path(kit->folder, "fflat.fits"), fill_fflat, f);
    stage_kit_write(support_path(kit->folder, "sflat.fits"), fill_sflat, s);
    stage_kit_write(support_path(kit->folder, "dflat.fits"), fill_dflat, d);
}

static double kink(double um)
{
    return 1 + 2 * fabs(um - 3.3);
}

/* The wavelength interval of a pixel, as the stage's doc tells. */
static double width(int x, int y)
{
    if (x == KIT_NX - 1) { /* the slice's last column: that of the one before */
        x--;
    }
    if (stage_kit_slice(x + 1, y) == stage_kit_slice(x, y)) {
        return 0.01;
    }
    /* The end of the slice in this row: rows 4..10 or 14..20 remain, mean 7 or 17. */
    double mean_row = stage_kit_slice(x, y) == 7 ? 7 : 17;
    return 0.01 + 0.001 * (mean_row - y);
}

static double expected_flat(int x, int y)
{
    double um = stage_kit_um(x, y), w = width(x, y), d = sqrt(0.15);
    double fore = (5 * kink(um - d * w) + 8 * kink(um) + 5 * kink(um + d * w)) / 18;
    double image = 1 + 0.001 * (x + KIT_X0 - 1) + 0.002 * (y + KIT_Y0 - 1);
    return fore * 2 * image * (1 + (um - 2.9));
}

/* Well inside the fast tables, with the whole interval? */
static int is_covered(int x, int y)
{
    double um = stage_kit_um(x, y);
    return um > 3.028 && um < 3.602;
}

static int is_marked(int x, int y)
{
    return y == MARK_Y && (x == NAN_X || x == ZERO_X || x == BAD_X || x == NEGATIVE_X);
}

static const uint32_t bad = DQ_NO_FLAT_FIELD | DQ_DO_NOT_USE | DQ_UNRELIABLE_FLAT;

START_TEST(test_flat_field_divides_by_the_product)
{
    struct stage_kit kit;
    struct err err = {0};
    stage_kit_init(&kit);
    write_references(&kit, &good, &good, &good);
    struct exposure *e = stage_kit_exposure(), *before = stage_kit_exposure();
    support_ok(stage_kit_run(&kit, &stage_flat_field, "", 2, e, &err), &err);
    ck_assert_str_eq(kit.used, "fflat sflat dflat ");
    int n = 0;
    for (int y = 0; y < KIT_NY; y++) {
        for (int x = 0; x < KIT_NX; x++) {
            int at = y * KIT_NX + x;
            if (!stage_kit_slice(x, y)) {
                ck_assert_uint_eq(e->dq[at], DQ_DO_NOT_USE);
                ck_assert(isnan(e->sci[at]) && isnan(e->err[at]));
                ck_assert(isnan(e->var_flat[at]) && isnan(e->var_poisson[at]));
                continue;
            }
            if (!is_covered(x, y) || (is_marked(x, y))) {
                continue;
            }
            /* Tables and images are floats, the table's kink adds up to 1e-7 / 0.01 of
             * a slope of 2 times a float's rounding of the knots: 1e-6 covers it. */
            double flat = expected_flat(x, y), sci = (double)before->sci[at] / flat;
            double var = 0.005 / (flat * flat);
            double relative = 0.01 * 0.01 + 0.1 * 0.1 + 0.02 * 0.02;
            double var_flat = sci * sci * relative;
            ck_assert_double_eq_tol((double)e->sci[at], sci, 1e-6 * sci);
            ck_assert_double_eq_tol((double)e->var_poisson[at], var, 2e-6 * var);
            ck_assert_double_eq_tol((double)e->var_rnoise[at], var, 2e-6 * var);
            /* The error of the fast part is not averaged: 0.5 % of 1 % at the kink. */
            ck_assert_double_eq_tol((double)e->var_flat[at], var_flat, 2e-4 * var_flat);
            ck_assert_double_eq_tol(
                (double)(e->err[at] * e->err[at]),
                (double)(e->var_poisson[at] + e->var_rnoise[at] + e->var_flat[at]),
                1e-6);
            ck_assert_uint_eq(e->dq[at],
                              x == MARK_X && y == MARK_Y ? DQ_UNRELIABLE_SLOPE : 0);
            n++;
        }
    }
    ck_assert_int_gt(n, 700);
    exposure_free(e);
    exposure_free(before);
    stage_kit_done(&kit);
}
END_TEST

START_TEST(test_flat_field_flags_what_has_no_flat)
{
    struct stage_kit kit;
    struct err err = {0};
    stage_kit_init(&kit);
    write_references(&kit, &good, &good, &good);
    struct exposure *e = stage_kit_exposure();
    support_ok(stage_kit_run(&kit, &stage_flat_field, "", 1, e, &err), &err);
    int x[] = {NAN_X, ZERO_X, BAD_X, NEGATIVE_X};
    for (int i = 0; i < 4; i++) {
        int at = MARK_Y * KIT_NX + x[i];
        ck_assert_uint_eq(e->dq[at], bad);
        ck_assert(isnan(e->sci[at]) && isnan(e->var_flat[at]));
    }
    /* Below and above the fast tables. */
    ck_assert_uint_eq(e->dq[MARK_Y * KIT_NX + 0], bad);
    ck_assert_uint_eq(e->dq[MARK_Y * KIT_NX + KIT_NX - 1], bad);
    exposure_free(e);
    stage_kit_done(&kit);
}
END_TEST

START_TEST(test_flat_field_reads_dq_definitions_and_cubes)
{
    struct stage_kit kit;
    struct err err = {0};
    struct made s = {.dq_def = 1}, d = {.dq_cube = 1};
    stage_kit_init(&kit);
    write_references(&kit, &good, &s, &d);
    struct exposure *e = stage_kit_exposure();
    support_ok(stage_kit_run(&kit, &stage_flat_field, "", 1, e, &err), &err);
    int row = MARK_Y * KIT_NX;
    ck_assert_uint_eq(e->dq[row + MARK_X], DQ_UNRELIABLE_SLOPE);
    ck_assert_uint_eq(e->dq[row + BAD_X], bad);
    ck_assert_uint_eq(e->dq[row + 20], 0); /* 3.205 um: the third plane is not used */
    ck_assert_uint_eq(e->dq[row + 40], DQ_HOT);
    exposure_free(e);
    stage_kit_done(&kit);
}
END_TEST

START_TEST(test_flat_field_inverse_and_interpolated_flat)
{
    struct stage_kit kit;
    struct err err = {0};
    stage_kit_init(&kit);
    write_references(&kit, &good, &good, &good);
    struct exposure *e = stage_kit_exposure(), *before = stage_kit_exposure();
    support_ok(stage_kit_run(&kit, &stage_flat_field, "save_interpolated_flat=true", 1,
                             e, &err),
               &err);
    int at = MARK_Y * KIT_NX + 40;
    double flat = expected_flat(40, MARK_Y);
    const struct exposure *kept = stage_kit_kept(&kit, "interpolatedflat");
    ck_assert_double_eq_tol((double)kept->sci[at], flat, 1e-6 * flat);
    ck_assert_double_eq_tol((double)kept->err[at], 0.1025 * flat, 1e-4 * flat);
    ck_assert(isnan(kept->sci[0]) && kept->dq[0] == DQ_DO_NOT_USE);
    support_ok(stage_kit_run(&kit, &stage_flat_field, "inverse=true", 1, e, &err),
               &err);
    ck_assert(fabsf(e->sci[at] - before->sci[at]) < 4e-7F); /* two roundings */
    ck_assert(fabsf(e->var_rnoise[at] - before->var_rnoise[at]) < 4e-9F);
    ck_assert(e->var_flat[at] == 0.0F);
    exposure_free(e);
    exposure_free(before);
    stage_kit_done(&kit);
}
END_TEST

static void fill_total(struct fits_out *f, const void *arg)
{
    (void)arg;
    struct err err = {0};
    static float sci[NX * NY];
    static uint32_t dq[NX * NY];
    size_t axes[2] = {NX, NY};
    for (int i = 0; i < NX * NY; i++) {
        sci[i] = 4;
    }
    dq[(KIT_Y0 - 1) * NX + KIT_X0 - 1] = DQ_HOT;
    support_ok(fits_out_image(f, "SCI", NULL, FITS_FLOAT, 2, axes, sci, &err), &err);
    support_ok(fits_out_image(f, "DQ", NULL, FITS_UINT32, 2, axes, dq, &err), &err);
}

START_TEST(test_flat_field_of_the_user)
{
    struct stage_kit kit;
    struct err err = {0};
    char params[4200];
    stage_kit_init(&kit);
    const char *path = support_path(kit.folder, "mine.fits");
    stage_kit_write(path, fill_total, NULL);
    snprintf(params, sizeof params, "user_supplied_flat=%s", path);
    struct exposure *e = stage_kit_exposure(), *before = stage_kit_exposure();
    support_ok(stage_kit_run(&kit, &stage_flat_field, params, 2, e, &err), &err);
    ck_assert_str_eq(kit.used, "flat ");
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        ck_assert(e->sci[i] == before->sci[i] / 4); /* exact: a power of two */
        ck_assert_uint_eq(e->dq[i], i == 0 ? DQ_HOT : 0);
    }
    exposure_free(e);
    exposure_free(before);
    stage_kit_done(&kit);
}
END_TEST

START_TEST(test_flat_field_same_bits_with_any_threads)
{
    struct stage_kit kit;
    struct err err = {0};
    struct exposure *e[3];
    const int threads[] = {1, 2, 8};
    stage_kit_init(&kit);
    write_references(&kit, &good, &good, &good);
    for (int i = 0; i < 3; i++) {
        e[i] = stage_kit_exposure();
        support_ok(stage_kit_run(&kit, &stage_flat_field, "", threads[i], e[i], &err),
                   &err);
    }
    size_t n = exposure_pixels(e[0]) * sizeof(float);
    for (int i = 1; i < 3; i++) {
        ck_assert(!memcmp(e[0]->sci, e[i]->sci, n));
        ck_assert(!memcmp(e[0]->err, e[i]->err, n));
        ck_assert(!memcmp(e[0]->var_flat, e[i]->var_flat, n));
        ck_assert(!memcmp(e[0]->dq, e[i]->dq, n));
    }
    for (int i = 0; i < 3; i++) {
        exposure_free(e[i]);
    }
    stage_kit_done(&kit);
}
END_TEST

static void refused(const struct made *f, const struct made *s, const struct made *d,
                    const char *file, const char *message)
{
    struct stage_kit kit;
    struct err err = {0};
    stage_kit_init(&kit);
    write_references(&kit, f, s, d);
    struct exposure *e = stage_kit_exposure();
    ck_assert_int_eq(stage_kit_run(&kit, &stage_flat_field, "", 1, e, &err),
                     ERR_REFERENCE);
    ck_assert_msg(strstr(err.message, message) && strstr(err.message, file), "%s",
                  err.message);
    exposure_free(e);
    stage_kit_done(&kit);
}

START_TEST(test_flat_field_refuses_bad_references)
{
    struct made made = {.without_data_column = 1};
    refused(&made, &good, &good, "fflat.fits", "data");
    made = (struct made){.falling = 1};
    refused(&good, &made, &good, "sflat.fits", "must increase");
    made = (struct made){.small = 1};
    refused(&good, &made, &good, "sflat.fits", "does not cover");
    made = (struct made){.wrong_planes = 1};
    refused(&good, &good, &made, "dflat.fits", "2 wavelengths, but SCI has 3 planes");
}
END_TEST

START_TEST(test_flat_field_refuses_a_window_outside)
{
    struct stage_kit kit;
    struct err err = {0};
    stage_kit_init(&kit);
    write_references(&kit, &good, &good, &good);
    struct exposure *e = stage_kit_exposure();
    e->meta.substrt2 = NY - KIT_NY + 2; /* one row too far */
    ck_assert_int_eq(stage_kit_run(&kit, &stage_flat_field, "", 1, e, &err),
                     ERR_REFERENCE);
    ck_assert_msg(strstr(err.message, "does not cover"), "%s", err.message);
    exposure_free(e);
    stage_kit_done(&kit);
}
END_TEST

START_TEST(test_flat_field_notices_a_file_that_shrank)
{
    struct stage_kit kit;
    struct err err = {0};
    const void *object;
    struct reference *ref;
    struct reference_choice choice;
    stage_kit_init(&kit);
    write_references(&kit, &good, &good, &good);
    struct exposure *e = stage_kit_exposure();
    const char *path = support_path(kit.folder, "sflat.fits");
    support_ok(references_choose(kit.refs, "sflat", &e->meta, path, &choice, &err),
               &err);
    support_ok(references_load(kit.refs, &choice, &ref, &object, &err), &err);
    support_truncate(path, 5760);
    const struct ref_flat *flat = object;
    float value;
    ck_assert_int_eq(ref_planes_floats(&flat->sci, 0, NX - 1, NY - 1, 1, &value, &err),
                     ERR_REFERENCE);
    ck_assert_msg(strstr(err.message, "shorter"), "%s", err.message);
    reference_release(ref);
    exposure_free(e);
    stage_kit_done(&kit);
}
END_TEST

START_TEST(test_flat_field_interval_of_each_pixel)
{
    struct err err = {0};
    struct slice_columns c;
    struct exposure *e = stage_kit_exposure();
    double w[KIT_NX];
    support_ok(slice_columns_init(&c, e, NULL, NULL, &err), &err);
    slice_columns_widths(&c, e, 0, 5, KIT_NX, w);
    for (int x = 0; x < KIT_NX; x++) { /* differences of numbers near 3 */
        ck_assert_double_eq_tol(w[x], width(x, 5), 1e-14);
    }
    slice_columns_widths(&c, e, 0, 3, 32, w); /* row 3 ends at column 31 */
    ck_assert_double_eq_tol(w[30], 0.01, 1e-14);
    ck_assert_double_eq_tol(w[31], 0.014, 1e-14);
    slice_columns_done(&c);
    exposure_free(e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flat_field");
    TCase *t = tcase_create("flat_field");
    tcase_add_test(t, test_flat_field_divides_by_the_product);
    tcase_add_test(t, test_flat_field_flags_what_has_no_flat);
    tcase_add_test(t, test_flat_field_reads_dq_definitions_and_cubes);
    tcase_add_test(t, test_flat_field_inverse_and_interpolated_flat);
    tcase_add_test(t, test_flat_field_of_the_user);
    tcase_add_test(t, test_flat_field_same_bits_with_any_threads);
    tcase_add_test(t, test_flat_field_refuses_bad_references);
    tcase_add_test(t, test_flat_field_refuses_a_window_outside);
    tcase_add_test(t, test_flat_field_notices_a_file_that_shrank);
    tcase_add_test(t, test_flat_field_interval_of_each_pixel);
    suite_add_tcase(s, t);
    return support_run(s);
}
