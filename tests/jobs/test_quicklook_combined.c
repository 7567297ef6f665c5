#include <cairo.h>
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "jobs/quicklook_combined.h"
#include "tests/support.h"

static struct err err;

/* n rows from `first` um on: 1 mJy times `level`, error 1 %. */
static struct spectrum *make(size_t n, double first, double step, double level)
{
    struct spectrum *s = spectrum_new(n, &err);
    ck_assert_ptr_nonnull(s);
    for (size_t i = 0; i < n; i++) {
        s->wavelength[i] = first + (double)i * step;
        s->flux[i] = 1e-3 * level * (1 + 0.1 * sin(20 * s->wavelength[i]));
        s->flux_error[i] = 1e-5;
        s->surf_bright[i] = 2 * level;
        s->sb_error[i] = 0.1;
    }
    strcpy(s->meta.target_name, "STAR");
    strcpy(s->meta.grating, "PRISM");
    strcpy(s->meta.filter, "CLEAR");
    return s;
}

/* The bytes of a picture, free them. */
static char *picture(const struct spectrum *mean, struct spectrum *const *inputs,
                     size_t n, size_t *ret_n)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "a.png");
    const struct quicklook_combined q = {mean, inputs, n, "x_c1d.fits"};
    support_ok(quicklook_combined_write(&q, path, &err), &err);
    char *png = support_read_file(path, ret_n);
    ck_assert_uint_gt(*ret_n, 33);
    ck_assert_mem_eq(png, "\x89PNG\r\n\x1a\n", 8);
    ck_assert_mem_eq(png + 16, "\0\0\x06\x40\0\0\x03\x84", 8); /* 1600 x 900 */
    support_remove(folder);
    return png;
}

static bool same(const char *a, size_t n, const char *b, size_t m)
{
    return n == m && !memcmp(a, b, n);
}

/* It follows the mean and each of the inputs; the same ones give the same bytes. */
START_TEST(test_quicklook_combined_shows_all_of_them)
{
    struct spectrum *in[] = {make(50, 0.6, 0.1, 1), make(200, 2.9, 0.01, 1.2)};
    struct spectrum *mean = make(240, 0.6, 0.02, 1.1);
    size_t n[5];
    char *png[5];
    png[0] = picture(mean, in, 2, &n[0]);
    png[1] = picture(mean, in, 2, &n[1]);
    png[2] = picture(mean, in, 1, &n[2]);
    in[1]->flux[100] *= 0.9;
    png[3] = picture(mean, in, 2, &n[3]);
    mean->flux[100] *= 0.9;
    png[4] = picture(mean, in, 2, &n[4]);
    ck_assert(same(png[0], n[0], png[1], n[1]));
    ck_assert(!same(png[0], n[0], png[2], n[2]));
    ck_assert(!same(png[0], n[0], png[3], n[3]));
    ck_assert(!same(png[3], n[3], png[4], n[4]));
    for (int i = 0; i < 5; i++) {
        free(png[i]);
    }
    spectrum_free(in[0]);
    spectrum_free(in[1]);
    spectrum_free(mean);
}
END_TEST

/* Extended sources are shown by their surface brightness. */
START_TEST(test_quicklook_combined_extended)
{
    struct spectrum *in[] = {make(50, 0.6, 0.1, 1)}, *mean = make(50, 0.6, 0.1, 1);
    size_t n[3];
    char *png[3];
    png[0] = picture(mean, in, 1, &n[0]);
    strcpy(mean->source_type, "EXTENDED");
    png[1] = picture(mean, in, 1, &n[1]);
    in[0]->flux[3] = 5; /* not what is shown */
    png[2] = picture(mean, in, 1, &n[2]);
    ck_assert(!same(png[0], n[0], png[1], n[1]));
    ck_assert(same(png[1], n[1], png[2], n[2]));
    for (int i = 0; i < 3; i++) {
        free(png[i]);
    }
    spectrum_free(in[0]);
    spectrum_free(mean);
}
END_TEST

/* Values of hostile files: no wavelength, no flux, more than an axis can hold; one row. */
START_TEST(test_quicklook_combined_odd_values)
{
    struct spectrum *in[] = {make(5, 0.6, 0.1, 1), make(3, 5, -1, 1), make(0, 1, 1, 1)};
    struct spectrum *mean = make(5, 0.6, 0.1, 1), *one = make(1, 2, 0, 1);
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e300, -1e300};
    size_t n;
    for (size_t i = 0; i < 5; i++) {
        in[0]->flux[i] = mean->flux[i] = odd[i];
        in[0]->flux_error[i] = mean->flux_error[i] = odd[4 - i];
        in[0]->wavelength[i] = odd[(i + 2) % 5];
    }
    free(picture(mean, in, 3, &n));
    free(picture(one, in, 3, &n));
    free(picture(one, in, 0, &n));
    for (int i = 0; i < 3; i++) {
        spectrum_free(in[i]);
    }
    spectrum_free(mean);
    spectrum_free(one);
}
END_TEST

/* Pixels of the line's colour in a column of the upper panel, a third along. */
static int ink(const struct spectrum *mean)
{
    char *folder = support_folder();
    const char *path = support_path(folder, "a.png");
    const struct quicklook_combined q = {mean, NULL, 0, "x_c1d.fits"};
    int n = 0;
    support_ok(quicklook_combined_write(&q, path, &err), &err);
    cairo_surface_t *png = cairo_image_surface_create_from_png(path);
    ck_assert_int_eq(cairo_surface_status(png), CAIRO_STATUS_SUCCESS);
    const unsigned char *data = cairo_image_surface_get_data(png);
    for (int y = 190; y < 550; y++) {
        const unsigned char *p =
            data + (size_t)y * (size_t)cairo_image_surface_get_stride(png) + 4 * 600;
        n += p[0] < 100 && p[1] < 100 && p[2] < 100;
    }
    cairo_surface_destroy(png);
    support_remove(folder);
    return n;
}

/* No line is drawn from one disperser to the next where they leave a gap. */
START_TEST(test_quicklook_combined_gap)
{
    struct spectrum *mean = make(200, 1, 0.01, 1);
    ck_assert_int_gt(ink(mean), 0);
    for (size_t i = 0; i < 200; i++) {
        mean->wavelength[i] = (i < 100 ? 1 : 3) + 0.001 * (double)i;
    }
    ck_assert_int_eq(ink(mean), 0);
    spectrum_free(mean);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("quicklook_combined");
    TCase *t = tcase_create("quicklook_combined");
    tcase_add_test(t, test_quicklook_combined_shows_all_of_them);
    tcase_add_test(t, test_quicklook_combined_extended);
    tcase_add_test(t, test_quicklook_combined_odd_values);
    tcase_add_test(t, test_quicklook_combined_gap);
    suite_add_tcase(s, t);
    return support_run(s);
}
