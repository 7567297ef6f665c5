#include <check.h>
#include <math.h>
#include <string.h>
#include "common/data/dq.h"
#include "tests/stages/stage_kit.h"
#include "tests/support.h"

/*
 * The synthetic references: response 1 + (um - 3) on 3.1, 3.3, 3.5 um (NELEM leaves out
 * a fourth), two rows of which the second is the exposure's; slice s has an area of
 * 0.01 + 0.0001 (s - 1) arcsec^2.
 */
struct made {
    int rows, in_metres, without_response, falling, time_rows, n_slices;
    const char *grating;
};

static const struct made good = {.rows = 2, .n_slices = 30, .grating = "G395H"};

static void fill_photom(struct fits_out *f, const void *arg)
{
    const struct made *made = arg;
    struct err err = {0};
    double unit = made->in_metres ? 1e-6 : 1;
    const char *filter[] = {"F100LP", "F290LP"}, *grating[] = {"G140H", made->grating};
    float photmj[] = {9, 5e-12F};
    int16_t nelem[] = {3, 3};
    float um[8], response[8];
    for (int i = 0; i < 8; i++) {
        int k = i % 4;
        um[i] = (float)((made->falling ? 3.5 - 0.2 * k : 3.1 + 0.2 * k) * unit);
        response[i] = k < 3 ? 1.1F + 0.2F * (float)k : 99;
    }
    struct fits_column columns[] = {
        {"filter", "", FITS_STRING, 12, NULL, filter},
        {"grating", "", FITS_STRING, 15, NULL, grating},
        {"photmj", "MJy s / DN", FITS_FLOAT, 1, NULL, photmj},
        {"nelem", "", FITS_INT16, 1, NULL, nelem},
        {"wavelength", "um", FITS_FLOAT, 4, NULL, um},
        {"relresponse", "", FITS_FLOAT, 4, NULL, response}};
    support_ok(fits_out_table(f, "PHOTOM", NULL, (size_t)made->rows, columns,
                              made->without_response ? 5 : 6, &err),
               &err);
    if (made->time_rows) {
        support_ok(fits_out_table(f, "TIMECOEFF_LINEAR", NULL, (size_t)made->time_rows,
                                  columns, 2, &err),
                   &err);
    }
}

static void fill_area(struct fits_out *f, const void *arg)
{
    const struct made *made = arg;
    struct err err = {0};
    int16_t id[30];
    float area[30];
    for (int i = 0; i < 30; i++) { /* not in order: ids must be looked up */
        id[i] = (int16_t)(29 - i);
        area[i] = 0.01F + 0.0001F * (float)id[i];
    }
    struct fits_column columns[] = {{"slice_id", "", FITS_INT16, 1, NULL, id},
                                    {"pixarea", "arcsec2", FITS_FLOAT, 1, NULL, area}};
    support_ok(
        fits_out_table(f, "AREA", NULL, (size_t)made->n_slices, columns, 2, &err),
        &err);
}

static void write_references(struct stage_kit *kit, const struct made *made)
{
    stage_kit_write(support_path(kit->folder, "photom.fits"), fill_photom, made);
    stage_kit_write(support_path(kit->folder, "area.fits"), fill_area, made);
}

/* MJy/sr per DN/s; beyond the table its ends hold. */
static double expected(int x, int y)
{
    double um = stage_kit_um(x, y), sr = pow(M_PI / 180 / 3600, 2);
    double response = 1 + (um < 3.1 ? 0.1 : um > 3.5 ? 0.5 : um - 3);
    return response * 5e-12 / ((0.01 + 0.0001 * (stage_kit_slice(x, y) - 1)) * sr);
}

