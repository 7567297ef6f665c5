#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/cube_covariance.h"
#include "common/data/dq.h"
#include "tests/stages/extract_kit.h"
#include "tests/support.h"

START_TEST(test_extract_1d_point)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    support_ok(kit_extract(kit_star(20.0, 22.0), 1, NULL, &s, &err), &err);
    ck_assert_uint_eq(s->n, KIT_NW);
    ck_assert_str_eq(s->source_type, "POINT");
    ck_assert_double_eq(s->extraction_x, 20.0);
    ck_assert_double_eq(s->extraction_y, 22.0);
    /* The share of the star within the circle. Cells sample the circle's edge, where the
     * star has 2.3e-4 of its light per spaxel: 1e-3 is generous; the sky cancels. */
    double share = 1.0 - exp(-kit_radius * kit_radius / (2.0 * kit_sigma * kit_sigma));
    for (size_t k = 0; k < s->n; k++) {
        ck_assert_double_eq(s->wavelength[k], 3.0 + 0.01 * (double)k);
        ck_assert_double_eq_tol(s->flux[k] / (kit_total * share * kit_to_jy()), 1.0,
                                1e-3);
        ck_assert_double_eq_tol(s->npixels[k], M_PI * kit_radius * kit_radius, 0.3);
        ck_assert_double_eq_tol(s->surf_bright[k] * s->npixels[k] * kit_to_jy(),
                                s->flux[k], 1e-12 * s->flux[k]);
        ck_assert_double_eq_tol(s->background[k], kit_sky, 1e-6 * kit_sky); /* floats */
        /* variances add: the circle's, and the ring's scaled to the circle's area */
        double ring = M_PI * (13.0 * 13.0 - 9.0 * 9.0), n = s->npixels[k];
        double var = 0.01 * (n + n * n / ring);
        ck_assert_double_eq_tol(s->flux_error[k], sqrt(var) * kit_to_jy(),
                                1e-3 * s->flux_error[k]);
        ck_assert_double_eq_tol(s->sb_error[k] * n * kit_to_jy(), s->flux_error[k],
                                1e-12 * s->flux_error[k]);
        ck_assert_uint_eq(s->dq[k], 0);
        ck_assert_double_eq(s->flux_var_poisson[k], 0.0);
    }
    spectrum_free(s);
}
END_TEST

START_TEST(test_extract_1d_clips_the_background)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    struct cube *c = kit_star(20.0, 22.0);
    c->sci[7 * KIT_PLANE + 22 * KIT_NX + 30] =
        1e5f; /* in the ring: 10 spaxels to the right */
    support_ok(kit_extract(c, 1, NULL, &s, &err), &err);
    /* Left out of the sum, but not of the area, as in the peer: one spaxel of 276 */
    ck_assert_double_eq_tol(s->background[7], kit_sky * (1.0 - 1.0 / 276.0),
                            1e-3 * kit_sky);
    ck_assert_double_eq_tol(s->background[8], kit_sky, 1e-6 * kit_sky);
    spectrum_free(s);
}
END_TEST

