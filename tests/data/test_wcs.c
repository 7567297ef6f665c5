#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/wcs_map.h"
#include "tests/support.h"
#include "wcs_fixture.h"

static struct wcs_fixture *fixture;
static const double slit[2] = {-0.55, 0.55};
static struct err err;

static void setup(void)
{
    fixture = wcs_fixture_new();
}

static void teardown(void)
{
    wcs_fixture_free(fixture);
}

static struct wcs *build(const struct exposure_meta *m, int nx, int ny, int threads,
                         uint8_t *regions, double *wavelength)
{
    struct wcs *w = NULL;
    struct par *par = NULL;
    support_ok(par_new(threads, &par, &err), &err);
    support_ok(wcs_build(m, nx, ny, &fixture->refs, slit, par, NULL, &w, regions,
                         wavelength, &err),
               &err);
    par_free(par);
    return w;
}

static double arcsec_between(double ra, double dec, double ra2, double dec2)
{
    double d = 3.14159265358979323846 / 180.0;
    return 3600.0 * hypot((ra - ra2) * cos(dec * d), dec - dec2);
}

/* The grating equation at the centre of a slice: beta = 0, alpha from the pixel. */
START_TEST(test_wcs_grating_equation)
{
    struct exposure_meta m = wcs_fixture_meta();
    struct wcs *w = build(&m, 2048, 2048, 1, NULL, NULL);
    const int slice = 15; /* its slit stands at -0.5 pitch */
    for (int k = 0; k < 5; k++) {
        double lam_mid = 3.55e-6, across, along, lam;
        double x = 300.0 + 300.0 * k, y, ra, dec, um;
        double none = 0.0, at_lam = 3.5e-6;
        double centre = wcs_slice_across(w, slice);
        wcs_slicer_to_detector(w, slice, 1, &centre, &none, &at_lam, &across, &y);
        wcs_detector_to_slicer(w, slice, 1, &x, &y, &across, &along, &lam);
        /* y_slit ~ 0: IFUPOST gives x = 0.5 lam_mid + row terms, row = -0.5 pitch */
        double row = -0.5 * 2.3e-3 + 0.1 * along;
        double xm = (0.5 + row) * lam_mid, ym = row + (1.0 + 0.01 * row) * lam_mid;
        double u = xm / 0.58 + 0.335, v = ym / 0.58;
        double a_in = u / sqrt(1.0 + u * u + v * v);
        double uc = (x - 1023.5) * 18e-6 / 0.28, vc = (y - 1023.5) * 18e-6 / 0.28;
        double a = uc / sqrt(1.0 + uc * uc + vc * vc);
        /* to the rounding of the series in y_slit, 2e-12 / grooves */
        ck_assert_double_eq_tol(lam, (a_in + a) / 89409.0, 1e-16);
        wcs_detector_to_sky(w, slice, 1, &x, &y, &ra, &dec, &um);
        ck_assert_double_eq_tol(um, lam * 1e6, 1e-12);
        ck_assert_double_lt(fabs(dec + 20.0), 0.02);
    }
    wcs_release(w);
}
END_TEST

/* The reference point of the telescope is where RA_REF and DEC_REF say, whatever roll;
 * one arcsec along V3 is one arcsec at position angle ROLL_REF. */
START_TEST(test_wcs_pointing)
{
    struct exposure_meta m = wcs_fixture_meta();
    /* fore, ifufore and ote are linear: the slicer point that looks at (v2, v3) */
    double lam = 3.5e-6;
    for (int k = 0; k < 3; k++) {
        m.roll_ref = 100.0 * k;
        m.ra_ref = 120.0 * k;
        m.dec_ref = 89.9 * (k - 1);
        struct wcs *w = build(&m, 2048, 2048, 1, NULL, NULL);
        double v2 = 300.3, v3 = -497.9, ra[2], dec[2], um[2];
        double across[2], along[2], l[2] = {lam, lam};
        for (int i = 0; i < 2; i++) {
            double x = (v2 - 260.0) * 2.296 / 3600.0 - 5.0 * lam;
            double y = (v3 + i + 498.0) * 2.296 / 3600.0;
            across[i] = (x / 0.615 - 0.041) / 0.05;
            along[i] = y / 0.604 / 0.1;
        }
        wcs_slicer_to_sky(w, 2, across, along, l, ra, dec, um);
        ck_assert_double_lt(arcsec_between(ra[0], dec[0], m.ra_ref, m.dec_ref), 1e-8);
        ck_assert_double_ge(ra[0], 0.0);
        ck_assert_double_lt(ra[1], 360.0);
        double d = 3.14159265358979323846 / 180.0;
        double east = remainder(ra[1] - m.ra_ref, 360.0) * cos(dec[1] * d) * 3600.0;
        double north = (dec[1] - m.dec_ref) * 3600.0;
        /* the sky is curved: at 360 arcsec from the pole by 0.1 % of an arcsec */
        ck_assert_double_eq_tol(east, sin(m.roll_ref * d), 3e-3);
        ck_assert_double_eq_tol(north, cos(m.roll_ref * d), 3e-3);
        wcs_release(w);
    }
}
END_TEST

