#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "common/math/psf.h"
#include "common/math/rng.h"
#include "tests/stages/extract_kit.h"
#include "tests/support.h"

static const struct psf truth = {0.04, 0.1, 0.18, 2.7};

/* The kit's star, with this PSF instead of a Gaussian, and noise of `sigma` (MJy/sr) in
 * every spaxel, which ERR holds. */
static struct cube *source(double x, double y, double flux, double sigma, uint64_t seed)
{
    static double share[KIT_PLANE], edge[2 * (KIT_NX + KIT_NY)];
    struct cube *c = kit_star(x, y);
    struct rng rng;
    rng_init(&rng, seed, 1);
    for (int k = 0; k < KIT_NW; k++) {
        psf_spaxels(&truth, c->wavelength[k], x, y, 0.1, KIT_NX, KIT_NY, edge, share);
        for (int p = 0; p < KIT_PLANE; p++) {
            size_t q = (size_t)(k * KIT_PLANE + p);
            c->sci[q] = (float)(kit_sky + flux * share[p] + sigma * rng_normal(&rng));
            c->err[q] = (float)fmax(sigma, 1e-3);
        }
    }
    return c;
}

static const char *const by_psf[] = {"apcorr_source", "psf", NULL};
static const char *const optimal[] = {"extraction_type", "optimal", NULL};

/* All the light, by either way, whether the aperture is well placed or not (the target's
 * spaxel is up to half a spaxel off). The fit of an exact model is good to 1e-3. */
START_TEST(test_extract_psf_gives_all_the_light)
{
    for (int k = 0; k < 2; k++) {
        struct err err = {0};
        struct spectrum *s = NULL;
        const char *text = "";
        bool fitted = false;
        double fwhm = 0;
        support_ok(kit_extract(source(20.3, 21.6, 5e3, 0, 1), 1, k ? optimal : by_psf,
                               &s, &err),
                   &err);
        ck_assert(header_get_string(&s->table, "EXTRTYPE", &text));
        ck_assert_str_eq(text, k ? "OPTIMAL" : "BOX");
        ck_assert(header_get_string(&s->table, "APCORR", &text));
        ck_assert_str_eq(text, "PSF");
        ck_assert(header_get_bool(&s->table, "PSFFIT", &fitted) && fitted);
        ck_assert(header_get_real(&s->table, "PSFFWHM", &fwhm));
        ck_assert_double_eq_tol(fwhm, psf_fwhm(&truth, 3.2), 1e-3);
        for (size_t i = 0; i < s->n; i++) {
            ck_assert_double_eq_tol(s->flux[i] / (5e3 * kit_to_jy()), 1, 1e-3);
            ck_assert_uint_eq(s->dq[i], 0);
        }
        spectrum_free(s);
    }
}
END_TEST

/* Scatter of 5 x 40 independent planes: known to 5 %, so the reported error must be right
 * within 15 % (between neighbouring planes: the
 * error of the PSF, fitted to 40 planes alone, is smooth). By the profile the error is smaller than by the aperture: it is that of
 * sqrt(1 / sum of squared shares). */
START_TEST(test_extract_psf_errors)
{
    double scatter[2] = {0}, reported[2] = {0};
    for (int k = 0; k < 2; k++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct err err = {0};
            struct spectrum *s = NULL;
            support_ok(kit_extract(source(20.1, 21.9, 5e3, 2.0, seed), 1,
                                   k ? optimal : by_psf, &s, &err),
                       &err);
            double mean = 0;
            for (size_t i = 0; i < s->n; i++) {
                const double next = s->flux[i ? i - 1 : 1];
                mean += s->flux[i] / (double)s->n;
                scatter[k] += pow((s->flux[i] - next) / kit_to_jy(), 2) / 2;
                reported[k] += pow(s->flux_error[i] / kit_to_jy(), 2);
            }
            /* the PSF is fitted to the noise of 40 planes: what that does to all alike */
            ck_assert_double_eq_tol(mean / (5e3 * kit_to_jy()), 1, 0.015);
            spectrum_free(s);
        }
        ck_assert_double_eq_tol(sqrt(reported[k] / scatter[k]), 1, 0.15);
    }
    ck_assert_double_lt(scatter[1], 0.5 * scatter[0]);
}
END_TEST

/* Two spaxels of the core are lost, one without weight and one without value: the profile
 * stands in for them. */
