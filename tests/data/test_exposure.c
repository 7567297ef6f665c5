#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "common/data/exposure_io.h"
#include "tests/support.h"

static char *folder;
static struct err err;
static struct exposure *e;

static void setup(void)
{
    folder = support_folder();
    err = (struct err){0};
    e = support_exposure(64, 32, 101, 501, "NRS1", "F290LP", "G395H");
}

static void teardown(void)
{
    exposure_free(e);
    support_remove(folder);
}

/* Writing e and reading it must fail with this code and a message that holds `says`. */
static void refused(int code, const char *says)
{
    struct exposure *back = NULL;
    const char *path = support_path(folder, "x_rate.fits");
    remove(path);
    support_write_rate(path, e);
    ck_assert_int_eq(exposure_read(path, &back, &err), code);
    ck_assert_ptr_null(back);
    ck_assert_msg(strstr(err.message, says) && strstr(err.message, "x_rate.fits"),
                  "'%s' does not say '%s'", err.message, says);
}

static void text(const char *keyword, const char *value)
{
    support_ok(header_set_string(&e->primary, keyword, value, NULL, &err), &err);
}

START_TEST(test_exposure_round_trip)
{
    struct exposure *back = NULL;
    const char *path = support_path(folder, "a_rate.fits");
    e->dq[5] = DQ_SATURATED | DQ_REFERENCE_PIXEL;
    e->sci[7] = NAN;
    support_write_rate(path, e);
    support_ok(exposure_read(path, &back, &err), &err);
    ck_assert_int_eq(back->nx, 64);
    ck_assert_int_eq(back->ny, 32);
    ck_assert_int_eq(memcmp(back->sci, e->sci, 64 * 32 * sizeof *e->sci), 0);
    ck_assert_int_eq(memcmp(back->err, e->err, 64 * 32 * sizeof *e->err), 0);
    ck_assert_int_eq(memcmp(back->dq, e->dq, 64 * 32 * sizeof *e->dq), 0);
    ck_assert_ptr_null(back->var_flat);
    ck_assert_ptr_null(back->wavelength);
    ck_assert_str_eq(back->meta.filename, "a_rate.fits");
    ck_assert_str_eq(back->meta.detector, "NRS1");
    ck_assert_str_eq(back->meta.target_name, "TEST TARGET");
    ck_assert_str_eq(back->meta.bunit, "DN/s");
    ck_assert_str_eq(back->meta.source_type, "POINT"); /* stands in the SCI header */
    ck_assert_int_eq(back->meta.substrt1, 101);
    ck_assert_int_eq(back->meta.substrt2, 501);
    ck_assert_int_eq(back->meta.pattern_total, 4);
    ck_assert(back->meta.has_velosys);
    ck_assert_double_eq(back->meta.velosys, -12345.6);
    ck_assert_double_eq(back->meta.gwa_xtilt, 0.3562);
    ck_assert_double_eq(back->meta.va_scale, 1.00002);
    ck_assert(!back->meta.is_imprint);
    exposure_free(back);
}
END_TEST

START_TEST(test_exposure_headers_only)
{
    struct exposure *back = NULL;
    const char *path = support_path(folder, "a_rate.fits");
    support_ok(header_set_bool(&e->primary, "IS_IMPRT", true, NULL, &err), &err);
    support_write_rate(path, e);
    support_ok(exposure_read_headers(path, &back, &err), &err);
    ck_assert_ptr_null(back->sci);
    ck_assert_int_eq(back->nx, 64);
    ck_assert(back->meta.is_imprint);
    exposure_free(back);
}
END_TEST

START_TEST(test_exposure_nine_pairs)
{
    static const char *const good[9][2] = {
        {"PRISM", "CLEAR"},  {"G140M", "F070LP"}, {"G140M", "F100LP"},
        {"G140H", "F070LP"}, {"G140H", "F100LP"}, {"G235M", "F170LP"},
        {"G235H", "F170LP"}, {"G395M", "F290LP"}, {"G395H", "F290LP"}};
    static const char *const bad[][2] = {{"PRISM", "F290LP"},
                                         {"G395H", "F170LP"},
                                         {"MIRROR", "CLEAR"},
                                         {"G235H", "F070LP"}};
    for (size_t i = 0; i < 9; i++) {
        exposure_free(e);
        e = support_exposure(8, 8, 1, 1, "NRS1", good[i][1], good[i][0]);
        ck_assert_str_eq(e->meta.grating, good[i][0]);
        /* the H gratings reach NRS2, but not at the blue end of G140H */
        const bool high = strchr(good[i][0], 'H') && strcmp(good[i][1], "F070LP");
        text("DETECTOR", "NRS2");
        if (high) {
            support_ok(exposure_read_meta(e, "a_rate.fits", &err), &err);
        } else {
            refused(ERR_INPUT, "never reaches DETECTOR NRS2");
        }
        text("DETECTOR", "NRS1");
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        text("GRATING", bad[i][0]);
        text("FILTER", bad[i][1]);
        refused(ERR_INPUT, "expected PRISM with CLEAR");
    }
}
END_TEST

