#include <check.h>
#include <math.h>
#include <string.h>
#include "tests/stages/stage_kit.h"
#include "tests/support.h"

/*
 * The synthetic reference: 5 x 5 positions from -0.5 to 0.5, except that x is shifted so
 * that the centre lies between two columns; 4 wavelengths 3.0, 3.2, 3.4, 3.6 um.
 * PS = 0.5 + 0.1 k + 0.2 x, UNI = 0.9 - 0.1 k; k is the wavelength's index.
 */
enum { SIDE = 5, PLANES = 4 };

struct made {
    double x_shift, cdelt3;
    int without_uniform, flat_ps;
};

static void axis(struct header *h, int number, double crpix, double crval, double cdelt)
{
    const char *names[] = {"CRPIX", "CRVAL", "CDELT"};
    double values[] = {crpix, crval, cdelt};
    struct err err;
    for (int i = 0; i < 3; i++) {
        char keyword[8] = {0};
        strcpy(keyword, names[i]);
        keyword[5] = (char)('0' + number);
        support_ok(header_set_real(h, keyword, values[i], NULL, &err), &err);
    }
}

static void fill(struct fits_out *f, const void *arg)
{
    const struct made *made = arg;
    struct err err = {0};
    struct header ps = {0}, uni = {0};
    float cube[PLANES * SIDE * SIDE], vector[PLANES];
    size_t axes[3] = {SIDE, SIDE, PLANES}, n = PLANES;
    for (int k = 0; k < PLANES; k++) {
        vector[k] = 0.9F - 0.1F * (float)k;
        for (int j = 0; j < SIDE; j++) {
            for (int i = 0; i < SIDE; i++) {
                double x = -0.5 + 0.25 * i + made->x_shift;
                cube[(k * SIDE + j) * SIDE + i] = (float)(0.5 + 0.1 * k + 0.2 * x);
            }
        }
    }
    axis(&ps, 1, 1, -0.5 + made->x_shift, 0.25);
    axis(&ps, 2, 1, -0.5, 0.25);
    axis(&ps, 3, 1, 3.0e-6, made->cdelt3);
    axis(&uni, 1, 1, 3.0e-6, 0.2e-6);
    support_ok(fits_out_image(f, "PS", &ps, FITS_FLOAT, made->flat_ps ? 2 : 3, axes,
                              cube, &err),
               &err);
    if (!made->without_uniform) {
        support_ok(fits_out_image(f, "UNI", &uni, FITS_FLOAT, 1, &n, vector, &err),
                   &err);
    }
    header_done(&ps);
    header_done(&uni);
}

static const struct made good = {.x_shift = 0.1, .cdelt3 = 0.2e-6};

/* Correction expected at a wavelength; NaN outside (3.0, 3.6]. */
static double expected(int is_point, double um)
{
    double k = (um - 3.0) / 0.2;
    return um > 3.0 && um <= 3.6 ? is_point ? 0.5 + 0.1 * k : 0.9 - 0.1 * k
                                 : (double)NAN;
}

static void check_pixels(const struct exposure *e, const struct exposure *before,
                         int is_point)
{
    int n = 0;
    for (int y = 0; y < e->ny; y++) {
        for (int x = 0; x < e->nx; x++) {
            int at = y * e->nx + x;
            double loss = stage_kit_slice(x, y) ? expected(is_point, stage_kit_um(x, y))
                                                : (double)NAN;
            if (isnan(loss)) {
                ck_assert(isnan(e->sci[at]) && isnan(e->err[at]));
                ck_assert(isnan(e->var_rnoise[at]));
                continue;
            }
            /* Wavelengths in float are good to 2e-7, the slope is 0.5 per um; a few
             * roundings of 6e-8 come on top. */
            double sci = (double)before->sci[at] / loss;
            double var = (double)before->var_poisson[at] / (loss * loss);
            ck_assert_double_eq_tol((double)e->sci[at], sci, 1e-6 * sci);
            ck_assert_double_eq_tol((double)e->err[at], 0.1 / loss, 1e-6);
            ck_assert_double_eq_tol((double)e->var_poisson[at], var, 2e-6 * var);
            ck_assert_double_eq_tol((double)e->pathloss_ps[at],
                                    expected(1, stage_kit_um(x, y)), 1e-6);
            ck_assert_double_eq_tol((double)e->pathloss_un[at],
                                    expected(0, stage_kit_um(x, y)), 1e-6);
            n++;
        }
    }
    ck_assert_int_gt(n, 500);
}