START_TEST(test_extract_1d_without_weight)
{
    struct err err = {0};
    struct spectrum *s = NULL, *full = NULL;
    struct cube *c = kit_star(20.0, 22.0);
    for (int p = 0; p < KIT_PLANE; p++) { /* plane 3: nothing at all */
        c->sci[3 * KIT_PLANE + p] = c->err[3 * KIT_PLANE + p] = NAN;
        c->wmap[3 * KIT_PLANE + p] = 0.0f;
    }
    for (int j = 0; j < KIT_NY;
         j++) { /* plane 5: a column at the edge of the circle is out */
        size_t p = (size_t)(5 * KIT_PLANE + j * KIT_NX + 24);
        c->sci[p] = c->err[p] = NAN;
        c->wmap[p] = 0.0f;
    }
    for (int p = 0; p < KIT_PLANE;
         p++) { /* plane 6: half covered; plane 7: many times */
        c->wmap[6 * KIT_PLANE + p] = 0.5f;
        c->wmap[7 * KIT_PLANE + p] = 12.0f;
    }
    support_ok(kit_extract(c, 1, NULL, &s, &err), &err);
    support_ok(kit_extract(kit_star(20.0, 22.0), 1, NULL, &full, &err), &err);
    ck_assert_uint_eq(s->dq[3], DQ_DO_NOT_USE);
    ck_assert_double_eq(s->flux[3], 0.0);
    ck_assert_double_eq_tol(s->npixels[3], M_PI * kit_radius * kit_radius, 0.01);
    ck_assert_uint_eq(s->dq[5], 0);
    /* a segment of the circle, 3.9 spaxels large, less what cells miss */
    ck_assert_double_eq_tol(s->npixels[5], full->npixels[5] - 3.9, 0.3);
    /* the column held 3e-4 of the light, and the sky is subtracted by area */
    ck_assert_double_eq_tol(s->flux[5], full->flux[5], 1e-3 * full->flux[5]);
    ck_assert_double_eq_tol(s->npixels[6], 0.5 * full->npixels[6], 1e-9);
    ck_assert_double_eq(s->npixels[7], full->npixels[7]);
    ck_assert_double_eq(s->flux[7], full->flux[7]);
    ck_assert_ptr_null(strstr(kit_note, "no light"));
    spectrum_free(s);
    spectrum_free(full);
    /* light, but not where the aperture is: said, since the spectrum is of no use */
    c = kit_star(20.0, 22.0);
    for (int p = 0; p < KIT_PLANE * c->nw; p++) {
        c->wmap[p] = p % KIT_PLANE ? 0.0f : 1.0f;
    }
    support_ok(kit_extract(c, 1, NULL, &s, &err), &err);
    ck_assert_ptr_nonnull(strstr(kit_note, "there is no light where it was extracted"));
    spectrum_free(s);
}
END_TEST

START_TEST(test_extract_1d_extended)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    struct cube *c = kit_star(20.0, 22.0);
    strcpy(c->meta.source_type, "EXTENDED");
    c->wmap[0] = 0.0f;
    c->sci[0] = NAN;
    support_ok(kit_extract(c, 1, NULL, &s, &err), &err);
    ck_assert_str_eq(s->source_type, "EXTENDED");
    ck_assert_double_eq(s->npixels[0], KIT_PLANE - 1);
    ck_assert_double_eq(s->npixels[1], KIT_PLANE);
    /* star and sky, nothing subtracted; floats add up to 1e-6 */
    double sum = (kit_total + kit_sky * KIT_PLANE) * kit_to_jy();
    ck_assert_double_eq_tol(s->flux[1], sum, 1e-6 * sum);
    ck_assert_double_eq_tol(s->surf_bright[1], kit_total / KIT_PLANE + kit_sky, 1e-5);
    /* the clipped mean is the sky's, give or take the star's wings: 1 % */
    ck_assert_double_eq_tol(s->background[1], kit_sky, 0.01 * kit_sky);
    spectrum_free(s);
    c = kit_star(20.0, 22.0);
    strcpy(c->meta.source_type, "");
    support_ok(kit_extract(c, 1, NULL, &s, &err), &err);
    ck_assert_str_eq(s->source_type, "EXTENDED"); /* as in the peer, with a warning */
    ck_assert_ptr_nonnull(strstr(kit_note, "EXTENDED"));
    spectrum_free(s);
}
END_TEST

/* ERR 0.1 a spaxel, of which 0.06 is common to all: the rest, 0.08, adds in quadrature, what is
 * common adds up; so does what exposures share in quadrature, beyond ERR. The covariance of
 * spaxels says nothing of what is common. With an annulus what is common goes away. */
START_TEST(test_extract_1d_common_errors)
{
    struct err err = {0};
    const char *const covar[] = {"ifu_covar_scale", "2", NULL};
    struct spectrum *s = NULL;
    for (int point = 0; point < 2; point++) {
        struct cube *c = kit_star(20.0, 22.0);
        strcpy(c->meta.source_type, point ? "POINT" : "EXTENDED");
        c->common_error = calloc(KIT_NW, sizeof *c->common_error);
        c->var_background =
            calloc((size_t)KIT_NW * KIT_PLANE, sizeof *c->var_background);
        ck_assert(c->common_error && c->var_background);
        for (int p = KIT_PLANE; p < 2 * KIT_PLANE; p++) { /* plane 1 */
            c->var_background[p] = 0.0017F;
        }
        c->common_error[1] = 0.06;
        support_ok(kit_extract(c, 1, covar, &s, &err), &err);
        const double others = (double)(0.08F * 0.08F) + (double)0.0017F;
        if (!point) {
            const double sum = hypot(2 * sqrt(others * KIT_PLANE), 0.06 * KIT_PLANE);
            ck_assert_double_eq_tol(s->sb_error[1] / (sum / KIT_PLANE), 1, 1e-6);
            ck_assert_double_eq_tol(s->flux_error[1] / (sum * kit_to_jy()), 1, 1e-6);
            ck_assert_double_eq_tol(s->bkgd_error[1] / 0.06, 1, 0.01);
        } else { /* both areas scale alike: 0.01 there */
            ck_assert_double_eq_tol(s->flux_error[1] / s->flux_error[0],
                                    sqrt(others / 0.01), 0.01);
        }
        spectrum_free(s);
    }
}
END_TEST