/* Velocity moves all wavelengths by one factor; aberration scales about the reference. */
START_TEST(test_wcs_velocity_and_aberration)
{
    struct exposure_meta m = wcs_fixture_meta();
    struct wcs *w = build(&m, 2048, 2048, 1, NULL, NULL);
    m.has_velosys = true;
    m.velosys = 29979.2458; /* 1e-4 of light */
    m.va_scale = 1.0001;
    struct wcs *v = build(&m, 2048, 2048, 1, NULL, NULL);
    double x = 1000.0, y, ra[2], dec[2], lam[2], none = 0.0, at = 3.5e-6, other;
    double centre = wcs_slice_across(w, 3);
    wcs_slicer_to_detector(w, 3, 1, &centre, &none, &at, &other, &y);
    wcs_detector_to_sky(w, 3, 1, &x, &y, ra, dec, lam);
    wcs_detector_to_sky(v, 3, 1, &x, &y, ra + 1, dec + 1, lam + 1);
    ck_assert_double_eq_tol(lam[1], lam[0] / 1.0001, 1e-12);
    double far0 = arcsec_between(ra[0], dec[0], m.ra_ref, m.dec_ref);
    double far1 = arcsec_between(ra[1], dec[1], m.ra_ref, m.dec_ref);
    /* the lower wavelength moves it too, by 5 * 3.5e-10 m: 3e-6 arcsec */
    ck_assert_double_eq_tol(far1 / far0, 1.0001, 1e-5);
    wcs_release(w);
    wcs_release(v);
}
END_TEST

static void there_and_back(const struct wcs *w, const uint8_t *regions, int nx, int ny)
{
    size_t n = 0;
    for (int i = 0; i < nx * ny; i += 1009) {
        if (regions[i] == 0) {
            continue;
        }
        double x = i % nx, y = i / nx, ra, dec, lam, x2, y2, ra2, dec2, lam2;
        wcs_detector_to_sky(w, regions[i], 1, &x, &y, &ra, &dec, &lam);
        wcs_sky_to_detector(w, regions[i], 1, &ra, &dec, &lam, &x2, &y2);
        ck_assert_double_eq_tol(x2, x, 1e-6);
        ck_assert_double_eq_tol(y2, y, 1e-6);
        struct wcs_box b = wcs_bounding_box(w, regions[i]);
        if (x2 < b.x_min || x2 > b.x_max || y2 < b.y_min || y2 > b.y_max) {
            continue;
        }
        wcs_detector_to_sky(w, regions[i], 1, &x2, &y2, &ra2, &dec2, &lam2);
        if (isfinite(lam2)) { /* not at the very end of the slit */
            ck_assert_double_lt(arcsec_between(ra, dec, ra2, dec2), 1e-6);
            ck_assert_double_eq_tol(lam, lam2, 1e-9);
            n++;
        }
    }
    ck_assert_uint_gt(n, 100);
}

START_TEST(test_wcs_round_trip)
{
    struct exposure_meta m = wcs_fixture_meta();
    uint8_t *regions = malloc((size_t)2048 * 2048);
    struct wcs *w = build(&m, 2048, 2048, 2, regions, NULL);
    there_and_back(w, regions, 2048, 2048);
    wcs_release(w);
    free(regions);
}
END_TEST

/* Every pixel of the map is in the box of its slice, has the wavelength of the plane,
 * and each box is tight. */
