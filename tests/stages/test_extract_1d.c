#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "stages/stage.h"
#include "tests/support.h"

/*
 * Analytic cubes: a Gaussian star of known flux on a flat sky, 0.1 arcsec spaxels.
 */

enum { NX = 41, NY = 45, NW = 40, PLANE = NX * NY };

static const double sky = 3.0;    /* MJy/sr */
static const double sigma = 1.1;  /* spaxels */
static const double total = 800.; /* MJy/sr summed over spaxels */
static const double radius = 4.5; /* spaxels, of the reference below */

static const char reference[] = "#ASDF 1.0.0\n"
                                "#ASDF_STANDARD 1.5.0\n"
                                "%YAML 1.1\n"
                                "%TAG ! tag:stsci.edu:asdf/\n"
                                "--- !core/asdf-1.1.0\n"
                                "data:\n"
                                "  wavelength: [0.5, 6.0]\n"
                                "  radius: [0.45, 0.45]\n"
                                "  inner_bkg: [0.9, 0.9]\n"
                                "  outer_bkg: [1.3, 1.3]\n"
                                "meta:\n"
                                "  reftype: extract1d\n"
                                "  instrument: {name: NIRSPEC}\n"
                                "  exposure: {type: NRS_IFU}\n"
                                "  useafter: '2022-01-01T00:00:00'\n"
                                "  method: subpixel\n"
                                "  subpixels: 10\n"
                                "  subtract_background: true\n"
                                "...\n";

static char reference_path[1024];
static char last_note[1024];

static const char *override_type(void *user, const char *stage, const char *type,
                                 const struct exposure_meta *meta)
{
    (void)user;
    (void)meta;
    ck_assert_str_eq(stage, "extract_1d");
    ck_assert_str_eq(type, "extract1d");
    return reference_path;
}

static void note(void *user, int is_warning, const char *line)
{
    (void)user;
    (void)is_warning;
    snprintf(last_note, sizeof last_note, "%s", line);
}

/* The star at x, y (spaxels); every spaxel has weight 1 and error 0.1. */
static struct cube *star(double x, double y)
{
    struct err err;
    struct cube *c = cube_new(NX, NY, NW, &err);
    ck_assert_ptr_nonnull(c);
    c->crval1 = 150.0;
    c->crval2 = 2.0;
    c->crpix1 = 21.0;
    c->crpix2 = 23.0;
    c->cdelt1 = c->cdelt2 = 0.1 / 3600.0;
    c->crval3 = 3.0;
    c->cdelt3 = 0.01;
    strcpy(c->meta.source_type, "POINT");
    strcpy(c->meta.exp_type, "NRS_IFU");
    strcpy(c->meta.instrument, "NIRSPEC");
    strcpy(c->meta.detector, "NRS1");
    strcpy(c->meta.date_obs, "2024-03-12");
    strcpy(c->meta.time_obs, "04:05:06.0");
    cube_spaxel_to_sky(c, round(x), round(y), &c->meta.target_ra, &c->meta.target_dec);
    for (int k = 0; k < NW; k++) {
        c->wavelength[k] = 3.0 + 0.01 * k;
        for (int j = 0; j < NY; j++) {
            for (int i = 0; i < NX; i++) {
                size_t p = (size_t)(k * PLANE + j * NX + i);
                double r2 = (i - x) * (i - x) + (j - y) * (j - y);
                c->sci[p] = (float)(sky + total / (2.0 * M_PI * sigma * sigma) *
                                              exp(-r2 / (2.0 * sigma * sigma)));
                c->err[p] = 0.1f;
                c->wmap[p] = 1.0f;
            }
        }
    }
    return c;
}