/* Exposures that share a background and look so far apart that no pixel is in both apertures:
 * what they share does not count; at one place, all of it; in between, the overlap of circles
 * of 0.45 and 0.1 arcsec more (0.5 apart: 0.44), or 1.8 for the whole field (0.5 apart: 0.82). */
START_TEST(test_extract_1d_shared_errors)
{
    static const double apart[] = {0, 5, 0.5},
                        expected[2][3] = {{1, 0, 0.8237}, {1, 0, 0.4419}};
    struct err err = {0};
    for (int k = 0; k < 6; k++) {
        struct spectrum *s = NULL;
        struct cube *c = kit_star(20.0, 22.0);
        strcpy(c->meta.source_type, k / 3 ? "POINT" : "EXTENDED");
        c->var_background =
            calloc((size_t)KIT_NW * KIT_PLANE, sizeof *c->var_background);
        c->pair_arcsec = calloc(1, sizeof *c->pair_arcsec);
        ck_assert(c->pair_arcsec && c->var_background);
        c->pair_arcsec[0] = apart[k % 3];
        c->n_pairs = 1;
        for (int p = KIT_PLANE; p < 2 * KIT_PLANE; p++) { /* plane 1; ERR^2 is 0.01 */
            c->var_background[p] = 0.01F;
        }
        support_ok(kit_extract(c, 1, NULL, &s, &err), &err);
        const double ratio = s->flux_error[1] / s->flux_error[0];
        ck_assert_double_eq_tol(ratio * ratio - 1, expected[k / 3][k % 3], 1e-3);
        spectrum_free(s);
    }
}
END_TEST

START_TEST(test_extract_1d_centres)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    static const char *const autocen[] = {"ifu_autocen", "true", NULL};
    support_ok(kit_extract(kit_star(18.3, 24.6), 1, autocen, &s, &err), &err);
    /* the marginal fit's systematic error is some hundredths of a spaxel */
    ck_assert_double_eq_tol(s->extraction_x, 18.3, 0.05);
    ck_assert_double_eq_tol(s->extraction_y, 24.6, 0.05);
    spectrum_free(s);

    struct cube *c = kit_star(18.3, 24.6);
    c->meta.target_dec += 1.0; /* the target is elsewhere */
    support_ok(kit_extract(c, 1, NULL, &s, &err), &err);
    ck_assert_double_eq(s->extraction_x, KIT_NX / 2.0);
    ck_assert_double_eq(s->extraction_y, KIT_NY / 2.0);
    ck_assert_ptr_nonnull(strstr(kit_note, "middle of the cube"));
    spectrum_free(s);

    static const char *const by_hand[] = {
        "center_xy", "18.3,24.6", "ifu_covar_scale", "2.0", "subtract_background",
        "false",     NULL};
    support_ok(kit_extract(kit_star(18.3, 24.6), 1, by_hand, &s, &err), &err);
    ck_assert_double_eq(s->extraction_x, 18.3);
    ck_assert_double_eq(s->background[0], 0.0);
    /* variances are weighted as the spaxels are; 0.1 is a float */
    ck_assert_double_eq_tol(s->flux_error[0],
                            2.0 * sqrt(0.01 * s->npixels[0]) * kit_to_jy(),
                            1e-6 * s->flux_error[0]);
    spectrum_free(s);
}
END_TEST