START_TEST(test_wcs_map_and_boxes)
{
    struct exposure_meta m = wcs_fixture_meta();
    uint8_t *regions = malloc((size_t)2048 * 2048);
    double *plane = malloc(sizeof(double) * 2048 * 2048);
    struct wcs *w = build(&m, 2048, 2048, 2, regions, plane);
    struct wcs_box seen[WCS_SLICES + 1];
    int wrong = 0; /* counted: an assertion per pixel would take seconds */
    for (int s = 0; s <= WCS_SLICES; s++) {
        seen[s] = (struct wcs_box){1e9, -1e9, 1e9, -1e9};
    }
    for (int y = 0; y < 2048; y++) {
        struct wcs_piece p = {.row = y};
        int covered = 0;
        while (wcs_next_piece(regions + 2048 * y, 2048, &p)) {
            double ra[WCS_PIECE], dec[WCS_PIECE], lam[WCS_PIECE];
            wcs_map_centres(w, &p, ra, dec, lam);
            struct wcs_box *b = &seen[p.slice];
            b->x_min = fmin(b->x_min, p.first - 0.5);
            b->x_max = fmax(b->x_max, p.first + p.n - 0.5);
            b->y_min = fmin(b->y_min, y - 0.5);
            b->y_max = fmax(b->y_max, y + 0.5);
            for (int i = 0; i < p.n; i++) {
                wrong += lam[i] != plane[2048 * y + p.first + i];
            }
            covered += p.n;
        }
        for (int x = 0; x < 2048; x++) {
            covered -= regions[2048 * y + x] != 0;
            wrong += isnan(plane[2048 * y + x]) != (regions[2048 * y + x] == 0);
        }
        wrong += covered != 0;
    }
    ck_assert_int_eq(wrong, 0);
    for (int s = 1; s <= WCS_SLICES; s++) {
        struct wcs_box b = wcs_bounding_box(w, s);
        ck_assert_double_eq(b.x_min, seen[s].x_min);
        ck_assert_double_eq(b.x_max, seen[s].x_max);
        ck_assert_double_eq(b.y_min, seen[s].y_min);
        ck_assert_double_eq(b.y_max, seen[s].y_max);
        /* 1.1 slit lengths of 1.2 mm by 0.28 / 0.58 in 18 um pixels: 35.4 rows */
        ck_assert_double_eq_tol(b.y_max - b.y_min, 37.0, 6.0);
    }
    double low, high;
    wcs_spectral_region(w, &low, &high);
    /* nominal 3.0 to 4.1 um, then 11 and 9 pixels of about 7e-4 um */
    ck_assert_double_eq_tol(low, 3.0 - 11.5 * 7e-4, 1.5e-3);
    ck_assert_double_eq_tol(high, 4.1 + 9.5 * 7e-4, 1.5e-3);
    ck_assert_double_eq_tol(wcs_slice_width(w), 0.0008, 1e-12);
    wcs_release(w);
    free(regions);
    free(plane);
}
END_TEST

START_TEST(test_wcs_same_for_any_threads)
{
    struct exposure_meta m = wcs_fixture_meta();
    size_t n = (size_t)2048 * 2048;
    uint8_t *a = malloc(n), *b = malloc(n);
    double *la = malloc(n * sizeof(double)), *lb = malloc(n * sizeof(double));
    struct wcs *one = build(&m, 2048, 2048, 1, a, la);
    struct wcs *eight = build(&m, 2048, 2048, 8, b, lb);
    double fa[8], fb[8];
    wcs_footprint(one, fa);
    wcs_footprint(eight, fb);
    ck_assert_mem_eq(a, b, n);
    ck_assert_mem_eq(fa, fb, sizeof fa);
    size_t differ = 0;
    for (size_t i = 0; i < n; i++) {
        differ += la[i] != lb[i] && !(isnan(la[i]) && isnan(lb[i]));
    }
    ck_assert_uint_eq(differ, 0);
    wcs_release(one);
    wcs_release(eight);
    free(a);
    free(b);
    free(la);
    free(lb);
}
END_TEST

