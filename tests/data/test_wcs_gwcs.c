/* The WCS that exposures carry, in its forms; all by hand and exact but for rounding. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/wcs_gwcs.h"
#include "common/data/wcs_map.h"
#include "tests/data/gwcs_trees.h"
#include "tests/support.h"

static char *folder;
static struct err err;
static struct exposure *e;
static uint8_t regions[640 * 64];

static void setup(void)
{
    folder = support_folder();
    err = (struct err){0};
    e = support_exposure(64, 640, 101, 501, "NRS1", "F290LP", "G395H");
    support_ok(header_set_real(&e->science, "WAVSTART", 3e-6, NULL, &err), &err);
    support_ok(header_set_real(&e->science, "WAVEND", 3.63e-6, NULL, &err), &err);
    header_remove(&e->science, "S_REGION");
}

static void teardown(void)
{
    exposure_free(e);
    support_remove(folder);
}

/* Read what stands in an ASDF extension; the code of wcs_read_gwcs. */
static int read_content(const char *content, struct wcs **ret, uint8_t *map)
{
    const char *path = support_path(folder, "x_cal.fits");
    struct fits_in *f = NULL;
    gwcs_write(path, content);
    support_ok(fits_in_open(path, ERR_INPUT, &f, &err), &err);
    int code = wcs_read_gwcs(f, path, e, NULL, NULL, ret, map, &err);
    fits_in_close(f);
    return code;
}

static struct wcs *wcs_of(enum gwcs_form form, uint8_t *map)
{
    struct wcs *w = NULL;
    char *content = gwcs_tree(form);
    support_ok(read_content(content, &w, map), &err);
    free(content);
    return w;
}

/* One reason to fail: the tree with `was` replaced (first place) by as long a text. */
static void refused(enum gwcs_form form, const char *was, const char *is,
                    const char *says)
{
    struct wcs *w = NULL;
    char *content = gwcs_tree(form), *at = strstr(content, was);
    ck_assert_ptr_nonnull(at);
    ck_assert_uint_eq(strlen(was), strlen(is));
    memcpy(at, is, strlen(is));
    ck_assert_int_eq(read_content(content, &w, NULL), ERR_INPUT);
    ck_assert_ptr_null(w);
    ck_assert_msg(strstr(err.message, says) && strstr(err.message, "x_cal.fits"),
                  "'%s' does not say '%s'", err.message, says);
    free(content);
}

/* Rounding of sums near 20: 4e-15. */
static const double close = 1e-13;

START_TEST(test_wcs_gwcs_forms)
{
    struct wcs *w = wcs_of((enum gwcs_form)_i, NULL);
    for (int k = 1; k <= 30; k++) {
        double x[3] = {0.0, 31.25, 63.0}, y[3] = {20.0 * k - 8, 20.0 * k, 20.0 * k + 8};
        double ra[3], dec[3], um[3], across[3], along[3], lam[3], px[3], py[3];
        wcs_detector_to_sky(w, k, 3, x, y, ra, dec, um);
        wcs_detector_to_slicer(w, k, 3, x, y, across, along, lam);
        wcs_sky_to_detector(w, k, 3, ra, dec, um, px, py);
        for (int i = 0; i < 3; i++) {
            ck_assert_double_eq_tol(across[i], 0.0008 * k, close);
            ck_assert_double_eq_tol(along[i], 1e-5 * (y[i] - 20.0 * k), close);
            ck_assert_double_eq_tol(lam[i], 3e-6 + 1e-8 * x[i], close);
            ck_assert_double_eq_tol(ra[i], 10.0 + 0.08 * k, close);
            ck_assert_double_eq_tol(dec[i], -20.0 + 1e-3 * (y[i] - 20.0 * k), close);
            ck_assert_double_eq_tol(um[i], 3.0 + 0.01 * x[i], close);
            /* 1e-13 degrees are 1e-10 pixel here */
            ck_assert_double_eq_tol(px[i], x[i], 1e-8);
            ck_assert_double_eq_tol(py[i], y[i], 1e-8);
        }
        struct wcs_box b = wcs_bounding_box(w, k);
        ck_assert(b.x_min == -0.5 && b.x_max == 63.5);
        ck_assert(b.y_min == 20 * k - 8.5 && b.y_max == 20 * k + 8.5);
        y[0] = 20.0 * k - 9.0;
        wcs_detector_to_sky(w, k, 1, x, y, ra, dec, um);
        ck_assert_double_nan(um[0]);
    }
    ck_assert_double_eq_tol(wcs_slice_width(w), 0.0016, close);
    wcs_release(w);
}
END_TEST

