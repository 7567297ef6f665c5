#include <check.h>
#include <math.h>
#include <string.h>
#include "common/data/cube.h"
#include "stages/cube_geometry.h"
#include "tests/support.h"

static const struct ref_cubepar_row row = {"G395H", "F290LP", 2.87,
                                           5.27,    0.1,      0.000665};
static double table[] = {2.0, 2.5, 3.1, 3.8, 4.6, 5.5};
static const struct ref_cubepar_waves waves = {6, table, NULL};
static const struct cube_request plain = {.wave_min = NAN,
                                          .wave_max = NAN,
                                          .ra_center = NAN,
                                          .dec_center = NAN,
                                          .pa = NAN,
                                          .linear = true};
/* 3 x 3 arcsec about (150, 2) */
static const double half = 1.5 / 3600;
static double ra[4], dec[4];

static void box(double ra0, double dec0)
{
    const double sx[4] = {-1, 1, 1, -1}, sy[4] = {-1, -1, 1, 1};
    for (int k = 0; k < 4; k++) {
        ra[k] = fmod(ra0 + sx[k] * half / cos(dec0 * M_PI / 180) + 360, 360);
        dec[k] = dec0 + sy[k] * half;
    }
}

START_TEST(test_cube_geometry_plain)
{
    struct cube_grid g;
    struct err err = {0};
    box(150, 2);
    support_ok(cube_grid_set(&plain, &row, &waves, "G395H", 4, ra, dec, &g, &err),
               &err);
    /* 15 spaxels reach the corners up to rounding up, one to spare, the middle one */
    ck_assert_int_ge(g.nx, 2 * 16 + 1);
    ck_assert_int_le(g.nx, 2 * 17 + 1);
    ck_assert_int_eq(g.nx % 2, 1);
    ck_assert_double_eq_tol(g.ra0, 150, 1e-12);
    ck_assert_double_eq_tol(g.dec0, 2, 1e-12);
    ck_assert_int_eq(g.nw, 3610);
    ck_assert_double_eq_tol(g.z[0], 2.87 + 0.000665 / 2, 1e-12);
    ck_assert_double_eq_tol(g.z[3609], g.z[0] + 3609 * 0.000665, 1e-9);
    ck_assert_double_eq_tol(g.dz_mean, 0.000665, 1e-12);
    cube_grid_done(&g);
}
END_TEST

START_TEST(test_cube_geometry_across_ra_zero)
{
    struct cube_grid g;
    struct err err = {0};
    box(359.9999, -30);
    ck_assert_double_lt(ra[1], 1);
    support_ok(cube_grid_set(&plain, &row, &waves, "G395H", 4, ra, dec, &g, &err),
               &err);
    ck_assert_double_eq_tol(g.ra0, 359.9999, 1e-9);
    ck_assert_int_le(g.nx, 35);
    double u, v;
    cube_grid_project(&g, 1, &ra[1], &dec[1], &u, &v);
    ck_assert_double_ge(u, 0);
    ck_assert_double_le(u, g.nx);
    cube_grid_done(&g);
}
END_TEST

/* The grid is the WCS that the product carries: a corner goes to the same spaxel. */
START_TEST(test_cube_geometry_is_the_product_wcs)
{
    struct cube_request rq = plain;
    struct cube_grid g;
    struct err err = {0};
    rq.pa = 37;
    box(150, 2);
    support_ok(cube_grid_set(&rq, &row, &waves, "G395H", 4, ra, dec, &g, &err), &err);
    double pa = 37 * M_PI / 180;
    struct cube c = {.crval1 = g.ra0,
                     .crval2 = g.dec0,
                     .crpix1 = (g.nx + 1) / 2,
                     .crpix2 = (g.ny + 1) / 2,
                     .cdelt1 = g.scale / 3600,
                     .cdelt2 = g.scale / 3600,
                     .pc = {{-cos(pa), sin(pa)}, {sin(pa), cos(pa)}}};
    for (int k = 0; k < 4; k++) {
        double i, j, u, v;
        cube_sky_to_spaxel(&c, ra[k], dec[k], &i, &j);
        cube_grid_project(&g, 1, &ra[k], &dec[k], &u, &v);
        ck_assert_double_eq_tol(u - 0.5, i, 1e-6);
        ck_assert_double_eq_tol(v - 0.5, j, 1e-6);
        ck_assert(u > 0 && u < g.nx && v > 0 && v < g.ny);
    }
    cube_grid_done(&g);
}
END_TEST

