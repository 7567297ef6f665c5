#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "common/data/fits_io.h"
#include "common/data/spectrum_io.h"
#include "jobs/job.h"
#include "stages/combine_wavelengths.h"
#include "stages/stage.h"
#include "tests/support.h"

static char told[2048];

static void note(void *user, int is_warning, const char *line)
{
    (void)user;
    if (is_warning) {
        size_t n = strlen(told);
        snprintf(told + n, sizeof told - n, "%s\n", line);
    }
}

/* n rows from um on, flux and error everywhere the same, surface brightness ten times that. */
static struct spectrum *spectrum(size_t n, double um, double step, double flux,
                                 double error, double seconds)
{
    struct err err = {0};
    struct spectrum *s = spectrum_new(n, &err);
    ck_assert_ptr_nonnull(s);
    for (size_t i = 0; i < n; i++) {
        s->wavelength[i] = um + step * (double)i;
        s->flux[i] = flux;
        s->flux_error[i] = error;
        s->surf_bright[i] = 10 * flux;
        s->sb_error[i] = 10 * error;
    }
    strcpy(s->source_type, "POINT");
    strcpy(s->filename, "a_x1d.fits");
    strcpy(s->meta.target_name, "T");
    support_ok(header_set_real(&s->primary, "EFFEXPTM", seconds, NULL, &err), &err);
    return s;
}

static int combine(struct spectrum **inputs, size_t n, const char *const *settings,
                   struct spectrum **ret, struct err *err)
{
    struct params *params = NULL;
    struct stage_env env = {.note = note, .stage_name = "combine_1d"};
    struct dataset data = {.spectra = inputs, .n_spectra = n};
    support_ok(
        params_new(stage_combine_1d.params, stage_combine_1d.n_params, &params, err),
        err);
    for (; settings && *settings; settings += 2) {
        support_ok(params_set(params, settings[0], settings[1], err), err);
    }
    told[0] = 0;
    int code = stage_combine_1d.run(&env, params, &data, err);
    *ret = data.spectrum;
    params_free(params);
    for (size_t i = 0; i < n; i++) {
        spectrum_free(inputs[i]);
    }
    return code;
}

/* The same wavelengths: means weighted 1 to 3, errors in quadrature, to rounding. A flagged
 * row and one without flux leave the other spectrum alone. */
START_TEST(test_combine_1d_weighted_mean)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    struct spectrum *in[2] = {spectrum(8, 3, 0.1, 2, 0.3, 100),
                              spectrum(8, 3, 0.1, 6, 0.4, 300)};
    in[0]->dq[2] = DQ_DO_NOT_USE;
    in[1]->flux[5] = NAN;
    in[1]->dq[6] = 4;
    support_ok(combine(in, 2, NULL, &s, &err), &err);
    ck_assert_uint_eq(s->n, 8);
    for (size_t i = 0; i < 8; i++) {
        const bool both = i != 2 && i != 5;
        const double flux = both ? 5 : i == 2 ? 6 : 2;
        const double error = both ? hypot(0.25 * 0.3, 0.75 * 0.4) : i == 2 ? 0.4 : 0.3;
        ck_assert_double_eq_tol(s->wavelength[i], 3 + 0.1 * (double)i, 1e-12);
        ck_assert_double_eq_tol(s->flux[i], flux, 1e-12);
        ck_assert_double_eq_tol(s->flux_error[i], error, 1e-12);
        ck_assert_double_eq_tol(s->surf_bright[i], 10 * flux, 1e-11);
        ck_assert_double_eq_tol(s->sb_error[i], 10 * error, 1e-11);
        ck_assert_double_eq(s->n_inputs[i], both ? 2 : 1);
        ck_assert_double_eq(s->weight[i], both ? 400 : i == 2 ? 300 : 100);
        ck_assert_uint_eq(s->dq[i], i == 6 ? 4 : 0);
    }
    spectrum_free(s);
    const char *const alike[] = {"exptime_key", "unit_weight", NULL};
    struct spectrum *again[2] = {spectrum(8, 3, 0.1, 2, 0.3, 100),
                                 spectrum(8, 3, 0.1, 6, 0.4, -1)};
    support_ok(combine(again, 2, alike, &s, &err), &err);
    ck_assert_double_eq_tol(s->flux[0], 4, 1e-12);
    spectrum_free(s);
}
END_TEST

/* Two dispersers that meet: each keeps its own steps where it is alone, and no flux is lost
 * or made where they overlap. */