START_TEST(test_exposure_refuses_what_it_is_not)
{
    text("EXP_TYPE", "NRS_MSASPEC");
    refused(ERR_INPUT, "EXP_TYPE is 'NRS_MSASPEC'; expected 'NRS_IFU'");
    text("EXP_TYPE", "NRS_IFU");
    text("INSTRUME", "MIRI");
    refused(ERR_INPUT, "INSTRUME is 'MIRI'; expected 'NIRSPEC'");
    text("INSTRUME", "NIRSPEC");
    text("DETECTOR", "NRS3");
    refused(ERR_INPUT, "DETECTOR is 'NRS3'; expected 'NRS1' or 'NRS2'");
    text("DETECTOR", "A NAME THAT IS TOO LONG");
    refused(ERR_INPUT, "at most 7 bytes");
    text("DETECTOR", "NRS1");
    text("DATE-OBS", "12 March");
    refused(ERR_INPUT, "expected yyyy-mm-dd");
    header_remove(&e->primary, "DATE-OBS");
    refused(ERR_INPUT, "DATE-OBS is missing");
}
END_TEST

START_TEST(test_exposure_wrong_data_model)
{
    struct err before = {0};
    text("DATAMODL", "SlitModel");
    ck_assert_int_eq(exposure_read_meta(e, "x_rate.fits", &before), ERR_INPUT);
    ck_assert_str_eq(before.message,
                     "x_rate.fits: DATAMODL is 'SlitModel'; expected 'IFUImageModel'");
    ck_assert_str_eq(e->meta.detector, "NRS1"); /* untouched by the failure */
}
END_TEST

START_TEST(test_exposure_needs_pointing)
{
    static const char *const needed[] = {"RA_REF",  "DEC_REF",  "V2_REF",
                                         "V3_REF",  "ROLL_REF", "V3I_YANG",
                                         "VPARITY", "GWA_XTIL", "GWA_YTIL"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        struct header *h =
            header_find(&e->primary, needed[i]) ? &e->primary : &e->science;
        struct header kept = {0};
        support_ok(header_copy(&kept, h, &err), &err);
        header_remove(h, needed[i]);
        refused(ERR_INPUT, needed[i]);
        support_ok(header_set_string(h, needed[i], "NaN", NULL, &err), &err);
        refused(ERR_INPUT, needed[i]);
        support_ok(header_copy(h, &kept, &err), &err);
        header_done(&kept);
    }
    support_ok(header_set_real(&e->science, "DEC_REF", 91, NULL, &err), &err);
    refused(ERR_INPUT, "DEC_REF is 91; expected -90 to 90");
}
END_TEST

START_TEST(test_exposure_temperature_only_for_prism)
{
    header_remove(&e->primary, "GWA_TILT");
    support_ok(exposure_read_meta(e, "x", &err), &err);
    ck_assert(isnan(e->meta.gwa_temperature));
    text("GRATING", "PRISM");
    text("FILTER", "CLEAR");
    refused(ERR_INPUT, "GWA_TILT is missing");
}
END_TEST

START_TEST(test_exposure_optional_keywords)
{
    header_remove(&e->science, "VELOSYS");
    header_remove(&e->science, "VA_SCALE");
    header_remove(&e->primary, "TARGPROP");
    support_ok(header_set_real(&e->primary, "TARG_RA", NAN, NULL, &err), &err);
    support_ok(exposure_read_meta(e, "x", &err), &err);
    ck_assert(!e->meta.has_velosys);
    ck_assert_double_eq(e->meta.va_scale, 1);
    ck_assert(isnan(e->meta.target_ra));
    ck_assert_str_eq(e->meta.target_name, "TEST TARGET"); /* TARGNAME */
}
END_TEST