START_TEST(test_cube_geometry_requests)
{
    struct cube_request rq = plain;
    struct cube_grid g;
    struct err err = {0};
    box(150, 2);
    rq.scale = 0.05;
    rq.step = 0.01;
    rq.wave_min = 3;
    rq.wave_max = 3.995;
    rq.ra_center = 150.0001;
    rq.dec_center = 2.0002;
    rq.nspax_x = 11;
    rq.nspax_y = 21;
    support_ok(cube_grid_set(&rq, &row, &waves, "G395H", 4, ra, dec, &g, &err), &err);
    ck_assert_int_eq(g.nx, 11);
    ck_assert_int_eq(g.ny, 21);
    ck_assert_int_eq(g.nw, 100); /* 99.5 steps */
    ck_assert_double_eq(g.ra0, 150.0001);
    ck_assert_double_eq(g.dec0, 2.0002);
    ck_assert_double_eq_tol(g.x0, -5.5 * 0.05, 1e-12);
    cube_grid_done(&g);

    rq = plain;
    rq.linear = false; /* the entry at or below 2.87 to the one at or above 5.27 */
    support_ok(cube_grid_set(&rq, &row, &waves, "G395H", 4, ra, dec, &g, &err), &err);
    ck_assert_int_eq(g.nw, 5);
    ck_assert_double_eq(g.z[0], 2.5);
    ck_assert_double_eq(g.z[4], 5.5);
    ck_assert_double_eq_tol(g.dz[0], 0.6, 1e-12);
    ck_assert_double_eq(g.dz[4], g.dz[3]);
    cube_grid_done(&g);
}
END_TEST

START_TEST(test_cube_geometry_plane)
{
    struct cube_request rq = plain;
    struct cube_grid g;
    struct err err = {0};
    box(150, 2);
    for (int linear = 0; linear < 2; linear++) {
        rq.linear = linear;
        support_ok(cube_grid_set(&rq, &row, &waves, "G395H", 4, ra, dec, &g, &err),
                   &err);
        for (int k = 0; k < g.nw; k += linear ? 97 : 1) {
            double edge = g.z[k] + g.dz[k] / 2;
            ck_assert_int_eq(cube_grid_plane(&g, g.z[k]), k);
            ck_assert_int_eq(cube_grid_plane(&g, edge - 1e-9), k);
            ck_assert_int_gt(cube_grid_plane(&g, edge + 1e-9), k);
        }
        ck_assert_int_eq(cube_grid_plane(&g, -1), 0);
        ck_assert_int_eq(cube_grid_plane(&g, 100), g.nw);
        ck_assert_int_eq(cube_grid_plane(&g, NAN), g.nw);
        cube_grid_done(&g);
    }
}
END_TEST

START_TEST(test_cube_geometry_refuses)
{
    struct cube_request rq = plain;
    struct cube_grid g;
    struct err err = {0};
    box(150, 2);
    rq.wave_min = 5;
    rq.wave_max = 4;
    ck_assert_int_eq(cube_grid_set(&rq, &row, &waves, "G395H", 4, ra, dec, &g, &err),
                     ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "wavemin"));
    rq = plain;
    rq.step = 1e-9;
    ck_assert_int_eq(cube_grid_set(&rq, &row, &waves, "G395H", 4, ra, dec, &g, &err),
                     ERR_PARAM);
    rq = plain;
    rq.ra_center = 20;
    ck_assert_int_eq(cube_grid_set(&rq, &row, &waves, "G395H", 4, ra, dec, &g, &err),
                     ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "ra_center"));
    rq = plain;
    rq.linear = false;
    const struct ref_cubepar_waves none = {0};
    ck_assert_int_eq(cube_grid_set(&rq, &row, &none, "G395H", 4, ra, dec, &g, &err),
                     ERR_REFERENCE);
    ra[2] = NAN;
    ck_assert_int_eq(cube_grid_set(&plain, &row, &waves, "G395H", 4, ra, dec, &g, &err),
                     ERR_NODATA);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_geometry");
    TCase *t = tcase_create("cube_geometry");
    tcase_add_test(t, test_cube_geometry_plain);
    tcase_add_test(t, test_cube_geometry_across_ra_zero);
    tcase_add_test(t, test_cube_geometry_is_the_product_wcs);
    tcase_add_test(t, test_cube_geometry_requests);
    tcase_add_test(t, test_cube_geometry_plane);
    tcase_add_test(t, test_cube_geometry_refuses);
    suite_add_tcase(s, t);
    return support_run(s);
}
