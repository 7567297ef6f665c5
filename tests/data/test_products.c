#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/cube_io.h"
#include "common/data/exposure_io.h"
#include "common/data/spectrum_io.h"
#include "tests/support.h"

static char *folder;
static struct err err;
static struct provenance p;

static void setup(void)
{
    folder = support_folder();
    err = (struct err){0};
    p = (struct provenance){.version = "1.2.3", .date = "2024-03-12T01:02:03.000"};
    memset(p.manifest_sha256, 'a', 64);
    support_ok(provenance_add(&p, PROVENANCE_INPUT, "", "exposure", "x_rate.fits",
                              p.manifest_sha256, &err),
               &err);
    support_ok(provenance_add(&p, PROVENANCE_REFERENCE, "assign_wcs", "camera",
                              "camera_0002.asdf", p.manifest_sha256, &err),
               &err);
    support_ok(provenance_add(&p, PROVENANCE_REFERENCE, "assign_wcs", "camera",
                              "camera_0003.asdf", p.manifest_sha256, &err),
               &err);
    support_ok(provenance_add(&p, PROVENANCE_PARAMETER, "cube_build", "weighting",
                              "drizzle", NULL, &err),
               &err);
}

static void teardown(void)
{
    provenance_done(&p);
    support_remove(folder);
}

static struct fits_in *open_ok(const char *path)
{
    struct fits_in *f = NULL;
    support_ok(fits_in_open(path, ERR_INPUT, &f, &err), &err);
    return f;
}

/* The file has exactly these HDUs, in order. */
static void check_hdus(const struct fits_in *f, const char *const *names, int n)
{
    ck_assert_int_eq(fits_in_count(f), n);
    for (int i = 0; i < n; i++) {
        ck_assert_str_eq(fits_in_hdu(f, i)->extname, names[i]);
    }
}

static const char *text_of(const struct header *h, const char *keyword)
{
    const char *text = "(absent)";
    header_get_string(h, keyword, &text);
    return text;
}

static double real_of(const struct header *h, const char *keyword)
{
    double v = NAN;
    header_get_real(h, keyword, &v);
    return v;
}

static struct cube *a_cube(void)
{
    struct cube *c = cube_new(4, 3, 5, &err);
    ck_assert_ptr_nonnull(c);
    for (int i = 0; i < 4 * 3 * 5; i++) {
        c->sci[i] = (float)i;
        c->err[i] = 0.5F;
        c->dq[i] = (uint32_t)i;
        c->wmap[i] = 2;
    }
    c->sci[7] = NAN;
    c->crval1 = 150.1;
    c->crval2 = 2.2;
    c->crpix1 = 2.5;
    c->crpix2 = 2;
    c->crpix3 = 1;
    c->cdelt1 = c->cdelt2 = 0.1 / 3600;
    c->crval3 = 2.87;
    c->cdelt3 = 0.000665;
    for (int k = 0; k < 5; k++) {
        c->wavelength[k] = 2.87 + k * 0.000665;
    }
    snprintf(c->weighting, sizeof c->weighting, "drizzle");
    return c;
}

START_TEST(test_products_cal)
{
    static const char *const names[] = {
        "PRIMARY",         "SCI", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE",
        "IFUD_PROVENANCE", "ASDF"};
    struct header h = {0};
    const char *path = support_path(folder, ".a_cal.fits.1.part");
    struct exposure *e = support_exposure(16, 8, 1, 1, "NRS1", "F290LP", "G395H");
    support_ok(header_set_string(&e->primary, "CAL_VER", "9", NULL, &err), &err);
    snprintf(e->meta.bunit, sizeof e->meta.bunit, "MJy/sr");
    support_ok(exposure_write(e, path, "a_cal.fits", &p, &err), &err);
    struct fits_in *f = open_ok(path);
    check_hdus(f, names, 8);
    support_ok(fits_in_header(f, 0, &h, &err), &err);
    ck_assert_str_eq(text_of(&h, "FILENAME"), "a_cal.fits");
    ck_assert_str_eq(text_of(&h, "DATAMODL"), "IFUImageModel");
    ck_assert_str_eq(text_of(&h, "DATE"), "2024-03-12T01:02:03.000");
    ck_assert_str_eq(text_of(&h, "CAL_SW"), "ifud");
    ck_assert_str_eq(text_of(&h, "IFUD_VER"), "1.2.3");
    ck_assert_str_eq(text_of(&h, "IFUD_MAN"), p.manifest_sha256);
    ck_assert_str_eq(text_of(&h, "R_CAMERA"), "camera_0002.asdf"); /* the first */
    ck_assert_str_eq(text_of(&h, "CAL_VER"), "(absent)");
    ck_assert_str_eq(text_of(&h, "TARGPROP"), "TEST TARGET"); /* carried */
    header_done(&h);
    support_ok(fits_in_header(f, 1, &h, &err), &err);
    ck_assert_str_eq(text_of(&h, "BUNIT"), "MJy/sr");
    ck_assert_double_eq(real_of(&h, "ROLL_REF"), 60);
    header_done(&h);
    support_ok(fits_in_header(f, 2, &h, &err), &err);
    ck_assert_str_eq(text_of(&h, "BUNIT"), "MJy/sr");
    header_done(&h);
    fits_in_close(f);
    exposure_free(e);
}
END_TEST

