#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/fits_io.h"
#include "stages/extract_region.h"
#include "tests/stages/extract_kit.h"
#include "tests/support.h"

static char *folder;

static void setup(void)
{
    folder = support_folder();
}

static void teardown(void)
{
    support_remove(folder);
}

/* The kit's cube, turned by `pa` degrees: north up and east left at 0. */
static struct cube *turned(double pa)
{
    struct cube *c = kit_star(20.0, 22.0);
    const double r = pa * M_PI / 180;
    c->pc[0][0] = -cos(r);
    c->pc[0][1] = sin(r);
    c->pc[1][0] = sin(r);
    c->pc[1][1] = cos(r);
    return c;
}

static int read(const struct cube *c, const char *text, struct aperture **a,
                struct err *err)
{
    const char *path = support_path(folder, "a.reg");
    support_write_file(path, text, strlen(text));
    *a = NULL;
    return extract_region_read(c, path, a, err);
}

/* Centroid and second moments of an aperture: centre, and how far it reaches along x, y. */
static void moments(const struct aperture *a, double *x, double *y, double *xx,
                    double *yy, double *xy)
{
    *x = *y = *xx = *yy = *xy = 0;
    for (int pass = 0; pass < 2; pass++) {
        double cx = *x, cy = *y;
        for (size_t i = 0; i < a->n; i++) {
            double u = (double)(a->index[i] % KIT_NX),
                   v = (double)(a->index[i] / KIT_NX);
            double w = a->weight[i] / a->full;
            if (pass == 0) {
                *x += w * u;
                *y += w * v;
            } else {
                *xx += w * (u - cx) * (u - cx);
                *yy += w * (v - cy) * (v - cy);
                *xy += w * (u - cx) * (v - cy);
            }
        }
    }
}

/*
 * Areas and orientation. Ten points a side make an area good to half a per cent. North up:
 * a position angle of 90 degrees is along x, one of 45 leans to the left (east); of DS9's
 * angles 0 is along x, 90 up. On a cube turned by 90 degrees it is the other way round.
 */
START_TEST(test_extract_region_shapes)
{
    struct err err = {0};
    struct aperture *a = NULL;
    double x, y, xx, yy, xy;
    struct cube *c = turned(0);
    support_ok(extract_region_ellipse(c, 19.5, 21, 1.0, 0.5, 0, &a, &err), &err);
    moments(a, &x, &y, &xx, &yy, &xy);
    ck_assert_double_eq_tol(a->full, M_PI * 50, 0.8);
    ck_assert_double_eq_tol(x, 19.5, 0.02);
    ck_assert_double_eq_tol(y, 21.0, 0.02);
    ck_assert_double_eq_tol(yy, 25.0, 0.5); /* a^2 / 4 spaxels^2 */
    ck_assert_double_eq_tol(xx, 6.25, 0.3); /* and 1/12 of the spaxels' own */
    aperture_free(a);
    support_ok(extract_region_ellipse(c, 19.5, 21, 1.0, 0.5, 45, &a, &err), &err);
    moments(a, &x, &y, &xx, &yy, &xy);
    ck_assert_double_lt(xy, -5); /* up and to the left */
    aperture_free(a);
    cube_free(c);
    static const char *const same[2][2] = {
        {"# Region file\nglobal color=green\nfk5\nellipse(",
         ",0.5\",1.0\",0) # mine\n"},
        {"icrs;ellipse ", " 1.0\" 0.00013888889 90\n"}};
    for (int turn = 0; turn < 2; turn++) {
        c = turned(turn ? 90 : 0);
        for (size_t i = 0; i < 2; i++) {
            char text[200];
            double ra, dec;
            cube_spaxel_to_sky(c, 19.5, 21, &ra, &dec);
            snprintf(text, sizeof text, "%s%.8f,%.8f%s", same[i][0], ra, dec,
                     same[i][1]);
            support_ok(read(c, text, &a, &err), &err);
            moments(a, &x, &y, &xx, &yy, &xy);
            ck_assert_double_eq_tol(a->full, M_PI * 50, 0.8);
            ck_assert_double_eq_tol(x, 19.5, 0.02);
            ck_assert_double_eq_tol(turn ? xx : yy, 25.0, 0.5);
            aperture_free(a);
        }
        cube_free(c);
    }
    c = turned(0);
    support_ok(read(c, "image\nbox(11,21,6,4,0)\n", &a, &err), &err);
    moments(a, &x, &y, &xx, &yy, &xy);
    ck_assert_double_eq_tol(a->full, 24, 1e-9);
    ck_assert_double_eq_tol(x, 10, 1e-9);
    ck_assert_double_eq_tol(y, 20, 1e-9);
    aperture_free(a);
    support_ok(
        read(c, "image\npolygon(5,5,15,5,15,25,5,25)\n-circle(10,15,3)\n", &a, &err),
        &err);
    ck_assert_double_eq_tol(a->full, 200 - M_PI * 9, 0.3);
    aperture_free(a);
    support_ok(read(c, "fk5\ncircle(10:00:00.0, +2:00:00, 0.4\")\n", &a, &err), &err);
    moments(a, &x, &y, &xx, &yy, &xy);
    ck_assert_double_eq_tol(x, 20, 0.02); /* CRVAL: 150, 2 at CRPIX 21, 23 */
    ck_assert_double_eq_tol(y, 22, 0.02);
    aperture_free(a);
    cube_free(c);
}
END_TEST