/* Run with settings "name", "value", ..., NULL; takes the cube over. */
static int extract(struct cube *c, int threads, const char *const *settings,
                   struct spectrum **ret, struct err *err)
{
    char *folder = support_folder();
    snprintf(reference_path, sizeof reference_path, "%s",
             support_path(folder, "extract1d.asdf"));
    support_write_file(reference_path, reference, strlen(reference));
    struct references *refs = NULL;
    struct params *params = NULL;
    struct par *par = NULL;
    support_ok(references_open(NULL, 1 << 20, &refs, err), err);
    support_ok(
        params_new(stage_extract_1d.params, stage_extract_1d.n_params, &params, err),
        err);
    for (; settings && *settings; settings += 2) {
        support_ok(params_set(params, settings[0], settings[1], err), err);
    }
    support_ok(par_new(threads, &par, err), err);
    struct stage_env env = {.par = par,
                            .refs = refs,
                            .recipe = "spec2",
                            .override = override_type,
                            .note = note,
                            .stage_name = "extract_1d"};
    struct dataset data = {.cube = c};
    int code = stage_extract_1d.run(&env, params, &data, err);
    *ret = data.spectrum;
    par_free(par);
    params_free(params);
    references_close(refs);
    cube_free(c);
    support_remove(folder);
    return code;
}

/* MJy/sr summed over spaxels -> Jy */
static double to_jy(void)
{
    return 0.01 * 2.3504e-11 * 1e6;
}