START_TEST(test_extract_1d_center_radec)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    char text[64];
    const char *const settings[] = {"center_radec", text, NULL};
    double ra, dec;
    struct cube *c = kit_star(18.3, 24.6);
    const char *how = "";
    cube_spaxel_to_sky(c, 18.3, 24.6, &ra, &dec);
    snprintf(text, sizeof text, "%.9f,%.9f", ra, dec); /* 4e-6 arcsec: 4e-5 spaxels */
    support_ok(kit_extract(c, 1, settings, &s, &err), &err);
    ck_assert_double_eq_tol(s->extraction_x, 18.3, 1e-4);
    ck_assert_double_eq_tol(s->extraction_y, 24.6, 1e-4);
    ck_assert(header_get_string(&s->table, "EXTRCENT", &how));
    ck_assert_str_eq(how, "CENTER_RADEC");
    spectrum_free(s);
    s = NULL;
    snprintf(text, sizeof text, "%.9f,%.9f", ra, dec + 5.0 / 3600.0);
    ck_assert_int_eq(kit_extract(kit_star(18.3, 24.6), 1, settings, &s, &err),
                     ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "off the cube"));
    ck_assert_ptr_nonnull(strstr(err.message, "center_radec"));
    snprintf(text, sizeof text, "150.0,2.0,1.0");
    ck_assert_int_eq(kit_extract(kit_star(18.3, 24.6), 1, settings, &s, &err),
                     ERR_PARAM);
    snprintf(text, sizeof text, "150.0,99.0");
    ck_assert_int_eq(kit_extract(kit_star(18.3, 24.6), 1, settings, &s, &err),
                     ERR_PARAM);
    const char *const both[] = {"center_radec", "150,2", "center_xy", "20,22", NULL};
    ck_assert_int_eq(kit_extract(kit_star(20.0, 22.0), 1, both, &s, &err), ERR_PARAM);
    ck_assert_ptr_null(s);
}
END_TEST

/* The target at 20, 22; what is brightest is on the edge of what the exposures cover, or
 * only a peak of the noise: the target is taken, and said so. */
START_TEST(test_extract_1d_autocen_falls_back)
{
    static const char *const autocen[] = {"ifu_autocen", "true", NULL};
    static const char *const unchecked[] = {"ifu_autocen", "true", "autocen_check",
                                            "false", NULL};
    struct err err = {0};
    for (int k = 0; k < 3; k++) {
        struct spectrum *s = NULL;
        const char *how = "";
        const bool edge = k != 1, check = k < 2;
        struct cube *c = kit_star(edge ? 34.0 : 20.0, 22.0);
        cube_spaxel_to_sky(c, 20.0, 22.0, &c->meta.target_ra, &c->meta.target_dec);
        for (int p = 0; p < KIT_NW * KIT_PLANE; p++) {
            const int i = p % KIT_NX;
            if (edge && i > 34) { /* the field ends beside the star */
                c->sci[p] = c->err[p] = NAN;
                c->wmap[p] = 0.0f;
            } else if (!edge) { /* ripples of +-1, a star of 4 sigma at 30, 10 */
                const int j = p % KIT_PLANE / KIT_NX;
                const double r2 = (i - 30) * (i - 30) + (j - 10) * (j - 10);
                c->sci[p] = (float)(sin(9.0 * i) * cos(7.0 * j) + 2.0 * exp(-r2 / 2.4));
            }
        }
        support_ok(kit_extract(c, 1, check ? autocen : unchecked, &s, &err), &err);
        ck_assert(header_get_string(&s->table, "EXTRCENT", &how));
        ck_assert_msg(!strcmp(how, check ? "TARGET" : "AUTOCEN"), "%d: %s: %s", k, how,
                      kit_note);
        if (check) {
            ck_assert_double_eq(s->extraction_x, 20.0);
            ck_assert_double_eq(s->extraction_y, 22.0);
            ck_assert_ptr_nonnull(
                strstr(kit_note, edge ? "at the edge of the field" : "sigma out of"));
        } else {
            ck_assert_double_eq_tol(s->extraction_x, 34.0, 0.6); /* half of it is cut */
        }
        spectrum_free(s);
    }
}
END_TEST

/* Without ifu_covar_scale errors grow by the cube's own factor for the aperture's size;
 * ifu_covar_scale=1 gives the peer's. Without a background, so that only one factor counts. */