START_TEST(test_products_provenance_round_trip)
{
    struct provenance back = {0};
    const char *path = support_path(folder, "a.fits");
    struct exposure *e = support_exposure(4, 4, 1, 1, "NRS1", "F290LP", "G395H");
    /* the same twice is kept once */
    support_ok(provenance_add(&p, PROVENANCE_PARAMETER, "cube_build", "weighting",
                              "drizzle", NULL, &err),
               &err);
    ck_assert_uint_eq(p.n, 4);
    support_ok(exposure_write(e, path, "a.fits", &p, &err), &err);
    struct fits_in *f = open_ok(path);
    support_ok(provenance_read(f, &back, &err), &err);
    fits_in_close(f);
    ck_assert_uint_eq(back.n, 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(back.items[i].kind, p.items[i].kind);
        ck_assert_str_eq(back.items[i].stage, p.items[i].stage);
        ck_assert_str_eq(back.items[i].name, p.items[i].name);
        ck_assert_str_eq(back.items[i].value, p.items[i].value);
        ck_assert_str_eq(back.items[i].sha256, p.items[i].sha256);
    }
    ck_assert_str_eq(back.version, "1.2.3");
    ck_assert_str_eq(back.manifest_sha256, p.manifest_sha256);
    provenance_done(&back);
    exposure_free(e);
}
END_TEST

START_TEST(test_products_reference_keywords)
{
    static const char *const types[] = {
        "camera",    "collimator", "disperser", "fore",   "fpa",
        "ifufore",   "ifupost",    "ifuslicer", "ote",    "wavelengthrange",
        "chromcorr", "extract1d",  "fflat",     "sflat",  "dflat",
        "pathloss",  "photom",     "area",      "cubepar"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *comment = NULL, *keyword = provenance_keyword(types[i], &comment);
        ck_assert_msg(keyword && !strncmp(keyword, "R_", 2) && strlen(keyword) <= 8,
                      "%s", types[i]);
        ck_assert_ptr_nonnull(comment);
    }
    ck_assert_ptr_null(provenance_keyword("none", NULL));
}
END_TEST

START_TEST(test_products_s3d)
{
    static const char *const names[] = {
        "PRIMARY", "SCI", "ERR", "DQ", "WMAP", "WCS-TABLE", "ASDF", "IFUD_PROVENANCE"};
    struct header h = {0};
    struct cube *back = NULL, *c = a_cube();
    const char *path = support_path(folder, "a_s3d.fits");
    support_ok(header_set_real(&c->science, "ROLL_REF", 60, NULL, &err), &err);
    support_ok(header_set_real(&c->science, "PIXAR_SR", 99, NULL, &err), &err);
    support_ok(cube_write(c, path, "a_s3d.fits", &p, &err), &err);
    struct fits_in *f = open_ok(path);
    check_hdus(f, names, 8);
    support_ok(fits_in_header(f, 0, &h, &err), &err);
    ck_assert_str_eq(text_of(&h, "DATAMODL"), "IFUCubeModel");
    ck_assert_str_eq(text_of(&h, "WTYPE"), "drizzle");
    header_done(&h);
    support_ok(fits_in_header(f, 1, &h, &err), &err);
    ck_assert_str_eq(text_of(&h, "CTYPE3"), "WAVE");
    ck_assert_str_eq(text_of(&h, "CUNIT3"), "um");
    ck_assert_double_eq(real_of(&h, "CDELT3"), 0.000665);
    ck_assert_double_eq(real_of(&h, "PC1_1"), -1);
    ck_assert(isnan(real_of(&h, "ROLL_REF"))); /* a cube has no roll */
    /* 0.01 square arcsec; the peer rounds the steradian to five digits */
    ck_assert_double_eq_tol(real_of(&h, "PIXAR_SR"), 2.3504e-13, 1e-18);
    ck_assert_double_eq_tol(real_of(&h, "PIXAR_A2"), 0.01, 1e-12);
    header_done(&h);
    fits_in_close(f);
    support_ok(cube_read(path, &back, &err), &err);
    ck_assert_int_eq(back->nx, 4);
    ck_assert_int_eq(back->ny, 3);
    ck_assert_int_eq(back->nw, 5);
    ck_assert_int_eq(memcmp(back->sci, c->sci, 60 * sizeof(float)), 0);
    ck_assert_int_eq(memcmp(back->dq, c->dq, 60 * sizeof(uint32_t)), 0);
    ck_assert_int_eq(memcmp(back->wmap, c->wmap, 60 * sizeof(float)), 0);
    for (int k = 0; k < 5; k++) {
        ck_assert_double_eq_tol(back->wavelength[k], c->wavelength[k], 1e-12);
    }
    cube_free(back);
    cube_free(c);
}
END_TEST

