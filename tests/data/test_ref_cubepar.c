#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/fits_io.h"
#include "common/data/ref_cubepar.h"
#include "tests/support.h"

static const char *const dispersers[] = {"PRISM", "G395M", "G395H"};
static const char *const filters[] = {"CLEAR", "F290LP", "F290LP"};
static const float low[] = {0.6f, 2.87f, 2.87f}, high[] = {5.3f, 5.27f, 5.27f};
static const float spaxel[] = {0.1f, 0.1f, 0.1f}, step[] = {0.005f, 1.79e-3f, 6.65e-4f};

/* A file with the table of steps (without its last column if `cut`) and a table of the
 * given wavelengths for the H dispersers. */
static void write_cubepar(const char *path, int cut, const float *waves, size_t n)
{
    struct err err = {0};
    struct fits_out *f = NULL;
    const struct fits_column columns[] = {
        {.name = "DISPERSER", .type = FITS_STRING, .repeat = 5, .data = dispersers},
        {.name = "FILTER", .type = FITS_STRING, .repeat = 6, .data = filters},
        {.name = "WAVEMIN", .type = FITS_FLOAT, .repeat = 1, .data = low},
        {.name = "WAVEMAX", .type = FITS_FLOAT, .repeat = 1, .data = high},
        {.name = "SPAXELSIZE", .type = FITS_FLOAT, .repeat = 1, .data = spaxel},
        {.name = "SPECTRALSTEP", .type = FITS_FLOAT, .repeat = 1, .data = step}};
    const struct fits_column wave = {
        .name = "WAVELENGTH", .type = FITS_FLOAT, .repeat = 1, .data = waves};
    support_ok(fits_out_create(path, &f, &err), &err);
    support_ok(fits_out_primary(f, NULL, &err), &err);
    support_ok(fits_out_table(f, "CUBEPAR", NULL, 3, columns, cut ? 5 : 6, &err), &err);
    support_ok(fits_out_table(f, "MULTICHAN_HIGH_DRIZZLE", NULL, n, &wave, 1, &err),
               &err);
    const struct fits_column regions[] = {
        columns[0],
        columns[1],
        {.name = "ROISPATIAL", .type = FITS_FLOAT, .repeat = 1, .data = spaxel},
        {.name = "ROISPECTRAL", .type = FITS_FLOAT, .repeat = 1, .data = step},
        {.name = "SCALERAD", .type = FITS_FLOAT, .repeat = 1, .data = low}};
    const struct fits_column waved[] = {
        wave,
        {.name = "ROISPATIAL", .type = FITS_FLOAT, .repeat = 1, .data = spaxel},
        {.name = "ROISPECTRAL", .type = FITS_FLOAT, .repeat = 1, .data = step},
        {.name = "POWER", .type = FITS_FLOAT, .repeat = 1, .data = low},
        {.name = "SOFTRAD", .type = FITS_FLOAT, .repeat = 1, .data = high}};
    support_ok(fits_out_table(f, "CUBEPAR_EMSM", NULL, 3, regions, 5, &err), &err);
    support_ok(fits_out_table(f, "MULTICHAN_PRISM_MSM", NULL, 2, waved, 5, &err), &err);
    support_ok(fits_out_close(f, &err), &err);
}

START_TEST(test_ref_cubepar_load)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "cubepar.fits");
    const float waves[] = {1.0f, 2.0f, 4.0f};
    struct err err = {0};
    void *object = NULL;
    size_t bytes = 0;
    write_cubepar(path, 0, waves, 3);
    support_ok(ref_cubepar_load(path, &object, &bytes, &err), &err);
    const struct ref_cubepar *par = object;
    ck_assert_uint_ge(bytes, sizeof *par);
    const struct ref_cubepar_row *row = ref_cubepar_find(par, "g395h", "F290LP");
    ck_assert_ptr_nonnull(row);
    ck_assert_double_eq(row->step_um, (double)6.65e-4f);
    ck_assert_double_eq(row->wave_min_um, (double)2.87f);
    ck_assert_double_eq(row->wave_max_um, (double)5.27f);
    ck_assert_double_eq(row->spaxel_arcsec, (double)0.1f);
    ck_assert_ptr_null(ref_cubepar_find(par, "G395H", "F170LP"));
    ck_assert_uint_eq(ref_cubepar_waves_of(par, CUBEPAR_DRIZZLE, "G140H")->n, 3);
    ck_assert_double_eq(ref_cubepar_waves_of(par, CUBEPAR_DRIZZLE, "G140H")->um[2], 4);
    ck_assert_uint_eq(ref_cubepar_waves_of(par, CUBEPAR_DRIZZLE, "PRISM")->n, 0);
    ck_assert_uint_eq(ref_cubepar_waves_of(par, CUBEPAR_DRIZZLE, "G235M")->n, 0);
    const struct ref_cubepar_shepard *emsm =
        ref_cubepar_find_shepard(par, CUBEPAR_EMSM, "g395m", "f290lp");
    ck_assert_ptr_nonnull(emsm);
    ck_assert_double_eq(emsm->rois_arcsec, (double)0.1f);
    ck_assert_double_eq(emsm->roiw_um, (double)1.79e-3f);
    ck_assert_double_eq(emsm->scalerad, (double)2.87f);
    ck_assert(isnan(emsm->power) && isnan(emsm->softrad));
    ck_assert_ptr_null(ref_cubepar_find_shepard(par, CUBEPAR_MSM, "G395M", "F290LP"));
    const struct ref_cubepar_waves *msm =
        ref_cubepar_waves_of(par, CUBEPAR_MSM, "PRISM");
    ck_assert_uint_eq(msm->n, 2);
    ck_assert_double_eq(msm->shepard[1].power, (double)2.87f);
    ck_assert_double_eq(msm->shepard[1].softrad, (double)5.27f);
    ck_assert(isnan(msm->shepard[1].scalerad));
    ck_assert_uint_eq(ref_cubepar_waves_of(par, CUBEPAR_EMSM, "PRISM")->n, 0);
    ref_cubepar_free(object);
    support_remove(folder);
}
END_TEST

START_TEST(test_ref_cubepar_refuses)
{
    char *folder = support_folder();
    const float waves[] = {1.0f, 3.0f, 2.0f};
    struct err err = {0};
    void *object = NULL;
    size_t bytes = 0;
    const char *cut = support_path(folder, "cut.fits");
    write_cubepar(cut, 1, waves, 3);
    ck_assert_int_eq(ref_cubepar_load(cut, &object, &bytes, &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "SPECTRALSTEP"));
    const char *wild = support_path(folder, "wild.fits");
    write_cubepar(wild, 0, waves, 3);
    ck_assert_int_eq(ref_cubepar_load(wild, &object, &bytes, &err), ERR_REFERENCE);
    ck_assert_ptr_nonnull(strstr(err.message, "MULTICHAN_HIGH_DRIZZLE"));
    ck_assert_ptr_nonnull(strstr(err.message, "row 3"));
    ck_assert_ptr_null(object);
    support_remove(folder);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ref_cubepar");
    TCase *t = tcase_create("ref_cubepar");
    tcase_add_test(t, test_ref_cubepar_load);
    tcase_add_test(t, test_ref_cubepar_refuses);
    suite_add_tcase(s, t);
    return support_run(s);
}