START_TEST(test_extract_1d_point)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    support_ok(extract(star(20.0, 22.0), 1, NULL, &s, &err), &err);
    ck_assert_uint_eq(s->n, NW);
    ck_assert_str_eq(s->source_type, "POINT");
    ck_assert_double_eq(s->extraction_x, 20.0);
    ck_assert_double_eq(s->extraction_y, 22.0);
    /* The share of the star within the circle. Cells sample the circle's edge, where the
     * star has 2.3e-4 of its light per spaxel: 1e-3 is generous; the sky cancels. */
    double share = 1.0 - exp(-radius * radius / (2.0 * sigma * sigma));
    for (size_t k = 0; k < s->n; k++) {
        ck_assert_double_eq(s->wavelength[k], 3.0 + 0.01 * (double)k);
        ck_assert_double_eq_tol(s->flux[k] / (total * share * to_jy()), 1.0, 1e-3);
        ck_assert_double_eq_tol(s->npixels[k], M_PI * radius * radius, 0.3);
        ck_assert_double_eq_tol(s->surf_bright[k] * s->npixels[k] * to_jy(), s->flux[k],
                                1e-12 * s->flux[k]);
        ck_assert_double_eq_tol(s->background[k], sky, 1e-6 * sky); /* floats */
        /* variances add: the circle's, and the ring's scaled to the circle's area */
        double ring = M_PI * (13.0 * 13.0 - 9.0 * 9.0), n = s->npixels[k];
        double var = 0.01 * (n + n * n / ring);
        ck_assert_double_eq_tol(s->flux_error[k], sqrt(var) * to_jy(),
                                1e-3 * s->flux_error[k]);
        ck_assert_double_eq_tol(s->sb_error[k] * n * to_jy(), s->flux_error[k],
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
    struct cube *c = star(20.0, 22.0);
    c->sci[7 * PLANE + 22 * NX + 30] = 1e5f; /* in the ring: 10 spaxels to the right */
    support_ok(extract(c, 1, NULL, &s, &err), &err);
    /* Left out of the sum, but not of the area, as in the peer: one spaxel of 276 */
    ck_assert_double_eq_tol(s->background[7], sky * (1.0 - 1.0 / 276.0), 1e-3 * sky);
    ck_assert_double_eq_tol(s->background[8], sky, 1e-6 * sky);
    spectrum_free(s);
}
END_TEST

START_TEST(test_extract_1d_without_weight)
{
    struct err err = {0};
    struct spectrum *s = NULL, *full = NULL;
    struct cube *c = star(20.0, 22.0);
    for (int p = 0; p < PLANE; p++) { /* plane 3: nothing at all */
        c->sci[3 * PLANE + p] = c->err[3 * PLANE + p] = NAN;
        c->wmap[3 * PLANE + p] = 0.0f;
    }
    for (int j = 0; j < NY;
         j++) { /* plane 5: a column at the edge of the circle is out */
        size_t p = (size_t)(5 * PLANE + j * NX + 24);
        c->sci[p] = c->err[p] = NAN;
        c->wmap[p] = 0.0f;
    }
    for (int p = 0; p < PLANE; p++) { /* plane 6: half covered; plane 7: many times */
        c->wmap[6 * PLANE + p] = 0.5f;
        c->wmap[7 * PLANE + p] = 12.0f;
    }
    support_ok(extract(c, 1, NULL, &s, &err), &err);
    support_ok(extract(star(20.0, 22.0), 1, NULL, &full, &err), &err);
    ck_assert_uint_eq(s->dq[3], DQ_DO_NOT_USE);
    ck_assert_double_eq(s->flux[3], 0.0);
    ck_assert_double_eq_tol(s->npixels[3], M_PI * radius * radius, 0.01);
    ck_assert_uint_eq(s->dq[5], 0);
    /* a segment of the circle, 3.9 spaxels large, less what cells miss */
    ck_assert_double_eq_tol(s->npixels[5], full->npixels[5] - 3.9, 0.3);
    /* the column held 3e-4 of the light, and the sky is subtracted by area */
    ck_assert_double_eq_tol(s->flux[5], full->flux[5], 1e-3 * full->flux[5]);
    ck_assert_double_eq_tol(s->npixels[6], 0.5 * full->npixels[6], 1e-9);
    ck_assert_double_eq(s->npixels[7], full->npixels[7]);
    ck_assert_double_eq(s->flux[7], full->flux[7]);
    spectrum_free(s);
    spectrum_free(full);
}
END_TEST

START_TEST(test_extract_1d_extended)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    struct cube *c = star(20.0, 22.0);
    strcpy(c->meta.source_type, "EXTENDED");
    c->wmap[0] = 0.0f;
    c->sci[0] = NAN;
    support_ok(extract(c, 1, NULL, &s, &err), &err);
    ck_assert_str_eq(s->source_type, "EXTENDED");
    ck_assert_double_eq(s->npixels[0], PLANE - 1);
    ck_assert_double_eq(s->npixels[1], PLANE);
    /* star and sky, nothing subtracted; floats add up to 1e-6 */
    double sum = (total + sky * PLANE) * to_jy();
    ck_assert_double_eq_tol(s->flux[1], sum, 1e-6 * sum);
    ck_assert_double_eq_tol(s->surf_bright[1], total / PLANE + sky, 1e-5);
    /* the clipped mean is the sky's, give or take the star's wings: 1 % */
    ck_assert_double_eq_tol(s->background[1], sky, 0.01 * sky);
    spectrum_free(s);
    c = star(20.0, 22.0);
    strcpy(c->meta.source_type, "");
    support_ok(extract(c, 1, NULL, &s, &err), &err);
    ck_assert_str_eq(s->source_type, "EXTENDED"); /* as in the peer, with a warning */
    ck_assert_ptr_nonnull(strstr(last_note, "EXTENDED"));
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
        struct cube *c = star(20.0, 22.0);
        strcpy(c->meta.source_type, point ? "POINT" : "EXTENDED");
        c->common_error = calloc(NW, sizeof *c->common_error);
        c->var_background = calloc((size_t)NW * PLANE, sizeof *c->var_background);
        ck_assert(c->common_error && c->var_background);
        for (int p = PLANE; p < 2 * PLANE; p++) { /* plane 1 */
            c->var_background[p] = 0.0017F;
        }
        c->common_error[1] = 0.06;
        support_ok(extract(c, 1, covar, &s, &err), &err);
        const double others = (double)(0.08F * 0.08F) + (double)0.0017F;
        if (!point) {
            const double sum = hypot(2 * sqrt(others * PLANE), 0.06 * PLANE);
            ck_assert_double_eq_tol(s->sb_error[1] / (sum / PLANE), 1, 1e-6);
            ck_assert_double_eq_tol(s->flux_error[1] / (sum * to_jy()), 1, 1e-6);
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
        struct cube *c = star(20.0, 22.0);
        strcpy(c->meta.source_type, k / 3 ? "POINT" : "EXTENDED");
        c->var_background = calloc((size_t)NW * PLANE, sizeof *c->var_background);
        c->pair_arcsec = calloc(1, sizeof *c->pair_arcsec);
        ck_assert(c->pair_arcsec && c->var_background);
        c->pair_arcsec[0] = apart[k % 3];
        c->n_pairs = 1;
        for (int p = PLANE; p < 2 * PLANE; p++) { /* plane 1; ERR^2 is 0.01 */
            c->var_background[p] = 0.01F;
        }
        support_ok(extract(c, 1, NULL, &s, &err), &err);
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
    support_ok(extract(star(18.3, 24.6), 1, autocen, &s, &err), &err);
    /* the marginal fit's systematic error is some hundredths of a spaxel */
    ck_assert_double_eq_tol(s->extraction_x, 18.3, 0.05);
    ck_assert_double_eq_tol(s->extraction_y, 24.6, 0.05);
    spectrum_free(s);

    struct cube *c = star(18.3, 24.6);
    c->meta.target_dec += 1.0; /* the target is elsewhere */
    support_ok(extract(c, 1, NULL, &s, &err), &err);
    ck_assert_double_eq(s->extraction_x, NX / 2.0);
    ck_assert_double_eq(s->extraction_y, NY / 2.0);
    ck_assert_ptr_nonnull(strstr(last_note, "middle of the cube"));
    spectrum_free(s);

    static const char *const by_hand[] = {
        "center_xy", "18.3,24.6", "ifu_covar_scale", "2.0", "subtract_background",
        "false",     NULL};
    support_ok(extract(star(18.3, 24.6), 1, by_hand, &s, &err), &err);
    ck_assert_double_eq(s->extraction_x, 18.3);
    ck_assert_double_eq(s->background[0], 0.0);
    /* variances are weighted as the spaxels are; 0.1 is a float */
    ck_assert_double_eq_tol(s->flux_error[0],
                            2.0 * sqrt(0.01 * s->npixels[0]) * to_jy(),
                            1e-6 * s->flux_error[0]);
    spectrum_free(s);
}
END_TEST

START_TEST(test_extract_1d_refuses)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    static const char *const off[] = {"center_xy", "90,3", NULL};
    ck_assert_int_eq(extract(star(20.0, 22.0), 1, off, &s, &err), ERR_PARAM);
    ck_assert_ptr_nonnull(strstr(err.message, "center_xy"));
    ck_assert_ptr_null(s);
    static const char *const three[] = {"center_xy", "9,3,1", NULL};
    ck_assert_int_eq(extract(star(20.0, 22.0), 1, three, &s, &err), ERR_PARAM);
    struct cube *c = star(20.0, 22.0);
    memset(c->wmap, 0, NW * PLANE * sizeof *c->wmap);
    ck_assert_int_eq(extract(c, 1, NULL, &s, &err), ERR_NODATA);
    ck_assert_ptr_null(s);
    ck_assert_int_eq(extract(NULL, 1, NULL, &s, &err), ERR_INPUT);
}
END_TEST