START_TEST(test_exposure_subarray_must_fit)
{
    support_ok(header_set_int(&e->primary, "SUBSTRT1", 2000, NULL, &err), &err);
    refused(ERR_INPUT, "SUBSTRT1 is 2000");
    support_ok(header_set_int(&e->primary, "SUBSTRT1", 0, NULL, &err), &err);
    refused(ERR_INPUT, "expected a whole number in 1..2048");
    header_remove(&e->primary, "SUBSTRT1"); /* a part of the frame needs its place */
    refused(ERR_INPUT, "SUBSTRT1 is missing");
    support_ok(header_set_int(&e->primary, "SUBSTRT1", 1, NULL, &err), &err);
    support_ok(header_set_int(&e->primary, "SUBSIZE2", 33, NULL, &err), &err);
    refused(ERR_INPUT, "SUBSIZE2 is 33, but NAXIS2 of SCI is 32");
}
END_TEST

START_TEST(test_exposure_missing_extensions)
{
    float *sci = e->sci;
    e->sci = NULL;
    refused(ERR_INPUT, "there is no extension SCI");
    e->sci = sci;
    float *variance = e->var_rnoise;
    e->var_rnoise = NULL;
    refused(ERR_INPUT, "there is no extension VAR_RNOISE");
    e->var_rnoise = variance;
    uint32_t *dq = e->dq;
    e->dq = NULL;
    refused(ERR_INPUT, "there is no extension DQ");
    e->dq = dq;
}
END_TEST

START_TEST(test_exposure_nothing_finite)
{
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        e->sci[i] = i % 2 ? NAN : INFINITY;
    }
    refused(ERR_NODATA, "no pixel of 2048 is finite");
}
END_TEST

START_TEST(test_exposure_truncated)
{
    struct exposure *back = NULL;
    size_t n;
    const char *path = support_path(folder, "a_rate.fits");
    support_write_rate(path, e);
    free(support_read_file(path, &n));
    support_truncate(path, n - 3 * 2880); /* ASDF is behind it, of two blocks */
    ck_assert_int_eq(exposure_read(path, &back, &err), ERR_INPUT);
    ck_assert_msg(strstr(err.message, "(VAR_RNOISE): the file is cut short") != NULL,
                  "%s", err.message);
    ck_assert_int_eq(exposure_read_headers(path, &back, &err), ERR_INPUT);
}
END_TEST

START_TEST(test_exposure_all_planes_round_trip)
{
    struct exposure *back = NULL;
    size_t n = exposure_pixels(e);
    const char *path = support_path(folder, "a_cal.fits");
    e->var_flat = calloc(n, sizeof *e->var_flat);
    e->pathloss_ps = calloc(n, sizeof *e->pathloss_ps);
    e->pathloss_un = calloc(n, sizeof *e->pathloss_un);
    e->regions = calloc(n, sizeof *e->regions);
    e->wavelength = calloc(n, sizeof *e->wavelength);
    for (size_t i = 0; i < n; i++) {
        e->regions[i] = (uint8_t)(i % 31);
        e->wavelength[i] = i % 31 ? 2.5 + (double)i / 1024 : (double)NAN;
        e->pathloss_ps[i] = 0.5F;
    }
    support_write_rate(path, e);
    support_ok(exposure_read(path, &back, &err), &err);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(back->regions[i], e->regions[i]);
        if (e->regions[i]) {
            ck_assert_double_eq(back->wavelength[i],
                                e->wavelength[i]); /* fits a float */
        } else {
            ck_assert(isnan(back->wavelength[i]));
        }
    }
    ck_assert_int_eq(memcmp(back->pathloss_ps, e->pathloss_ps, n * sizeof(float)), 0);
    ck_assert_ptr_nonnull(back->pathloss_un);
    ck_assert_ptr_nonnull(back->var_flat);
    exposure_free(back);
}
END_TEST

START_TEST(test_exposure_nans_and_flags_go_together)
{
    e->sci[3] = NAN;
    e->var_poisson[9000 % 2048] = NAN;
    e->dq[20] = DQ_DO_NOT_USE | DQ_DEAD;
    e->dq[21] = DQ_SATURATED;
    exposure_match_nans(e);
    ck_assert_uint_eq(e->dq[3], DQ_DO_NOT_USE);
    ck_assert(isnan(e->err[3]) && isnan(e->var_rnoise[3]) && isnan(e->var_poisson[3]));
    ck_assert_uint_eq(e->dq[9000 % 2048], DQ_DO_NOT_USE);
    ck_assert(isnan(e->sci[9000 % 2048]));
    ck_assert_uint_eq(e->dq[20], DQ_DO_NOT_USE | DQ_DEAD);
    ck_assert(isnan(e->sci[20]) && isnan(e->err[20]));
    ck_assert_uint_eq(e->dq[21], DQ_SATURATED);
    ck_assert(isfinite(e->sci[21]));
    ck_assert_uint_eq(e->dq[22], 0);
}
END_TEST