static void run_case(const char *source_type, const char *params, int is_point)
{
    struct stage_kit kit;
    struct err err = {0};
    stage_kit_init(&kit);
    stage_kit_write(support_path(kit.folder, "pathloss.fits"), fill, &good);
    struct exposure *e = stage_kit_exposure(), *before = stage_kit_exposure();
    strcpy(e->meta.source_type, source_type);
    support_ok(stage_kit_run(&kit, &stage_pathloss, params, 2, e, &err), &err);
    ck_assert_str_eq(kit.used, "pathloss ");
    check_pixels(e, before, is_point);
    exposure_free(e);
    exposure_free(before);
    stage_kit_done(&kit);
}

START_TEST(test_pathloss_follows_the_source_type)
{
    run_case("POINT", "", 1);
    run_case("EXTENDED", "", 0);
    run_case("", "", 0);
    run_case("EXTENDED", "source_type=POINT", 1);
}
END_TEST

START_TEST(test_pathloss_inverse_undoes)
{
    struct stage_kit kit;
    struct err err = {0};
    stage_kit_init(&kit);
    stage_kit_write(support_path(kit.folder, "pathloss.fits"), fill, &good);
    struct exposure *e = stage_kit_exposure(), *before = stage_kit_exposure();
    support_ok(stage_kit_run(&kit, &stage_pathloss, "", 1, e, &err), &err);
    support_ok(stage_kit_run(&kit, &stage_pathloss, "inverse=true", 1, e, &err), &err);
    for (size_t i = 0; i < exposure_pixels(e); i++) {
        if (!isnan(e->sci[i])) { /* two roundings */
            ck_assert(fabsf(e->sci[i] - before->sci[i]) < 4e-7F);
            ck_assert(fabsf(e->var_rnoise[i] - before->var_rnoise[i]) < 4e-9F);
        }
    }
    exposure_free(e);
    exposure_free(before);
    stage_kit_done(&kit);
}
END_TEST

static void refused(const struct made *made, const char *message)
{
    struct stage_kit kit;
    struct err err = {0};
    stage_kit_init(&kit);
    const char *path = support_path(kit.folder, "pathloss.fits");
    stage_kit_write(path, fill, made);
    struct exposure *e = stage_kit_exposure();
    ck_assert_int_eq(stage_kit_run(&kit, &stage_pathloss, "", 1, e, &err),
                     ERR_REFERENCE);
    ck_assert_msg(strstr(err.message, message) && strstr(err.message, "pathloss.fits"),
                  "%s", err.message);
    exposure_free(e);
    stage_kit_done(&kit);
}

START_TEST(test_pathloss_refuses_bad_references)
{
    struct made made = good;
    made.without_uniform = 1;
    refused(&made, "UNI");
    made = good;
    made.flat_ps = 1;
    refused(&made, "HDU PS must be a cube");
    made = good;
    made.x_shift = 3;
    refused(&made, "centre of the aperture");
    made = good;
    made.cdelt3 = -0.2e-6;
    refused(&made, "CDELT3");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pathloss");
    TCase *t = tcase_create("pathloss");
    tcase_add_test(t, test_pathloss_follows_the_source_type);
    tcase_add_test(t, test_pathloss_inverse_undoes);
    tcase_add_test(t, test_pathloss_refuses_bad_references);
    suite_add_tcase(s, t);
    return support_run(s);
}