/* A cut-out sees what the full frame sees there, on both detectors. */
START_TEST(test_wcs_subarray_agrees_with_full_frame)
{
    for (int detector = 1; detector <= 2; detector++) {
        struct exposure_meta m = wcs_fixture_meta();
        strcpy(m.detector, detector == 1 ? "NRS1" : "NRS2");
        const int x0 = 700, y0 = 400, nx = 300, ny = 200;
        uint8_t *full = malloc((size_t)2048 * 2048), *part = malloc((size_t)nx * ny);
        struct wcs *w = build(&m, 2048, 2048, 2, full, NULL);
        m.substrt1 = x0 + 1;
        m.substrt2 = y0 + 1;
        struct wcs *s = build(&m, nx, ny, 2, part, NULL);
        int slices = 0;
        for (int y = 0; y < ny; y++) {
            ck_assert_mem_eq(part + y * nx, full + (y + y0) * 2048 + x0, (size_t)nx);
        }
        for (int k = 1; k <= WCS_SLICES; k++) {
            struct wcs_box b = wcs_bounding_box(s, k);
            slices += b.x_min < b.x_max;
        }
        ck_assert_int_ge(slices, 2);
        ck_assert_int_lt(slices, WCS_SLICES);
        double fx = x0 + 10.0, px = 10.0, ra[2], dec[2], lam[2];
        for (int y = 0; y < ny; y++) {
            int k = part[y * nx + 10];
            double fy = y0 + y, py = y;
            if (k > 0) {
                wcs_detector_to_sky(w, k, 1, &fx, &fy, ra, dec, lam);
                wcs_detector_to_sky(s, k, 1, &px, &py, ra + 1, dec + 1, lam + 1);
                ck_assert_double_eq_tol(ra[0], ra[1], 1e-12);
                ck_assert_double_eq_tol(dec[0], dec[1], 1e-12);
                ck_assert_double_eq_tol(lam[0], lam[1], 1e-12);
            }
        }
        wcs_release(w);
        wcs_release(s);
        free(full);
        free(part);
    }
}
END_TEST

/* NRS2 is turned by half a turn: its pixel (x, y) is (2047 - x, 2047 - y) of the same
 * optics (the made-up focal planes are equal). */
START_TEST(test_wcs_second_detector_is_turned)
{
    struct exposure_meta m = wcs_fixture_meta();
    struct wcs *w = build(&m, 2048, 2048, 1, NULL, NULL);
    strcpy(m.detector, "NRS2");
    struct wcs *t = build(&m, 2048, 2048, 1, NULL, NULL);
    struct wcs_box b = wcs_bounding_box(w, 5), c = wcs_bounding_box(t, 5);
    double x = 900.0, y = 0.5 * (b.y_min + b.y_max), ra[2], dec[2], lam[2];
    double x2 = 2047.0 - x, y2 = 2047.0 - y;
    wcs_detector_to_sky(w, 5, 1, &x, &y, ra, dec, lam);
    wcs_detector_to_sky(t, 5, 1, &x2, &y2, ra + 1, dec + 1, lam + 1);
    ck_assert(isfinite(lam[0]));
    ck_assert_double_eq_tol(ra[0], ra[1], 1e-12);
    ck_assert_double_eq_tol(lam[0], lam[1], 1e-12);
    ck_assert_double_eq_tol(b.y_min + c.y_max, 2047.0, 0.1);
    wcs_release(w);
    wcs_release(t);
}
END_TEST

/* What cube_build is given: corners one slice wide and 0.98 rows high. */
START_TEST(test_wcs_covered)
{
    struct exposure_meta m = wcs_fixture_meta();
    uint8_t *regions = malloc((size_t)2048 * 2048);
    struct wcs *w = build(&m, 2048, 2048, 2, regions, NULL);
    struct wcs_covered *c = malloc(sizeof *c);
    struct wcs_box b = wcs_bounding_box(w, 9);
    struct wcs_piece p = {.row = (int)(0.5 * (b.y_min + b.y_max))};
    ck_assert_int_eq(wcs_next_piece(regions + 2048 * p.row, 2048, &p), 1);
    ck_assert_int_eq(p.slice, 9);
    wcs_map_covered(w, &p, c);
    for (int i = 0; i < p.n; i++) {
        /* 0.8 mm by 0.05 * 0.615 * 3600 / 2.296 arcsec per m; 0.98 rows of 18 um by
         * 0.58 / 0.28 / 0.1 on the slicer, by 0.1 * 0.604 * 3600 / 2.296 */
        double wide = arcsec_between(c->corner_ra[0][i], c->corner_dec[0][i],
                                     c->corner_ra[1][i], c->corner_dec[1][i]);
        double high = arcsec_between(c->corner_ra[1][i], c->corner_dec[1][i],
                                     c->corner_ra[2][i], c->corner_dec[2][i]);
        ck_assert_double_eq_tol(wide, 0.0008 * 0.05 * 0.615 * 3600.0 / 2.296, 1e-6);
        ck_assert_double_eq_tol(high, 0.98 * 18e-6 * 0.58 / 0.28 * 0.604 * 3600 / 2.296,
                                2e-3);
        ck_assert_double_eq_tol(c->dlam_um[i], 7.1e-4, 0.3e-4);
    }
    wcs_release(w);
    free(c);
    free(regions);
}
END_TEST