static void run_good(const struct made *made, int threads, const char *source_type)
{
    struct stage_kit kit;
    struct err err = {0};
    const char *unit;
    double real;
    stage_kit_init(&kit);
    write_references(&kit, made);
    struct exposure *e = stage_kit_exposure(), *before = stage_kit_exposure();
    strcpy(e->meta.source_type, source_type);
    support_ok(stage_kit_run(&kit, &stage_photom, "", threads, e, &err), &err);
    ck_assert_str_eq(kit.used, "photom area ");
    for (int y = 0; y < e->ny; y++) {
        for (int x = 0; x < e->nx; x++) {
            int at = y * e->nx + x;
            if (!stage_kit_slice(x, y)) {
                ck_assert_uint_eq(e->dq[at], DQ_NON_SCIENCE);
                ck_assert(e->sci[at] == before->sci[at]);
                continue;
            }
            /* Table, wavelength and area are floats: some 1e-7 each. */
            double by = expected(x, y), sci = (double)before->sci[at] * by;
            ck_assert_uint_eq(e->dq[at], 0);
            ck_assert_double_eq_tol((double)e->sci[at], sci, 1e-6 * sci);
            ck_assert_double_eq_tol((double)e->err[at], 0.1 * by, 1e-6 * by);
            ck_assert_double_eq_tol((double)e->var_rnoise[at], 0.005 * by * by,
                                    1e-8 * by * by);
        }
    }
    ck_assert_str_eq(e->meta.bunit, "MJy/sr");
    ck_assert(header_get_string(&e->science, "BUNIT", &unit));
    ck_assert_str_eq(unit, "MJy/sr");
    ck_assert(header_get_real(&e->science, "PIXAR_A2", &real));
    ck_assert_double_eq_tol(real, 0.01145, 1e-8); /* the mean of all thirty */
    ck_assert(header_get_real(&e->science, "PHOTMJSR", &real));
    ck_assert_double_eq_tol(real, 5e-12 / 0.01145 / pow(M_PI / 180 / 3600, 2), 1e-4);
    exposure_free(e);
    exposure_free(before);
    stage_kit_done(&kit);
}

START_TEST(test_photom_surface_brightness)
{
    struct made made = good;
    run_good(&made, 1, "EXTENDED");
    run_good(&made, 4, "POINT"); /* the same for a point source */
    made.in_metres = 1;
    run_good(&made, 1, "POINT");
    made = good;
    made.time_rows = 2; /* accepted, not applied */
    run_good(&made, 1, "POINT");
}
END_TEST

START_TEST(test_photom_inverse_undoes)
{
    struct stage_kit kit;
    struct err err = {0};
    stage_kit_init(&kit);
    write_references(&kit, &good);
    struct exposure *e = stage_kit_exposure(), *before = stage_kit_exposure();
    support_ok(stage_kit_run(&kit, &stage_photom, "", 1, e, &err), &err);
    support_ok(stage_kit_run(&kit, &stage_photom, "inverse=true", 1, e, &err), &err);
    ck_assert_str_eq(e->meta.bunit, "DN/s");
    for (size_t i = 0; i < exposure_pixels(e); i++) { /* two roundings */
        ck_assert(fabsf(e->sci[i] - before->sci[i]) <= 4e-7F);
    }
    exposure_free(e);
    exposure_free(before);
    stage_kit_done(&kit);
}
END_TEST

static void refused(const struct made *made, const char *file, const char *message)
{
    struct stage_kit kit;
    struct err err = {0};
    stage_kit_init(&kit);
    write_references(&kit, made);
    struct exposure *e = stage_kit_exposure();
    ck_assert_int_eq(stage_kit_run(&kit, &stage_photom, "", 1, e, &err), ERR_REFERENCE);
    ck_assert_msg(strstr(err.message, message) && strstr(err.message, file), "%s",
                  err.message);
    exposure_free(e);
    stage_kit_done(&kit);
}

START_TEST(test_photom_refuses_bad_references)
{
    struct made made = good;
    made.without_response = 1;
    refused(&made, "photom.fits", "relresponse");
    made = good;
    made.grating = "PRISM";
    refused(&made, "photom.fits", "0 rows with filter F290LP and grating G395H");
    made = good;
    made.falling = 1;
    refused(&made, "photom.fits", "must increase");
    made = good;
    made.time_rows = 1;
    refused(&made, "photom.fits", "TIMECOEFF_LINEAR");
    made = good;
    made.n_slices = 29; /* the last row is slice_id 0 */
    refused(&made, "area.fits", "slice_id 0");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("photom");
    TCase *t = tcase_create("photom");
    tcase_add_test(t, test_photom_surface_brightness);
    tcase_add_test(t, test_photom_inverse_undoes);
    tcase_add_test(t, test_photom_refuses_bad_references);
    suite_add_tcase(s, t);
    return support_run(s);
}
