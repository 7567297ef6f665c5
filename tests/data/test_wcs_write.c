/* The WCS in the file that it is written to is the WCS. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/exposure_io.h"
#include "common/data/wcs_gwcs.h"
#include "common/data/wcs_write.h"
#include "tests/data/wcs_fixture.h"
#include "tests/support.h"

static const double slit[2] = {-0.55, 0.55};
static char *folder;
static struct err err;
static struct wcs_fixture *fixture;

static void setup(void)
{
    folder = support_folder();
    err = (struct err){0};
    fixture = wcs_fixture_new();
}

static void teardown(void)
{
    wcs_fixture_free(fixture);
    support_remove(folder);
}

/* An exposure of the made-up spectrograph with its WCS and slice map. */
static struct exposure *exposure(const struct exposure_meta *m, int nx, int ny)
{
    struct exposure *e = support_exposure(nx, ny, m->substrt1, m->substrt2, m->detector,
                                          m->filter, m->grating);
    e->meta = *m;
    e->regions = malloc((size_t)nx * (size_t)ny);
    support_ok(wcs_build(m, nx, ny, &fixture->refs, slit, NULL, NULL, &e->wcs,
                         e->regions, NULL, &err),
               &err);
    return e;
}

/* Its ASDF extension in a file, read. */
static struct wcs *read_back(const struct exposure *e, uint8_t *regions)
{
    const char *path = support_path(folder, "x_cal.fits");
    struct fits_out *out = NULL;
    struct fits_in *f = NULL;
    struct wcs *w = NULL;
    remove(path);
    support_ok(fits_out_create(path, &out, &err), &err);
    support_ok(fits_out_primary(out, NULL, &err), &err);
    support_ok(wcs_write(e, out, &err), &err);
    support_ok(fits_out_close(out, &err), &err);
    support_ok(fits_in_open(path, ERR_INPUT, &f, &err), &err);
    support_ok(wcs_read_gwcs(f, path, e, NULL, NULL, &w, regions, &err), &err);
    fits_in_close(f);
    return w;
}

/* Sky and wavelength at some points of every slice, off the centres of pixels; and back. */
static void compare(const struct exposure *e, const struct wcs *w, double um)
{
    const struct wcs *own = e->wcs;
    size_t n = 0;
    for (int s = 1; s <= WCS_SLICES; s++) {
        struct wcs_box a = wcs_bounding_box(own, s), b = wcs_bounding_box(w, s);
        if (a.x_min > a.x_max) {
            continue;
        }
        ck_assert(a.x_min == b.x_min && a.x_max == b.x_max);
        ck_assert(a.y_min == b.y_min && a.y_max == b.y_max);
        for (int i = 0; i < 40; i++) {
            double x = a.x_min + (a.x_max - a.x_min) * (i % 8 + 0.3) / 8.0;
            double y = a.y_min + (a.y_max - a.y_min) * (i / 8 + 0.4) / 5.0;
            double p[3], q[3], px, py, ox, oy;
            wcs_detector_to_sky(own, s, 1, &x, &y, &p[0], &p[1], &p[2]);
            wcs_detector_to_sky(w, s, 1, &x, &y, &q[0], &q[1], &q[2]);
            ck_assert_int_eq(isnan(p[2]), isnan(q[2]));
            if (isnan(p[2])) {
                continue;
            }
            n++;
            /* 1e-12 degrees: the rotations are not those of the program */
            ck_assert_double_le(fabs(p[0] - q[0]), 1e-12);
            ck_assert_double_le(fabs(p[1] - q[1]), 1e-12);
            ck_assert_double_le(fabs(p[2] - q[2]), um);
            wcs_sky_to_detector(own, s, 1, &p[0], &p[1], &p[2], &ox, &oy);
            wcs_sky_to_detector(w, s, 1, &p[0], &p[1], &p[2], &px, &py);
            ck_assert_double_le(fabs(px - ox), 1e-5);
            ck_assert_double_le(fabs(py - oy), 1e-5);
        }
    }
    ck_assert_uint_gt(n, 50);
    ck_assert_double_eq_tol(wcs_slice_width(w), wcs_slice_width(own), 1e-12);
}

START_TEST(test_wcs_write_grating)
{
    struct exposure_meta m = wcs_fixture_meta();
    m.has_velosys = true;
    m.velosys = 12345.0;
    m.va_scale = 1.00002;
    struct exposure *e = exposure(&m, 2048, 2048);
    uint8_t *regions = malloc(exposure_pixels(e));
    struct wcs *w = read_back(e, regions);
    compare(e, w, 1e-12);
    ck_assert_int_eq(memcmp(regions, e->regions, exposure_pixels(e)), 0);
    wcs_release(w);
    free(regions);
    exposure_free(e);
}
END_TEST

/* The way through the prism's steep table: 1e-9 um is rounding of the directions. */
START_TEST(test_wcs_write_prism)
{
    struct exposure_meta m = wcs_fixture_meta();
    strcpy(m.grating, "PRISM");
    strcpy(m.filter, "CLEAR");
    fixture->row = (struct ref_waverange){"CLEAR_PRISM", 0, 0.6e-6, 5.3e-6};
    wcs_fixture_set_collimator(fixture, -1.207);
    struct exposure *e = exposure(&m, 2048, 2048);
    struct wcs *w = read_back(e, NULL);
    compare(e, w, 1e-8);
    wcs_release(w);
    exposure_free(e);
}
END_TEST

/* Slices that a subarray leaves out do not get in the way. */
START_TEST(test_wcs_write_subarray)
{
    struct exposure_meta m = wcs_fixture_meta();
    m.substrt1 = 901;
    m.substrt2 = 701;
    struct exposure *e = exposure(&m, 300, 200);
    struct wcs *w = read_back(e, NULL);
    compare(e, w, 1e-12);
    wcs_release(w);
    exposure_free(e);
}
END_TEST

/* What was read is written again as it is. */
START_TEST(test_wcs_write_what_was_read)
{
    struct exposure_meta m = wcs_fixture_meta();
    m.substrt1 = 901;
    m.substrt2 = 701;
    struct exposure *e = exposure(&m, 300, 200);
    struct wcs *w = read_back(e, NULL);
    wcs_release(e->wcs);
    e->wcs = w;
    w = read_back(e, NULL);
    compare(e, w, 1e-12);
    wcs_release(w);
    exposure_free(e);
}
END_TEST

START_TEST(test_wcs_write_nothing_to_tell)
{
    struct exposure *e = support_exposure(32, 16, 1, 1, "NRS1", "F290LP", "G395H");
    const char *path = support_path(folder, "y_cal.fits");
    struct exposure *back = NULL;
    struct fits_in *f = NULL;
    struct wcs *w = NULL;
    support_ok(exposure_write(e, path, "y_cal.fits", NULL, &err), &err);
    support_ok(exposure_read(path, &back, &err), &err);
    ck_assert(back->has_asdf);
    support_ok(fits_in_open(path, ERR_INPUT, &f, &err), &err);
    ck_assert_int_eq(wcs_read_gwcs(f, path, e, NULL, NULL, &w, NULL, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "meta.wcs: there is none"));
    fits_in_close(f);
    exposure_free(back);
    exposure_free(e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wcs_write");
    TCase *t = tcase_create("core");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_wcs_write_grating);
    tcase_add_test(t, test_wcs_write_prism);
    tcase_add_test(t, test_wcs_write_subarray);
    tcase_add_test(t, test_wcs_write_what_was_read);
    tcase_add_test(t, test_wcs_write_nothing_to_tell);
    suite_add_tcase(s, t);
    return support_run(s);
}