/* The prism: pixels and wavelengths agree both ways, within its table. */
START_TEST(test_wcs_prism)
{
    struct exposure_meta m = wcs_fixture_meta();
    strcpy(m.grating, "PRISM");
    strcpy(m.filter, "CLEAR");
    fixture->row = (struct ref_waverange){"CLEAR_PRISM", 0, 0.6e-6, 5.3e-6};
    wcs_fixture_set_collimator(fixture, -1.207);
    uint8_t *regions = malloc((size_t)2048 * 2048);
    struct wcs *w = NULL;
    int code = wcs_build(&m, 2048, 2048, &fixture->refs, slit, NULL, NULL, &w, regions,
                         NULL, &err);
    support_ok(code, &err);
    there_and_back(w, regions, 2048, 2048);
    wcs_release(w);
    free(regions);
}
END_TEST

static int fails(const struct exposure_meta *m, int nx, int ny, const char *word)
{
    struct wcs *w = NULL;
    int code =
        wcs_build(m, nx, ny, &fixture->refs, slit, NULL, NULL, &w, NULL, NULL, &err);
    ck_assert_ptr_null(w);
    ck_assert_msg(strstr(err.message, word) != NULL, "'%s' is not in: %s", word,
                  err.message);
    return code;
}

START_TEST(test_wcs_errors)
{
    struct exposure_meta m = wcs_fixture_meta();
    m.gwa_xtilt = (double)NAN;
    ck_assert_int_eq(fails(&m, 2048, 2048, "GWA_XTIL"), ERR_INPUT);
    m = wcs_fixture_meta();
    m.ra_ref = (double)NAN;
    ck_assert_int_eq(fails(&m, 2048, 2048, "RA_REF"), ERR_INPUT);
    m = wcs_fixture_meta();
    strcpy(m.detector, "NRS2");
    strcpy(m.grating, "G395M");
    ck_assert_int_eq(fails(&m, 2048, 2048, "never reaches"), ERR_INPUT);
    strcpy(m.grating, "PRISM");
    strcpy(m.filter, "CLEAR");
    ck_assert_int_eq(fails(&m, 2048, 2048, "never reaches"), ERR_INPUT);
    strcpy(m.detector, "NRS1");
    m.gwa_temperature = (double)NAN;
    ck_assert_int_eq(fails(&m, 2048, 2048, "GWA_TILT"), ERR_INPUT);
    m = wcs_fixture_meta();
    m.substrt1 = 2000;
    ck_assert_int_eq(fails(&m, 100, 100, "SUBSTRT1"), ERR_INPUT);
    m = wcs_fixture_meta();
    m.gwa_xtilt = 60.0; /* the wheel is far off: nothing falls on the detector */
    ck_assert_int_eq(fails(&m, 2048, 2048, "no pixel with a valid wavelength"),
                     ERR_INPUT);
    m = wcs_fixture_meta();
    m.substrt2 = 2040; /* above all slices */
    ck_assert_int_eq(fails(&m, 100, 5, "no slice falls on the array"), ERR_INPUT);
    fixture->disperser.has_grooves = false;
    m = wcs_fixture_meta();
    ck_assert_int_eq(fails(&m, 2048, 2048, "groovedensity"), ERR_REFERENCE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wcs");
    TCase *t = tcase_create("wcs");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_wcs_grating_equation);
    tcase_add_test(t, test_wcs_pointing);
    tcase_add_test(t, test_wcs_velocity_and_aberration);
    tcase_add_test(t, test_wcs_round_trip);
    tcase_add_test(t, test_wcs_map_and_boxes);
    tcase_add_test(t, test_wcs_same_for_any_threads);
    tcase_add_test(t, test_wcs_subarray_agrees_with_full_frame);
    tcase_add_test(t, test_wcs_second_detector_is_turned);
    tcase_add_test(t, test_wcs_covered);
    tcase_add_test(t, test_wcs_prism);
    tcase_add_test(t, test_wcs_errors);
    suite_add_tcase(s, t);
    return support_run(s);
}
