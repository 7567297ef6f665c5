#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stages/cube_geometry.h"
#include "stages/cube_offsets.h"
#include "tests/support.h"

static char *folder;
static struct err err;

static void setup(void)
{
    folder = support_folder();
    err = (struct err){0};
}

static void teardown(void)
{
    support_remove(folder);
}

static int read_text(const char *tree, struct cube_offsets **ret)
{
    char text[1000];
    const char *path = support_path(folder, "offsets.asdf");
    snprintf(text, sizeof text,
             "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%%YAML 1.1\n--- \n%s...\n", tree);
    support_write_file(path, text, strlen(text));
    return cube_offsets_read(path, ret, &err);
}

START_TEST(test_cube_offsets_read)
{
    struct cube_offsets *o = NULL;
    double at[2];
    support_ok(read_text("units: arcsec\nfilename: [a.fits, b.fits]\n"
                         "raoffset: [0.1, -0.2]\ndecoffset: [1, 2.5]\n",
                         &o),
               &err);
    support_ok(cube_offsets_find(o, "x", "b.fits", at, &err), &err);
    ck_assert_double_eq(at[0], -0.2);
    ck_assert_double_eq(at[1], 2.5);
    ck_assert_int_eq(cube_offsets_find(o, "x.asdf", "c.fits", at, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "no entry for c.fits"));
    cube_offsets_free(o);
}
END_TEST

/* Each message says what is wrong. */
START_TEST(test_cube_offsets_refuses)
{
    static const char *const bad[][2] = {
        {"filename: [a]\nraoffset: [1]\ndecoffset: [1]\n", "`units` is missing"},
        {"units: deg\nfilename: [a]\nraoffset: [1]\ndecoffset: [1]\n", "'deg'"},
        {"units: arcsec\nraoffset: [1]\ndecoffset: [1]\n", "`filename` is missing"},
        {"units: arcsec\nfilename: []\nraoffset: []\ndecoffset: []\n", "`filename`"},
        {"units: arcsec\nfilename: [[a]]\nraoffset: [1]\ndecoffset: [1]\n",
         "entry 1 of `filename`"},
        {"units: arcsec\nfilename: [a, b]\nraoffset: [1]\ndecoffset: [1, 2]\n",
         "`raoffset` has 1 values, `filename` 2"},
        {"units: arcsec\nfilename: [a]\nraoffset: [1]\ndecoffset: [x]\n",
         "`decoffset` is missing or no list of numbers"},
        {"units: arcsec\nfilename: [a]\nraoffset: [1]\n", "`decoffset`"},
        {"units: arcsec\nfilename: [a]\nraoffset: [.nan]\ndecoffset: [1]\n",
         "`raoffset` is nan in entry 1"},
        {"units: arcsec\nfilename: [a]\nraoffset: [4000]\ndecoffset: [1]\n", "4000"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cube_offsets *o = NULL;
        ck_assert_int_eq(read_text(bad[i][0], &o), ERR_PARAM);
        ck_assert_msg(strstr(err.message, bad[i][1]) != NULL, "%s", err.message);
        ck_assert_ptr_nonnull(strstr(err.message, "offsets.asdf"));
        ck_assert_ptr_null(o);
    }
    struct cube_offsets *o = NULL;
    const char *none = support_path(folder, "none.asdf");
    ck_assert_int_eq(cube_offsets_read(none, &o, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "none.asdf"));
}
END_TEST

/* Near the equator an offset is that of the coordinates; near a pole it is that on the
 * sphere. The grid moves positions as the function does: 1e-9 spaxels are roundings. */
START_TEST(test_cube_offsets_apply)
{
    static const double decs[] = {0, 2.2, -60, 89.99};
    const double offset[2] = {3, -2};
    for (size_t i = 0; i < 4; i++) {
        struct cube_grid g = {.ra0 = 359.9999,
                              .dec0 = decs[i],
                              .scale = 0.1,
                              .sin_dec0 = sin(decs[i] * M_PI / 180),
                              .cos_dec0 = cos(decs[i] * M_PI / 180),
                              .cos_pa = 1};
        double ra = 0.0001, dec = decs[i], u[2], v[2];
        struct cube_grid moved = g;
        cube_grid_offset(&moved, offset);
        cube_grid_project(&moved, 1, &ra, &dec, &u[0], &v[0]);
        cube_offset_apply(offset, &ra, &dec);
        cube_grid_project(&g, 1, &ra, &dec, &u[1], &v[1]);
        ck_assert_double_eq_tol(u[0], u[1], 1e-8);
        ck_assert_double_eq_tol(v[0], v[1], 1e-8);
        if (i < 3) { /* 1e-4 arcsec: the curvature of parallels */
            ck_assert_double_eq_tol((ra - 0.0001) * 3600 * cos(dec * M_PI / 180), 3,
                                    1e-4);
            ck_assert_double_eq_tol((dec - decs[i]) * 3600, -2, 1e-4);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_offsets");
    TCase *t = tcase_create("cube_offsets");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_cube_offsets_read);
    tcase_add_test(t, test_cube_offsets_refuses);
    tcase_add_test(t, test_cube_offsets_apply);
    suite_add_tcase(s, t);
    return support_run(s);
}