START_TEST(test_extract_1d_threads_agree)
{
    struct err err = {0};
    struct spectrum *one = NULL, *many = NULL;
    support_ok(extract(star(19.4, 22.7), 1, NULL, &one, &err), &err);
    for (int threads = 2; threads <= 8; threads *= 2) {
        support_ok(extract(star(19.4, 22.7), threads, NULL, &many, &err), &err);
        ck_assert_mem_eq(one->flux, many->flux, NW * sizeof(double));
        ck_assert_mem_eq(one->flux_error, many->flux_error, NW * sizeof(double));
        ck_assert_mem_eq(one->background, many->background, NW * sizeof(double));
        spectrum_free(many);
    }
    spectrum_free(one);
}
END_TEST

START_TEST(test_extract_1d_drops_ends_without_wavelength)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    struct cube *c = star(20.0, 22.0);
    c->wavelength[0] = c->wavelength[1] = c->wavelength[NW - 1] = (double)NAN;
    c->wavelength[10] = (double)NAN;
    support_ok(extract(c, 1, NULL, &s, &err), &err);
    ck_assert_uint_eq(s->n, NW - 3);
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
    tcase_add_test(t, test_extract_1d_refuses);
    tcase_add_test(t, test_extract_1d_threads_agree);
    tcase_add_test(t, test_extract_1d_drops_ends_without_wavelength);
    suite_add_tcase(s, t);
    return support_run(s);
}