START_TEST(test_products_s3d_table_of_wavelengths)
{
    struct header h = {0};
    struct cube *back = NULL, *c = a_cube();
    const char *path = support_path(folder, "a_s3d.fits");
    for (int k = 0; k < 5; k++) {
        c->wavelength[k] = 1 + k * k * 0.25; /* exact in a float */
    }
    support_ok(cube_write(c, path, "a_s3d.fits", NULL, &err), &err);
    struct fits_in *f = open_ok(path);
    support_ok(fits_in_header(f, 1, &h, &err), &err);
    ck_assert_str_eq(text_of(&h, "CTYPE3"), "WAVE-TAB");
    ck_assert_str_eq(text_of(&h, "PS3_0"), "WCS-TABLE");
    ck_assert(isnan(real_of(&h, "CDELT3")));
    header_done(&h);
    fits_in_close(f);
    support_ok(cube_read(path, &back, &err), &err);
    for (int k = 0; k < 5; k++) {
        ck_assert_double_eq(back->wavelength[k], c->wavelength[k]);
    }
    cube_free(back);
    cube_free(c);
}
END_TEST

/* A cube of the slicer: metres, no frame of the sky, its own solid angle. */
START_TEST(test_products_s3d_slicer)
{
    struct header h = {0};
    struct cube *back = NULL, *c = a_cube();
    const char *path = support_path(folder, "a_s3d.fits");
    double ra, dec;
    c->slicer = true;
    c->spaxel_sr = 1.1e-13;
    c->cdelt1 = 0.0008;
    support_ok(header_set_string(&c->science, "S_REGION", "POLYGON", NULL, &err), &err);
    support_ok(cube_write(c, path, "a_s3d.fits", NULL, &err), &err);
    struct fits_in *f = open_ok(path);
    support_ok(fits_in_header(f, 1, &h, &err), &err);
    ck_assert_str_eq(text_of(&h, "CTYPE1"), "NRSSLICERX");
    ck_assert_str_eq(text_of(&h, "CTYPE2"), "NRSSLICERY");
    ck_assert_str_eq(text_of(&h, "CUNIT2"), "meter");
    ck_assert_str_eq(text_of(&h, "S_REGION"), "(absent)");
    ck_assert_str_eq(text_of(&h, "RADESYS"), "(absent)");
    ck_assert_double_eq_tol(real_of(&h, "PIXAR_SR"), 1.1e-13, 1e-20);
    header_done(&h);
    fits_in_close(f);
    support_ok(cube_read(path, &back, &err), &err);
    ck_assert(back->slicer);
    ck_assert_double_eq_tol(cube_spaxel_sr(back), 1.1e-13, 1e-20);
    cube_spaxel_to_sky(back, 1, 1, &ra, &dec);
    ck_assert(isnan(ra) && isnan(dec));
    cube_free(back);
    cube_free(c);
}
END_TEST

START_TEST(test_products_cube_sky)
{
    double ra, dec, i, j;
    struct cube *c = a_cube();
    /* at the reference spaxel, and one spaxel of 0.1 arcsec to the east and north */
    cube_spaxel_to_sky(c, 1.5, 1, &ra, &dec);
    ck_assert_double_eq_tol(ra, 150.1, 1e-12);
    ck_assert_double_eq_tol(dec, 2.2, 1e-12);
    cube_spaxel_to_sky(c, 0.5, 2, &ra, &dec);
    ck_assert_double_eq_tol((ra - 150.1) * cos(2.2 * M_PI / 180), 0.1 / 3600, 1e-11);
    ck_assert_double_eq_tol(dec - 2.2, 0.1 / 3600, 1e-11);
    /* there and back: 1e-9 spaxel is 1e-10 arcsec, what doubles of degrees hold */
    c->pc[0][0] = -0.8;
    c->pc[0][1] = 0.6;
    c->pc[1][0] = 0.6;
    c->pc[1][1] = 0.8;
    c->crval1 = 0.00001; /* across RA 0 */
    c->crval2 = -70;
    for (int k = 0; k < 40; k++) {
        cube_spaxel_to_sky(c, k - 20, 2 * k, &ra, &dec);
        ck_assert(ra >= 0 && ra < 360);
        cube_sky_to_spaxel(c, ra, dec, &i, &j);
        ck_assert_double_eq_tol(i, k - 20, 1e-6);
        ck_assert_double_eq_tol(j, 2 * k, 1e-6);
    }
    cube_sky_to_spaxel(c, 180, 70, &i, &j);
    ck_assert(isnan(i) && isnan(j));
    ck_assert_ptr_null(cube_new(0, 1, 1, &err));
    cube_free(c);
}
END_TEST

