#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/cube_covariance.h"
#include "common/data/cube_io.h"
#include "tests/support.h"

static struct err err;
static char *folder;

static void setup(void)
{
    folder = support_folder();
    err = (struct err){0};
}

static void teardown(void)
{
    support_remove(folder);
}

static struct cube *a_cube(void)
{
    static const double radii[] = {0.1, 0.3, 2}, factors[] = {1.1, 1.3, 1.5};
    struct cube *c = cube_new(3, 3, 2, &err);
    ck_assert_ptr_nonnull(c);
    c->cdelt1 = c->cdelt2 = 0.1 / 3600;
    c->crpix1 = c->crpix2 = 2;
    c->crpix3 = 1;
    c->wavelength[0] = c->crval3 = 3;
    c->cdelt3 = 0.5;
    c->wavelength[1] = 3.5;
    c->covariance = cube_covariance_new(3, &err);
    ck_assert_ptr_nonnull(c->covariance);
    memcpy(c->covariance->radius_arcsec, radii, sizeof radii);
    memcpy(c->covariance->factor, factors, sizeof factors);
    return c;
}

/* Linear between rows, from 1 at 0, constant beyond the last. 1e-12: a few roundings. */
START_TEST(test_cube_covariance_factor)
{
    static const double at[][2] = {{-1, 1},    {0, 1},     {0.05, 1.05},
                                   {0.1, 1.1}, {0.2, 1.2}, {1.15, 1.4},
                                   {2, 1.5},   {99, 1.5},  {(double)INFINITY, 1.5}};
    struct cube *c = a_cube();
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        ck_assert_double_eq_tol(cube_covariance_factor(c, at[i][0]), at[i][1], 1e-12);
    }
    ck_assert_double_eq(cube_covariance_factor(c, NAN), 1);
    cube_covariance_free(c->covariance);
    c->covariance = NULL;
    ck_assert_double_eq(cube_covariance_factor(c, 1), 1);
    cube_free(c);
}
END_TEST

START_TEST(test_cube_covariance_in_file)
{
    struct cube *c = a_cube(), *back = NULL;
    const char *path = support_path(folder, "a_s3d.fits");
    support_ok(cube_write(c, path, "a_s3d.fits", NULL, &err), &err);
    support_ok(cube_read(path, &back, &err), &err);
    ck_assert_ptr_nonnull(back->covariance);
    ck_assert_uint_eq(back->covariance->n, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_double_eq(back->covariance->radius_arcsec[i],
                            c->covariance->radius_arcsec[i]);
        ck_assert_double_eq(back->covariance->factor[i], c->covariance->factor[i]);
    }
    cube_free(back);
    cube_free(c);
}
END_TEST

/* A cube without the table is no error; a table that makes no sense is one. */
START_TEST(test_cube_covariance_refused)
{
    static const double bad[][2] = {{0.2, 1.2}, {0.2, 0}, {0.2, (double)NAN}};
    struct cube *c = a_cube(), *back = NULL;
    for (size_t i = 0; i < 3; i++) {
        char name[40];
        snprintf(name, sizeof name, "bad%zu_s3d.fits", i);
        const char *path = support_path(folder, name);
        c->covariance->radius_arcsec[2] = i ? 2 : bad[i][0];
        c->covariance->factor[2] = bad[i][1];
        support_ok(cube_write(c, path, name, NULL, &err), &err);
        ck_assert_int_eq(cube_read(path, &back, &err), ERR_INPUT);
        ck_assert_ptr_nonnull(strstr(err.message, "COVARIANCE: row 3"));
        ck_assert_ptr_null(back);
    }
    cube_covariance_free(c->covariance);
    c->covariance = NULL;
    const char *path = support_path(folder, "none_s3d.fits");
    support_ok(cube_write(c, path, "none_s3d.fits", NULL, &err), &err);
    support_ok(cube_read(path, &back, &err), &err);
    ck_assert_ptr_null(back->covariance);
    cube_free(back);
    cube_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cube_covariance");
    TCase *t = tcase_create("cube_covariance");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_cube_covariance_factor);
    tcase_add_test(t, test_cube_covariance_in_file);
    tcase_add_test(t, test_cube_covariance_refused);
    suite_add_tcase(s, t);
    return support_run(s);
}
