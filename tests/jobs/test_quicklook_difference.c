#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "jobs/job_difference.h"
#include "jobs/quicklook.h"
#include "jobs/quicklook_difference.h"
#include "tests/support.h"

static struct err err;

/* n rows from `first` um on: 1 mJy with a line, error 1 %. */
static struct spectrum *make(size_t n, double first, double step)
{
    struct spectrum *s = spectrum_new(n, &err);
    ck_assert_ptr_nonnull(s);
    for (size_t i = 0; i < n; i++) {
        const double um = first + (double)i * step;
        s->wavelength[i] = um;
        s->flux[i] = 1e-3 * (1 + 3 * exp(-0.5 * pow((um - 3.2) / 0.003, 2)));
        s->flux_error[i] = 1e-5;
    }
    support_ok(header_set_string(&s->primary, "TARGNAME", "STAR", NULL, &err), &err);
    return s;
}

/* The bytes of their picture, free them. */
static char *picture(const char *folder, const struct spectrum *was,
                     const struct spectrum *is, size_t *ret_n)
{
    const char *path = support_path(folder, "a.png");
    struct quicklook_difference d = {
        .was = {was, "spec3-x-1", "2026-11-23T05:00:00", 6},
        .is = {is, "spec3-x-2", "2026-11-23T06:00:00", 8},
        .file = "x"};
    support_ok(job_difference(was, is, &d.numbers, &err), &err);
    support_ok(quicklook_difference_write(&d, path, &err), &err);
    char *png = support_read_file(path, ret_n);
    ck_assert_uint_gt(*ret_n, 33);
    ck_assert_mem_eq(png, "\x89PNG\r\n\x1a\n", 8);
    ck_assert_mem_eq(png + 16, "\0\0\x06\x40\0\0\x03\x84", 8); /* 1600 x 900 */
    return png;
}

/* Are the pictures of was1 and is1, and of was2 and is2, the same? */
static bool same(const struct spectrum *was1, const struct spectrum *is1,
                 const struct spectrum *was2, const struct spectrum *is2)
{
    size_t n, m;
    char *folder = support_folder();
    char *a = picture(folder, was1, is1, &n), *b = picture(folder, was2, is2, &m);
    bool ret = n == m && !memcmp(a, b, n);
    free(a);
    free(b);
    support_remove(folder);
    return ret;
}

/* It follows either spectrum and nothing else. */
START_TEST(test_quicklook_difference_shows_both)
{
    struct spectrum *a = make(400, 3, 0.001), *b = make(400, 3, 0.001);
    ck_assert(same(a, a, a, b));
    b->flux[100] = 1.05e-3;
    ck_assert(!same(a, a, a, b));
    ck_assert(!same(a, b, b, a));
    ck_assert(!same(a, b, a, a));
    spectrum_free(a);
    spectrum_free(b);
}
END_TEST

/* A flagged row is no change of the flux: it looks like one without a value. */
START_TEST(test_quicklook_difference_leaves_out_what_is_flagged)
{
    struct spectrum *a = make(400, 3, 0.001), *b = make(400, 3, 0.001),
                    *c = make(400, 3, 0.001);
    for (size_t i = 50; i < 80; i++) {
        b->flux[i] = 0;
        b->dq[i] = DQ_DO_NOT_USE;
        c->flux[i] = (double)NAN;
    }
    ck_assert(same(a, b, a, c));
    spectrum_free(a);
    spectrum_free(b);
    spectrum_free(c);
}
END_TEST

/* A picture comes of whatever two files hold. */
START_TEST(test_quicklook_difference_of_the_extreme)
{
    static const double odd[] = {NAN,   INFINITY, -INFINITY, 0,      -1,
                                 1e300, -1e300,   1e-300,    5e-324, 1e9};
    enum { ODD = sizeof odd / sizeof *odd };
    struct spectrum *all[] = {make(400, 3, 0.001), make(0, 3, 0.001),
                              make(1, 3, 0.001),   make(2, 3, 1e-15),
                              make(300, 8, 0.01),  make(2 * ODD * ODD, 3, 0.001),
                              make(ODD, 3, 0.001)};
    const size_t n = sizeof all / sizeof *all;
    for (size_t i = 0; i < all[5]->n; i++) {
        all[5]->flux[i] = odd[i % ODD];
        all[5]->flux_error[i] = odd[i / ODD % ODD];
    }
    for (size_t i = 0; i < ODD; i++) {
        all[6]->wavelength[i] = odd[i];
    }
    char *folder = support_folder();
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            size_t bytes;
            free(picture(folder, all[i], all[k], &bytes));
        }
    }
    for (size_t i = 0; i < n; i++) {
        spectrum_free(all[i]);
    }
    support_remove(folder);
}
END_TEST

START_TEST(test_quicklook_difference_where_it_cannot_be_written)
{
    struct spectrum *a = make(10, 3, 0.001);
    const struct quicklook_difference d = {
        .was = {a, "a", "", 0}, .is = {a, "b", "", 0}, .file = "x"};
    char *folder = support_folder();
    ck_assert_int_eq(
        quicklook_difference_write(&d, support_path(folder, "missing/a.png"), &err),
        ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "missing/a.png"));
    spectrum_free(a);
    support_remove(folder);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("quicklook_difference");
    TCase *t = tcase_create("quicklook_difference");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_quicklook_difference_shows_both);
    tcase_add_test(t, test_quicklook_difference_leaves_out_what_is_flagged);
    tcase_add_test(t, test_quicklook_difference_of_the_extreme);
    tcase_add_test(t, test_quicklook_difference_where_it_cannot_be_written);
    suite_add_tcase(s, t);
    return support_run(s);
}