START_TEST(test_extract_1d_covariance)
{
    static const char *const own[] = {"subtract_background", "false", NULL};
    static const char *const peers[] = {"subtract_background", "false",
                                        "ifu_covar_scale", "1", NULL};
    struct err err = {0};
    struct spectrum *s[2] = {NULL, NULL};
    for (int k = 0; k < 2; k++) {
        struct cube *c = kit_star(20.0, 22.0);
        c->covariance = cube_covariance_new(2, &err);
        ck_assert_ptr_nonnull(c->covariance);
        c->covariance->radius_arcsec[0] = 0.4;
        c->covariance->factor[0] = 2.0;
        c->covariance->radius_arcsec[1] = 0.5;
        c->covariance->factor[1] = 3.0;
        support_ok(kit_extract(c, 1, k ? peers : own, &s[k], &err), &err);
    }
    for (int k = 0; k < KIT_NW; k++) {
        /* 0.45 arcsec lies half way; cells make the circle's area good to 1e-3 */
        ck_assert_double_eq_tol(s[0]->flux_error[k] / s[1]->flux_error[k], 2.5, 0.01);
        ck_assert_double_eq_tol(s[0]->sb_error[k] / s[1]->sb_error[k], 2.5, 0.01);
        ck_assert_double_eq(s[0]->flux[k], s[1]->flux[k]);
    }
    spectrum_free(s[0]);
    spectrum_free(s[1]);
}
END_TEST

START_TEST(test_extract_1d_refuses)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    static const char *const off[] = {"center_xy", "90,3", NULL};
    ck_assert_int_eq(kit_extract(kit_star(20.0, 22.0), 1, off, &s, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "center_xy"));
    ck_assert_ptr_null(s);
    static const char *const three[] = {"center_xy", "9,3,1", NULL};
    ck_assert_int_eq(kit_extract(kit_star(20.0, 22.0), 1, three, &s, &err), ERR_PARAM);
    struct cube *c = kit_star(20.0, 22.0);
    memset(c->wmap, 0, KIT_NW * KIT_PLANE * sizeof *c->wmap);
    ck_assert_int_eq(kit_extract(c, 1, NULL, &s, &err), ERR_NODATA);
    ck_assert_ptr_null(s);
    ck_assert_int_eq(kit_extract(NULL, 1, NULL, &s, &err), ERR_INPUT);
}
END_TEST

START_TEST(test_extract_1d_threads_agree)
{
    struct err err = {0};
    struct spectrum *one = NULL, *many = NULL;
    support_ok(kit_extract(kit_star(19.4, 22.7), 1, NULL, &one, &err), &err);
    for (int threads = 2; threads <= 8; threads *= 2) {
        support_ok(kit_extract(kit_star(19.4, 22.7), threads, NULL, &many, &err), &err);
        ck_assert_mem_eq(one->flux, many->flux, KIT_NW * sizeof(double));
        ck_assert_mem_eq(one->flux_error, many->flux_error, KIT_NW * sizeof(double));
        ck_assert_mem_eq(one->background, many->background, KIT_NW * sizeof(double));
        spectrum_free(many);
    }
    spectrum_free(one);
}
END_TEST

START_TEST(test_extract_1d_drops_ends_without_wavelength)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    struct cube *c = kit_star(20.0, 22.0);
    c->wavelength[0] = c->wavelength[1] = c->wavelength[KIT_NW - 1] = (double)NAN;
    c->wavelength[10] = (double)NAN;
    support_ok(kit_extract(c, 1, NULL, &s, &err), &err);
    ck_assert_uint_eq(s->n, KIT_NW - 3);
    ck_assert_double_eq(s->wavelength[0], 3.02);
    ck_assert_uint_eq(s->dq[8], DQ_DO_NOT_USE);
    ck_assert_uint_eq(s->dq[7], 0);
    ck_assert_double_gt(s->flux[s->n - 1], 0.0);
    spectrum_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("extract_1d");
    TCase *t = tcase_create("extract_1d");
    tcase_add_test(t, test_extract_1d_point);
    tcase_add_test(t, test_extract_1d_clips_the_background);
    tcase_add_test(t, test_extract_1d_without_weight);
    tcase_add_test(t, test_extract_1d_extended);
    tcase_add_test(t, test_extract_1d_common_errors);
    tcase_add_test(t, test_extract_1d_shared_errors);
    tcase_add_test(t, test_extract_1d_centres);
    tcase_add_test(t, test_extract_1d_center_radec);
    tcase_add_test(t, test_extract_1d_autocen_falls_back);
    tcase_add_test(t, test_extract_1d_covariance);
    tcase_add_test(t, test_extract_1d_refuses);
    tcase_add_test(t, test_extract_1d_threads_agree);
    tcase_add_test(t, test_extract_1d_drops_ends_without_wavelength);
    suite_add_tcase(s, t);
    return support_run(s);
}