START_TEST(test_combine_1d_dispersers)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    struct spectrum *in[2] = {spectrum(100, 1.0, 0.01, 2, 0.1, 100),
                              spectrum(50, 1.9, 0.03, 2, 0.1, 100)};
    support_ok(combine(in, 2, NULL, &s, &err), &err);
    ck_assert_double_eq(s->wavelength[0], 1.0);
    ck_assert_double_eq_tol(s->wavelength[1] - s->wavelength[0], 0.01, 1e-12);
    ck_assert_double_eq_tol(s->wavelength[s->n - 1], 1.9 + 0.03 * 49, 1e-12);
    ck_assert_double_eq_tol(s->wavelength[s->n - 1] - s->wavelength[s->n - 2], 0.03,
                            1e-12);
    for (size_t i = 0; i < s->n; i++) {
        ck_assert_double_eq_tol(s->flux[i], 2, 1e-12);
        ck_assert(i == 0 || s->wavelength[i] > s->wavelength[i - 1]);
    }
    spectrum_free(s);
}
END_TEST

/* One of five is far off at one wavelength: with sigma_clip it does not count. */
START_TEST(test_combine_1d_clips)
{
    static const char *const clip[] = {"sigma_clip", "5", NULL};
    for (int k = 0; k < 2; k++) {
        struct err err = {0};
        struct spectrum *s = NULL, *in[5];
        for (int i = 0; i < 5; i++) {
            in[i] = spectrum(6, 3, 0.1, 2 + 0.01 * i, 0.1, 100);
        }
        in[3]->flux[4] = 50;
        support_ok(combine(in, 5, k ? clip : NULL, &s, &err), &err);
        ck_assert_double_eq(s->n_inputs[4], k ? 4 : 5);
        ck_assert_double_eq_tol(s->flux[4], k ? 2.0175 : 11.614, 1e-9);
        ck_assert_double_eq_tol(s->flux[3], 2.02, 1e-12);
        spectrum_free(s);
    }
}
END_TEST

/* Two files of two sources: each source is combined with itself. What cannot be used is named. */
START_TEST(test_combine_1d_sources)
{
    struct err err = {0};
    struct spectrum *s = NULL, *in[3];
    long id = 0;
    for (int i = 0; i < 2; i++) {
        in[i] = spectrum(5, 3, 0.1, 1, 0.1, 100);
        in[i]->next = spectrum(5, 3, 0.1, 7, 0.1, 100);
        support_ok(header_set_int(&in[i]->table, "SOURCEID", 1, NULL, &err), &err);
        support_ok(header_set_int(&in[i]->next->table, "SOURCEID", 2, NULL, &err),
                   &err);
    }
    in[2] = spectrum(5, 3, 0.1, NAN, 0.1, 100);
    in[2]->next = spectrum(5, 3, 0.1, 1, 0.1, 100);
    in[2]->next->wavelength[3] = 2;
    strcpy(in[1]->meta.target_name, "U");
    support_ok(combine(in, 3, NULL, &s, &err), &err);
    ck_assert_ptr_nonnull(s->next);
    ck_assert_ptr_null(s->next->next);
    ck_assert_double_eq_tol(s->flux[0], 1, 1e-12);
    ck_assert_double_eq_tol(s->next->flux[0], 7, 1e-12);
    ck_assert_double_eq(s->next->n_inputs[0], 2);
    ck_assert(header_get_int(&s->next->table, "SOURCEID", &id));
    ck_assert_int_eq(id, 2);
    ck_assert_ptr_nonnull(strstr(told, "has no flux"));
    ck_assert_ptr_nonnull(strstr(told, "neither ascend nor descend"));
    ck_assert_ptr_nonnull(strstr(told, "is of U"));
    spectrum_free(s);
}
END_TEST

START_TEST(test_combine_1d_refuses)
{
    struct err err = {0};
    struct spectrum *s = NULL;
    struct spectrum *none[1] = {spectrum(5, 3, 0.1, NAN, 0.1, 100)};
    ck_assert_int_eq(combine(none, 1, NULL, &s, &err), ERR_NODATA);
    struct spectrum *untimed[1] = {spectrum(5, 3, 0.1, 1, 0.1, 0)};
    ck_assert_int_eq(combine(untimed, 1, NULL, &s, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "EFFEXPTM"));
    ck_assert_ptr_nonnull(strstr(err.message, "a_x1d.fits"));
    const char *const key[] = {"exptime_key", "integration_time", NULL};
    struct spectrum *other[1] = {spectrum(5, 3, 0.1, 1, 0.1, 100)};
    ck_assert_int_eq(combine(other, 1, key, &s, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "EFFINTTM"));
    ck_assert_ptr_null(s);
}
END_TEST