START_TEST(test_extract_region_refuses)
{
    static const char *const bad[][2] = {
        {"circle(1,2,3)\n", "must stand before"},
        {"image\ncircle(1,2)\n", "radius of a circle"},
        {"image\nellipse(1,2,3)\n", "two sizes"},
        {"image\npolygon(1,2,3,4)\n", "corners"},
        {"image\nannulus(1,2,3,4)\n", "line 2"},
        {"image\ncircle(500,500,3)\n", "no spaxel"},
        {"fk5\ncircle(10,80,3\")\n",
         "centre and radius"}, /* not on this half of the sky */
        {"\n", "no shape"},
        {"galactic\n", "fk5, icrs"},
    };
    struct cube *c = turned(0);
    struct aperture *a = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        ck_assert_int_eq(read(c, bad[i][0], &a, &err), ERR_INPUT);
        ck_assert_msg(strstr(err.message, bad[i][1]) != NULL, "%s", err.message);
        ck_assert_ptr_null(a);
    }
    struct err err = {0};
    ck_assert_int_eq(extract_region_ellipse(c, 300, 3, 1, 1, 0, &a, &err), ERR_PARAM);
    ck_assert_int_eq(extract_region_read(c, folder, &a, &err), ERR_INPUT);
    ck_assert_int_eq(extract_region_read(c, "/not/there", &a, &err), ERR_INPUT);
    cube_free(c);
}
END_TEST

static const char *write_mask(size_t nx)
{
    static float mask[KIT_PLANE];
    struct err err = {0};
    struct fits_out *f = NULL;
    const size_t axes[2] = {nx, KIT_NY};
    const char *path = support_path(folder, nx == KIT_NX ? "mask.fits" : "small.fits");
    mask[3 * KIT_NX + 4] = 1;
    mask[3 * KIT_NX + 5] = 2;
    mask[9 * KIT_NX + 7] = NAN;
    support_ok(fits_out_create(path, &f, &err), &err);
    support_ok(fits_out_primary(f, NULL, &err), &err);
    support_ok(fits_out_image(f, "MASK", NULL, FITS_FLOAT, 2, axes, mask, &err), &err);
    support_ok(fits_out_close(f, &err), &err);
    return path;
}