START_TEST(test_products_x1d)
{
    static const char *const names[] = {"PRIMARY", "EXTRACT1D", "ASDF",
                                        "IFUD_PROVENANCE"};
    static const char *const columns[][2] = {{"WAVELENGTH", "um"},
                                             {"FLUX", "Jy"},
                                             {"FLUX_ERROR", "Jy"},
                                             {"FLUX_VAR_POISSON", "Jy^2"},
                                             {"SURF_BRIGHT", "MJy/sr"},
                                             {"SB_VAR_FLAT", "(MJy/sr)^2"},
                                             {"BACKGROUND", "MJy/sr"},
                                             {"BKGD_VAR_FLAT", "(MJy/sr)^2"},
                                             {"NPIXELS", ""}};
    struct spectrum *back = NULL, *s = spectrum_new(7, &err);
    struct header h = {0};
    char unit[72];
    const char *path = support_path(folder, "a_x1d.fits");
    ck_assert_ptr_nonnull(s);
    for (size_t i = 0; i < 7; i++) {
        s->wavelength[i] = 1 + (double)i;
        s->flux[i] = 0.5 * (double)i;
        s->dq[i] = (uint32_t)i << 29;
        s->npixels[i] = 63.76;
        s->bkgd_var_flat[i] = 1e-30;
    }
    snprintf(s->source_type, sizeof s->source_type, "POINT");
    s->extraction_x = 17.25;
    s->source_ra = 150.1;
    support_ok(spectrum_write(s, path, "a_x1d.fits", &p, &err), &err);
    struct fits_in *f = open_ok(path);
    check_hdus(f, names, 4);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        ck_assert(fits_in_has_column(f, 1, columns[i][0], NULL, unit));
        ck_assert_str_eq(unit, columns[i][1]);
    }
    support_ok(fits_in_header(f, 0, &h, &err), &err);
    ck_assert_str_eq(text_of(&h, "DATAMODL"), "MultiSpecModel");
    header_done(&h);
    fits_in_close(f);
    support_ok(spectrum_read(path, &back, &err), &err);
    ck_assert_uint_eq(back->n, 7);
    for (size_t i = 0; i < 7; i++) {
        ck_assert_double_eq(back->wavelength[i], s->wavelength[i]);
        ck_assert_double_eq(back->flux[i], s->flux[i]);
        ck_assert_uint_eq(back->dq[i], s->dq[i]);
        ck_assert_double_eq(back->npixels[i], 63.76);
        ck_assert_double_eq(back->bkgd_var_flat[i], 1e-30);
    }
    ck_assert_str_eq(back->source_type, "POINT");
    ck_assert_double_eq(back->extraction_x, 17.25);
    ck_assert_double_eq(back->source_ra, 150.1);
    spectrum_free(back);
    spectrum_free(s);
}
END_TEST

START_TEST(test_products_same_bytes)
{
    size_t n[2];
    char *bytes[2];
    struct cube *c = a_cube();
    for (int i = 0; i < 2; i++) {
        const char *path = support_path(folder, i ? "b" : "a");
        support_ok(cube_write(c, path, "x_s3d.fits", &p, &err), &err);
        bytes[i] = support_read_file(path, &n[i]);
    }
    ck_assert_uint_eq(n[0], n[1]);
    ck_assert_int_eq(memcmp(bytes[0], bytes[1], n[0]), 0);
    free(bytes[0]);
    free(bytes[1]);
    cube_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("products");
    TCase *t = tcase_create("products");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_products_cal);
    tcase_add_test(t, test_products_provenance_round_trip);
    tcase_add_test(t, test_products_reference_keywords);
    tcase_add_test(t, test_products_s3d);
    tcase_add_test(t, test_products_s3d_table_of_wavelengths);
    tcase_add_test(t, test_products_s3d_slicer);
    tcase_add_test(t, test_products_cube_sky);
    tcase_add_test(t, test_products_x1d);
    tcase_add_test(t, test_products_same_bytes);
    suite_add_tcase(s, t);
    return support_run(s);
}
