#include <check.h>
#include <math.h>
#include <string.h>
#include "common/data/dq.h"
#include "jobs/job_difference.h"
#include "tests/support.h"

static struct err err;

/* n rows from 3 um on, `step` um apart: flux 10 + row, error 0.5. */
static struct spectrum *make(size_t n, double first, double step)
{
    struct spectrum *s = spectrum_new(n, &err);
    ck_assert_ptr_nonnull(s);
    for (size_t i = 0; i < n; i++) {
        s->wavelength[i] = first + (double)i * step;
        s->flux[i] = 10 + (s->wavelength[i] - 3) * 100;
        s->flux_error[i] = 0.5;
    }
    return s;
}

static struct job_difference compare(struct spectrum *was, struct spectrum *is)
{
    struct job_difference d;
    support_ok(job_difference(was, is, &d, &err), &err);
    spectrum_free(was);
    spectrum_free(is);
    return d;
}

START_TEST(test_job_difference_of_the_same)
{
    struct job_difference d = compare(make(20, 3, 0.01), make(20, 3, 0.01));
    ck_assert_uint_eq(d.compared, 20);
    ck_assert_double_eq(d.median_percent, 0);
    ck_assert_double_eq(d.largest_percent, 0);
    ck_assert_double_eq(d.largest_sigma, 0);
}
END_TEST

START_TEST(test_job_difference_says_how_much_and_where)
{
    struct spectrum *was = make(21, 3, 0.01), *is = make(21, 3, 0.01);
    for (size_t i = 0; i < 21; i++) {
        is->flux[i] *= 1.01;
    }
    is->flux[4] = 0.5 * was->flux[4]; /* 14: -50 %, 14 sigma */
    is->flux[7] = NAN;
    was->flux_error[9] = NAN;
    was->flux[11] = 1; /* 2 sigma: no share is formed, but the sigma is */
    is->flux[11] = 11;
    struct job_difference d = compare(was, is);
    ck_assert_uint_eq(d.compared, 19);
    ck_assert_double_eq_tol(d.median_percent, 1, 1e-6);
    ck_assert_double_eq_tol(d.largest_percent, -50, 1e-9);
    ck_assert_double_eq_tol(d.largest_percent_um, 3.04, 1e-9);
    ck_assert_double_eq_tol(d.largest_sigma, 20, 1e-9);
    ck_assert_double_eq_tol(d.largest_sigma_um, 3.11, 1e-9);
}
END_TEST

/* A linear spectrum on another grid: only rows within the old one count, and none differs
 * by more than rounding. */
START_TEST(test_job_difference_on_another_grid)
{
    struct job_difference d = compare(make(20, 3, 0.01), make(40, 2.9, 0.007));
    ck_assert_uint_eq(d.compared, 25); /* 3.005 to 3.173; the old ends at 3.19 */
    ck_assert_double_eq_tol(d.largest_percent, 0, 1e-9);
}
END_TEST

/* Where the aperture misses the cube the flux is 0 and flagged: no change of the source. */
START_TEST(test_job_difference_leaves_out_what_is_flagged)
{
    struct spectrum *was = make(20, 3, 0.01), *is = make(20, 3, 0.01);
    is->flux[3] = 0;
    is->dq[3] = DQ_DO_NOT_USE;
    was->flux[7] = 0;
    was->dq[7] = DQ_DO_NOT_USE | DQ_SATURATED;
    is->dq[9] = DQ_SATURATED;
    struct job_difference d = compare(was, is);
    ck_assert_uint_eq(d.compared, 18);
    ck_assert_double_eq(d.largest_sigma, 0);
}
END_TEST

START_TEST(test_job_difference_of_nothing)
{
    char text[200];
    struct job_difference d = compare(make(20, 3, 0.01), make(20, 4, 0.01));
    ck_assert_uint_eq(d.compared, 0);
    ck_assert(isnan(d.median_percent));
    job_difference_text(&d, text, sizeof text);
    ck_assert_str_eq(text, "0 rows compared");
    struct spectrum *noise = make(20, 3, 0.01);
    memset(noise->flux, 0, 20 * sizeof *noise->flux);
    d = compare(noise, make(20, 3, 0.01));
    ck_assert_uint_eq(d.compared, 20);
    ck_assert(isnan(d.median_percent));
    job_difference_text(&d, text, sizeof text);
    ck_assert_str_eq(text, "20 rows compared: at most +58 sigma at 3.1900 um");
    d.largest_sigma = 1249.6;
    d.median_percent = -0.06543;
    d.largest_percent = 4.08e9;
    d.largest_percent_um = 3;
    job_difference_text(&d, text, sizeof text);
    ck_assert_str_eq(text, "20 rows compared: at most +1250 sigma at 3.1900 um; flux "
                           "-0.0654 % in the median, at most +4.08e+09 % at 3.0000 um");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("job_difference");
    TCase *t = tcase_create("job_difference");
    tcase_add_test(t, test_job_difference_of_the_same);
    tcase_add_test(t, test_job_difference_says_how_much_and_where);
    tcase_add_test(t, test_job_difference_on_another_grid);
    tcase_add_test(t, test_job_difference_leaves_out_what_is_flagged);
    tcase_add_test(t, test_job_difference_of_nothing);
    suite_add_tcase(s, t);
    return support_run(s);
}