/* What pixels cover goes through the same transforms. */
START_TEST(test_wcs_gwcs_covers)
{
    struct wcs *w = wcs_of(GWCS_BY_PIXEL, regions);
    struct wcs_piece p = {.row = 103};
    static struct wcs_covered c;
    ck_assert_int_eq(wcs_next_piece(regions + 103 * 64, 64, &p), 1);
    ck_assert_int_eq(p.slice, 5);
    ck_assert_int_eq(p.n, 64);
    wcs_map_covered(w, &p, &c);
    ck_assert_double_eq_tol(c.dlam_um[7], 0.01 * 0.9998, close);
    ck_assert_double_eq_tol(c.corner_dec[2][7], -20.0 + 1e-3 * 3.49, close);
    ck_assert_double_eq_tol(c.corner_ra[0][7], 10.4 - 0.08, close);
    wcs_release(w);
}
END_TEST

START_TEST(test_wcs_gwcs_regions)
{
    struct wcs *w = wcs_of((enum gwcs_form)_i, regions);
    for (int y = 0; y < 640; y++) {
        int k = (y + 10) / 20;
        int want = k >= 1 && k <= 30 && abs(y - 20 * k) <= 8 ? k : 0;
        for (int x = 0; x < 64; x += 9) {
            ck_assert_int_eq(regions[y * 64 + x], want);
        }
    }
    double low, high, box[8];
    wcs_spectral_region(w, &low, &high);
    ck_assert_double_eq_tol(low, 3.0, close);
    ck_assert_double_eq_tol(high, 3.63, close);
    wcs_footprint(w, box);
    ck_assert_double_eq_tol(box[0], 10.08, close);
    ck_assert_double_eq_tol(box[2], 12.4, close);
    ck_assert_double_eq_tol(box[1], -20.008, close);
    wcs_release(w);
}
END_TEST

START_TEST(test_wcs_gwcs_footprint_of_header)
{
    double box[8];
    support_ok(header_set_string(&e->science, "S_REGION",
                                 "POLYGON ICRS  1.5 2 3 4 5 6 7 8.25", NULL, &err),
               &err);
    struct wcs *w = wcs_of((enum gwcs_form)_i, NULL);
    wcs_footprint(w, box);
    ck_assert(box[0] == 1.5 && box[1] == 2.0 && box[7] == 8.25);
    wcs_release(w);
}
END_TEST

START_TEST(test_wcs_gwcs_refused)
{
    refused(GWCS_BY_PIXEL, "wcs:", "wxs:", "meta.wcs: there is none");
    refused(GWCS_BY_PIXEL, "steps:", "stops:", "a gWCS with its steps");
    refused(GWCS_BY_PIXEL, "name: slicer", "name: slices", "not the WCS of a NIRSpec");
    refused(GWCS_BY_PIXEL, "name: world", "name: whole", "not the WCS of a NIRSpec");
    refused(GWCS_BY_PIXEL, "labels: [1,", "labels: [2,", "one bounding box");
    refused(GWCS_BY_PIXEL, "labels: [1,", "labels: [0,", "1 to 30");
    refused(GWCS_BY_PIXEL, "30]", "0] ", "1 to 30");
    refused(GWCS_BY_PIXEL, "x: [-0.5", "q: [-0.5", "one bounding box");
    refused(GWCS_BY_PIXEL, "63.5]", "1e9] ", "one bounding box");
    refused(GWCS_BY_NAME, "slits: [0,", "slits: [7,", "a slice has no model");
    refused(GWCS_BY_NAME, "frame: gwa", "frame: gva", "frame gwa is missing");
    refused(GWCS_OLD, "models:", "modals:", "list of models by slice");
    refused(GWCS_OLD, "shift-1.2.0", "shaft-1.2.0", "unknown tag");
    header_remove(&e->science, "WAVEND");
    char *content = gwcs_tree(GWCS_OLD);
    struct wcs *w = NULL;
    ck_assert_int_eq(read_content(content, &w, NULL), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "WAVSTART and WAVEND"));
    free(content);
    ck_assert_int_eq(read_content("no tree", &w, NULL), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "not an ASDF file"));
}
END_TEST

START_TEST(test_wcs_gwcs_without_extension)
{
    const char *path = support_path(folder, "y_rate.fits");
    struct fits_in *f = NULL;
    struct wcs *w = NULL;
    support_write_rate(path, e);
    support_ok(fits_in_open(path, ERR_INPUT, &f, &err), &err);
    ck_assert_int_eq(wcs_read_gwcs(f, path, e, NULL, NULL, &w, NULL, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "ASDF"));
    fits_in_close(f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wcs_gwcs");
    TCase *t = tcase_create("core");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_wcs_gwcs_forms, 0, 3);
    tcase_add_test(t, test_wcs_gwcs_covers);
    tcase_add_loop_test(t, test_wcs_gwcs_regions, 0, 3);
    tcase_add_loop_test(t, test_wcs_gwcs_footprint_of_header, 0, 3);
    tcase_add_test(t, test_wcs_gwcs_refused);
    tcase_add_test(t, test_wcs_gwcs_without_extension);
    suite_add_tcase(s, t);
    return support_run(s);
}