START_TEST(test_exposure_rejected_pixel)
{
    exposure_reject(e, 7, DQ_OUTLIER);
    ck_assert_uint_eq(e->dq[7], DQ_DO_NOT_USE | DQ_OUTLIER);
    ck_assert(isnan(e->sci[7]) && isnan(e->err[7]) && isnan(e->var_poisson[7]));
    ck_assert(isfinite(e->sci[6]) && isfinite(e->sci[8]) && !e->dq[6] && !e->dq[8]);
}
END_TEST

/* Piece by piece and by any number of threads it is what exposure_read gives, with flags
 * and NaNs of all planes together. 600 x 100 pixels are several pieces, the last in part. */
START_TEST(test_exposure_for_cube)
{
    const char *path = support_path(folder, "b_cal.fits");
    exposure_free(e);
    e = support_exposure(600, 100, 1, 501, "NRS1", "F290LP", "G395H");
    const size_t n = exposure_pixels(e);
    e->regions = calloc(n, 1);
    e->var_flat = calloc(n, sizeof(float));
    for (size_t i = 0; i < n; i++) {
        e->regions[i] = (uint8_t)(i % 31);
        e->sci[i] = (float)i;
        e->dq[i] = i % 5 ? 0 : DQ_SATURATED;
    }
    e->sci[0] = e->err[8191] = e->var_poisson[8192] = e->var_rnoise[40000] = NAN;
    e->var_flat[n - 1] = NAN;
    e->dq[20] = DQ_DO_NOT_USE;
    support_write_rate(path, e);
    exposure_match_nans(e);
    for (int threads = 0; threads < 4; threads++) {
        struct par *par = NULL;
        struct exposure *back = NULL;
        if (threads) {
            support_ok(par_new(threads, &par, &err), &err);
        }
        support_ok(exposure_read_for_cube(path, par, &back, &err), &err);
        ck_assert_int_eq(memcmp(back->sci, e->sci, n * sizeof *e->sci), 0);
        ck_assert_int_eq(memcmp(back->err, e->err, n * sizeof *e->err), 0);
        ck_assert_int_eq(memcmp(back->dq, e->dq, n * sizeof *e->dq), 0);
        ck_assert_int_eq(memcmp(back->regions, e->regions, n), 0);
        ck_assert(!back->var_poisson && !back->var_background && !back->wavelength);
        exposure_free(back);
        par_free(par);
    }
}
END_TEST

START_TEST(test_exposure_for_cube_wrong_slice)
{
    const char *path = support_path(folder, "x_cal.fits");
    struct exposure *back = NULL;
    e->regions = calloc(exposure_pixels(e), 1);
    e->regions[1000] = 31;
    support_write_rate(path, e);
    ck_assert_int_eq(exposure_read_for_cube(path, NULL, &back, &err), ERR_INPUT);
    ck_assert_ptr_null(back);
    ck_assert_ptr_nonnull(strstr(err.message, "(REGIONS): pixel 1000 is 31"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("exposure");
    TCase *t = tcase_create("exposure");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_exposure_round_trip);
    tcase_add_test(t, test_exposure_headers_only);
    tcase_add_test(t, test_exposure_nine_pairs);
    tcase_add_test(t, test_exposure_refuses_what_it_is_not);
    tcase_add_test(t, test_exposure_wrong_data_model);
    tcase_add_test(t, test_exposure_needs_pointing);
    tcase_add_test(t, test_exposure_temperature_only_for_prism);
    tcase_add_test(t, test_exposure_optional_keywords);
    tcase_add_test(t, test_exposure_subarray_must_fit);
    tcase_add_test(t, test_exposure_missing_extensions);
    tcase_add_test(t, test_exposure_nothing_finite);
    tcase_add_test(t, test_exposure_truncated);
    tcase_add_test(t, test_exposure_all_planes_round_trip);
    tcase_add_test(t, test_exposure_nans_and_flags_go_together);
    tcase_add_test(t, test_exposure_rejected_pixel);
    tcase_add_test(t, test_exposure_for_cube);
    tcase_add_test(t, test_exposure_for_cube_wrong_slice);
    suite_add_tcase(s, t);
    return support_run(s);
}