/* Shifted by a third of a step: elements stand at the means of pairs. */
START_TEST(test_combine_1d_wavelengths)
{
    struct err err = {0};
    static const double a[] = {1, 2, 3, 4, 5}, b[] = {5.3, 4.3, 3.3, 2.3, 1.3};
    const struct wavelength_list lists[] = {{a, 5}, {b, 5}};
    double *um = NULL;
    size_t n = 0;
    support_ok(combine_wavelengths(lists, 2, &um, &n, &err), &err);
    ck_assert_uint_eq(n, 5);
    for (size_t i = 0; i < n; i++) {
        ck_assert_double_eq_tol(um[i], 1.15 + (double)i, 1e-12);
    }
    free(um);
}
END_TEST

/* The recipe: from files to a published _c1d, named after the target. */
START_TEST(test_combine_1d_recipe)
{
    static const char *const names[] = {"g140h_x1d.fits", "g235h_x1d.fits"};
    struct err err = {0};
    char *folder = support_folder();
    struct references *refs = NULL;
    struct job job = {.threads = 1, .attempt = 1};
    struct job_result result = {0};
    struct fits_in *f = NULL;
    struct header h = {0};
    const char *text = "";
    int hdu;
    job.id = strdup("combine-1");
    job.recipe = strdup("combine");
    job.output_folder = strdup(folder);
    job.date = strdup("2026-01-01T00:00:00.000");
    job.inputs = calloc(2, sizeof *job.inputs);
    job.n_inputs = 2;
    for (int i = 0; i < 2; i++) {
        struct spectrum *s = spectrum(20, 1 + i * 0.15, 0.01, 2, 0.1, 100);
        const char *path = support_path(folder, names[i]);
        support_ok(header_set_string(&s->primary, "PROGRAM", "01234", NULL, &err),
                   &err);
        support_ok(header_set_string(&s->primary, "OBSERVTN", "007", NULL, &err), &err);
        support_ok(header_set_string(&s->primary, "TARGPROP", "My star", NULL, &err),
                   &err);
        support_ok(header_set_string(&s->primary, "GRATING", i ? "G235H" : "G140H",
                                     NULL, &err),
                   &err);
        support_ok(spectrum_write(s, path, names[i], NULL, &err), &err);
        job.inputs[i].path = strdup(path);
        spectrum_free(s);
    }
    support_ok(references_open(NULL, 1 << 20, &refs, &err), &err);
    support_ok(job_check(&job, &err), &err);
    support_ok(job_pin(&job, refs, NULL, &err), &err);
    ck_assert_str_eq(job.product_name, "jw01234-o007_my-star_nirspec");
    support_ok(job_run(&job, refs, NULL, NULL, NULL, &result, &err), &err);
    ck_assert_uint_ge(result.n_products, 1);
    ck_assert_str_eq(result.products[0].suffix, "c1d");
    support_ok(fits_in_open(result.products[0].path, ERR_INPUT, &f, &err), &err);
    support_ok(fits_in_need(f, "COMBINE1D", &hdu, &err), &err);
    ck_assert_uint_ge(fits_in_hdu(f, hdu)->rows, 30);
    support_ok(fits_in_header(f, 0, &h, &err), &err);
    ck_assert(header_get_string(&h, "S_COMB1D", &text));
    ck_assert_str_eq(text, "COMPLETE");
    ck_assert(header_get_string(&h, "GRATING", &text));
    ck_assert_str_eq(text, "MULTIPLE");
    ck_assert(header_get_string(&h, "DATAMODL", &text));
    ck_assert_str_eq(text, "MultiCombinedSpecModel");
    fits_in_close(f);
    header_done(&h);
    /* what is no spectrum is refused by name */
    free(job.inputs[1].path);
    job.inputs[1].path = strdup(result.products[0].path);
    ck_assert_int_eq(job_check(&job, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "EXTRACT1D"));
    job_result_done(&result);
    job_done(&job);
    references_close(refs);
    support_remove(folder);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("combine_1d");
    TCase *t = tcase_create("combine_1d");
    tcase_add_test(t, test_combine_1d_weighted_mean);
    tcase_add_test(t, test_combine_1d_dispersers);
    tcase_add_test(t, test_combine_1d_clips);
    tcase_add_test(t, test_combine_1d_sources);
    tcase_add_test(t, test_combine_1d_refuses);
    tcase_add_test(t, test_combine_1d_wavelengths);
    tcase_add_test(t, test_combine_1d_recipe);
    suite_add_tcase(s, t);
    return support_run(s);
}