/* Through the stage: a mask of two spaxels is their sum; of the sky alone, 3 MJy/sr each. */
START_TEST(test_extract_region_of_the_stage)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    const char *text = "";
    const char *const by_mask[] = {"region", write_mask(KIT_NX), NULL};
    const char *const small[] = {"region", write_mask(KIT_NX - 1), NULL};
    support_ok(kit_extract(kit_star(20, 22), 1, by_mask, &s, &err), &err);
    ck_assert_str_eq(s->source_type, "EXTENDED");
    ck_assert_double_eq(s->npixels[0], 2);
    ck_assert_double_eq_tol(s->flux[0] / (2 * kit_sky * kit_to_jy()), 1, 1e-6);
    ck_assert(header_get_string(&s->table, "EXTRREGN", &text));
    ck_assert_str_eq(text, "mask.fits");
    int in = 0; /* what the picture shows is what was summed */
    for (int p = 0; p < KIT_PLANE; p++) {
        in += s->region[p];
    }
    ck_assert_int_eq(in, 2);
    spectrum_free(s);
    s = NULL;
    ck_assert_int_eq(kit_extract(kit_star(20, 22), 1, small, &s, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "41 x 45"));
    /* an ellipse of 0.6 x 0.5 arcsec round the star holds it (4.5 sigma) and 94 spaxels */
    const char *const round[] = {"ellipse", "0.6,0.5,30", NULL};
    support_ok(kit_extract(kit_star(20, 22), 1, round, &s, &err), &err);
    ck_assert_double_eq_tol(s->npixels[0], M_PI * 30, 0.5);
    ck_assert_double_eq_tol(s->flux[0] / kit_to_jy(),
                            kit_total + kit_sky * s->npixels[0], 0.002 * kit_total);
    ck_assert_double_eq(s->extraction_x, 20);
    spectrum_free(s);
    s = NULL;
    const char *const idle[] = {"region", by_mask[1], "center_xy", "3,4", NULL};
    support_ok(kit_extract(kit_star(20, 22), 1, idle, &s, &err), &err);
    ck_assert_ptr_nonnull(strstr(kit_note, "do nothing where region says"));
    spectrum_free(s);
    s = NULL;
    const char *const two[] = {"ellipse", "0.6,0.5", NULL};
    ck_assert_int_eq(kit_extract(kit_star(20, 22), 1, two, &s, &err), ERR_PARAM);
    const char *const both[] = {"ellipse", "0.6,0.5,1", "region", "x", NULL};
    ck_assert_int_eq(kit_extract(kit_star(20, 22), 1, both, &s, &err), ERR_PARAM);
    ck_assert_ptr_null(s);
}
END_TEST

/* Two sources of a catalogue on the cube, one off it, one row that says nothing: two
 * spectra, and two warnings; EXTENDED or not, they are point sources. */
START_TEST(test_extract_region_catalog)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    struct cube *c = kit_star(18.3, 24.6);
    char rows[600];
    double ra[2], dec[2], number = 0;
    const char *text = "", *path = support_path(folder, "sources.csv");
    const char *const settings[] = {"source_catalog", path, NULL};
    cube_spaxel_to_sky(c, 18.3, 24.6, &ra[0], &dec[0]);
    cube_spaxel_to_sky(c, 30, 10, &ra[1], &dec[1]);
    int n = snprintf(rows, sizeof rows,
                     "name,ra,dec,radius\nstar,%.9f,%.9f,0.45\nfar,%.9f,%.9f,0.2\n"
                     "bad,north,2,1\nsky,%.9f,%.9f,0.3\n",
                     ra[0], dec[0], ra[0], dec[0] + 0.01, ra[1], dec[1]);
    support_write_file(path, rows, (size_t)n);
    strcpy(c->meta.source_type, "EXTENDED");
    support_ok(kit_extract(c, 2, settings, &s, &err), &err);
    ck_assert_ptr_nonnull(s->next);
    ck_assert_ptr_null(s->next->next);
    ck_assert_str_eq(s->source_type, "POINT");
    double share = 1.0 - exp(-kit_radius * kit_radius / (2.0 * kit_sigma * kit_sigma));
    ck_assert_double_eq_tol(s->flux[5] / (kit_total * share * kit_to_jy()), 1, 1e-3);
    ck_assert_double_eq_tol(s->next->npixels[5], M_PI * 9, 0.2);
    ck_assert_double_lt(fabs(s->next->flux[5]), 1e-3 * s->flux[5]);
    ck_assert(header_get_string(&s->next->table, "SRCNAME", &text));
    ck_assert_str_eq(text, "sky");
    ck_assert(header_get_real(&s->next->table, "SRCRA", &number));
    ck_assert_double_eq_tol(number, ra[1], 1e-9);
    ck_assert_ptr_nonnull(strstr(kit_note, "line 3: far"));
    ck_assert_ptr_nonnull(strstr(kit_note, "off the cube"));
    ck_assert_ptr_nonnull(strstr(kit_note, "line 4: ra is 'north'"));
    ck_assert_ptr_nonnull(
        strstr(kit_note, "line 2: star: spaxel 18.300 24.600, aperture 0.45 arcsec"));
    spectrum_free(s);
    s = NULL;
    support_write_file(path, "10 10\n", 6);
    ck_assert_int_eq(kit_extract(kit_star(20, 22), 1, settings, &s, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "none of its sources"));
    ck_assert_ptr_null(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("extract_region");
    TCase *t = tcase_create("extract_region");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_extract_region_shapes);
    tcase_add_test(t, test_extract_region_refuses);
    tcase_add_test(t, test_extract_region_of_the_stage);
    tcase_add_test(t, test_extract_region_catalog);
    suite_add_tcase(s, t);
    return support_run(s);
}