START_TEST(test_extract_psf_bad_spaxels)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    struct cube *c = source(20.3, 21.6, 5e3, 0, 1);
    c->wmap[5 * KIT_PLANE + 22 * KIT_NX + 20] = 0;
    c->sci[6 * KIT_PLANE + 22 * KIT_NX + 20] = NAN;
    support_ok(kit_extract(c, 1, optimal, &s, &err), &err);
    ck_assert_double_eq_tol(s->flux[5] / (5e3 * kit_to_jy()), 1, 2e-3);
    ck_assert_double_eq_tol(s->flux[6] / (5e3 * kit_to_jy()), 1, 2e-3);
    spectrum_free(s);
}
END_TEST

/* Noise alone: the nominal PSF, said so; an aperture off the source: flagged. */
START_TEST(test_extract_psf_without_a_source)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    bool fitted = true;
    support_ok(kit_extract(source(20, 22, 0, 2.0, 1), 1, by_psf, &s, &err), &err);
    ck_assert(header_get_bool(&s->table, "PSFFIT", &fitted) && !fitted);
    ck_assert_ptr_nonnull(strstr(kit_note, "nominal PSF"));
    for (size_t i = 0; i < s->n; i++) { /* what it leaves out at 3 um: 1.5 % */
        ck_assert(isfinite(s->flux[i]));
        ck_assert_uint_eq(s->dq[i], 0);
    }
    spectrum_free(s);
}
END_TEST

START_TEST(test_extract_psf_reference)
{
    struct err err = {0};
    struct spectrum *s = NULL, *plain = NULL;
    const char *text = "";
    support_ok(kit_extract(source(20, 22, 5e3, 0.1, 1), 1, NULL, &plain, &err), &err);
    ck_assert(header_get_string(&plain->table, "APCORR", &text));
    ck_assert_str_eq(text, "NONE");
    kit_apcorr = "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n"
                 "%TAG ! tag:stsci.edu:asdf/\n--- !core/asdf-1.1.0\n"
                 "apcorr_table:\n  wavelength: [3.0, 4.0]\n"
                 "  radius: [[0.3, 0.3], [0.6, 0.6]]\n  radius_units: arcsec\n"
                 "  apcorr: [[1.4, 1.4], [1.2, 1.2]]\nmeta: {reftype: apcorr}\n...\n";
    support_ok(kit_extract(source(20, 22, 5e3, 0.1, 1), 1, NULL, &s, &err), &err);
    ck_assert(header_get_string(&s->table, "APCORR", &text));
    ck_assert_str_eq(text, "REFERENCE");
    for (size_t i = 0; i < s->n; i++) { /* 0.45 arcsec lies half way: 1.3 */
        ck_assert_double_eq_tol(s->flux[i] / plain->flux[i], 1.3, 1e-6);
        ck_assert_double_eq_tol(s->flux_error[i] / plain->flux_error[i], 1.3, 1e-6);
        ck_assert_double_eq_tol(s->surf_bright[i] / plain->surf_bright[i], 1.3, 1e-6);
        ck_assert_double_eq_tol(s->sb_error[i] / plain->sb_error[i], 1.3, 1e-6);
        ck_assert_double_eq(s->background[i], plain->background[i]);
    }
    spectrum_free(s);
    const char *const off[] = {"apply_apcorr", "false", NULL};
    support_ok(kit_extract(source(20, 22, 5e3, 0.1, 1), 1, off, &s, &err), &err);
    ck_assert_double_eq(s->flux[3], plain->flux[3]);
    spectrum_free(s);
    spectrum_free(plain);
    kit_apcorr = NULL;
}
END_TEST

START_TEST(test_extract_psf_threads_agree)
{
    struct err err = {0};
    struct spectrum *one = NULL, *many = NULL;
    support_ok(kit_extract(source(20.3, 21.6, 5e3, 1.0, 1), 1, optimal, &one, &err),
               &err);
    for (int threads = 2; threads <= 3; threads++) {
        support_ok(
            kit_extract(source(20.3, 21.6, 5e3, 1.0, 1), threads, optimal, &many, &err),
            &err);
        ck_assert_mem_eq(one->flux, many->flux, KIT_NW * sizeof(double));
        ck_assert_mem_eq(one->flux_error, many->flux_error, KIT_NW * sizeof(double));
        spectrum_free(many);
    }
    spectrum_free(one);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("extract_psf");
    TCase *t = tcase_create("extract_psf");
    tcase_add_test(t, test_extract_psf_gives_all_the_light);
    tcase_add_test(t, test_extract_psf_errors);
    tcase_add_test(t, test_extract_psf_bad_spaxels);
    tcase_add_test(t, test_extract_psf_without_a_source);
    tcase_add_test(t, test_extract_psf_reference);
    tcase_add_test(t, test_extract_psf_threads_agree);
    suite_add_tcase(s, t);
    return support_run(s);
}
