#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/dq.h"
#include "jobs/quicklook.h"
#include "jobs/quicklook_plot.h"
#include "jobs/quicklook_range.h"
#include "tests/support.h"

/* A star on a flat sky with one line, and its spectrum. */
static struct cube *make_cube(int nx, int ny, int nw)
{
    struct err err;
    struct cube *c = cube_new(nx, ny, nw, &err);
    ck_assert_ptr_nonnull(c);
    c->crpix1 = nx / 2.0;
    c->crpix2 = ny / 2.0;
    c->crval1 = 150.0;
    c->crval2 = 2.0;
    c->cdelt1 = c->cdelt2 = 0.1 / 3600.0;
    c->n_exposures = 4;
    strcpy(c->meta.target_name, "STAR");
    for (int k = 0; k < nw; k++) {
        c->wavelength[k] = 3.0 + 0.001 * k;
        for (int j = 0; j < ny; j++) {
            for (int i = 0; i < nx; i++) {
                double r2 = pow(i - nx / 2.0, 2) + pow(j - ny / 2.0, 2);
                c->sci[((size_t)k * (size_t)ny + (size_t)j) * (size_t)nx + (size_t)i] =
                    (float)(1.0 + 50.0 * exp(-0.5 * r2));
            }
        }
    }
    return c;
}

static struct spectrum *make_spectrum(const struct cube *c)
{
    struct err err;
    struct spectrum *s = spectrum_new((size_t)c->nw, &err);
    ck_assert_ptr_nonnull(s);
    strcpy(s->source_type, "POINT");
    s->extraction_x = c->nx / 2.0;
    s->extraction_y = c->ny / 2.0;
    s->aperture_arcsec = 0.45;
    s->annulus_in_arcsec = 0.9;
    s->annulus_out_arcsec = 1.3;
    for (size_t k = 0; k < s->n; k++) {
        s->wavelength[k] = c->wavelength[k];
        s->flux[k] = 1e-4 * (1.0 + 0.2 * sin(0.05 * (double)k));
        s->flux_error[k] = 1e-6;
        s->surf_bright[k] = 3.0;
        s->sb_error[k] = 0.1;
    }
    return s;
}

static unsigned big_endian(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (unsigned)u[0] << 24 | (unsigned)u[1] << 16 | (unsigned)u[2] << 8 | u[3];
}

/* A PNG of the right size; returns its bytes. */
static char *check_png(const char *path, size_t *ret_n)
{
    char *png = support_read_file(path, ret_n);
    ck_assert_uint_gt(*ret_n, 33);
    ck_assert_mem_eq(png, "\x89PNG\r\n\x1a\n", 8);
    ck_assert_uint_eq(big_endian(png + 16), QUICKLOOK_WIDTH);
    ck_assert_uint_eq(big_endian(png + 20), QUICKLOOK_HEIGHT);
    return png;
}

START_TEST(test_quicklook_picture)
{
    struct err err = {0};
    char *folder = support_folder();
    struct cube *c = make_cube(43, 47, 200);
    struct spectrum *s = make_spectrum(c);
    const char *one = support_path(folder, "one.png");
    const char *two = support_path(folder, "two.png");
    const char *other = support_path(folder, "other.png");
    support_ok(quicklook_write(c, s, one, &err), &err);
    support_ok(quicklook_write(c, s, two, &err), &err);
    size_t n, m;
    char *first = check_png(one, &n), *second = check_png(two, &m);
    ck_assert_uint_gt(n, 15000); /* a blank picture packs into 6 kB */
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(first, second, n);
    free(second);
    /* What is seen follows the data: image and spectrum. */
    strcpy(s->source_type, "EXTENDED");
    support_ok(quicklook_write(c, s, other, &err), &err);
    second = check_png(other, &m);
    ck_assert(n != m || memcmp(first, second, n) != 0);
    free(second);
    /* A region that was summed has its outline. */
    s->aperture_arcsec = 0;
    support_ok(quicklook_write(c, s, one, &err), &err);
    first = (free(first), check_png(one, &n));
    s->region = calloc(43 * 47, 1);
    s->region[0] = s->region[43 * 20 + 7] = s->region[43 * 47 - 1] = 1;
    support_ok(quicklook_write(c, s, other, &err), &err);
    second = check_png(other, &m);
    ck_assert(n != m || memcmp(first, second, n) != 0);
    free(first);
    free(second);
    spectrum_free(s);
    cube_free(c);
    support_remove(folder);
}
END_TEST

START_TEST(test_quicklook_without_data)
{
    struct err err = {0};
    char *folder = support_folder();
    const char *path = support_path(folder, "a.png");
    struct cube *c = make_cube(5, 3, 4);
    size_t n;
    support_ok(quicklook_write(c, NULL, path, &err), &err); /* no spectrum */
    free(check_png(path, &n));
    struct spectrum *s = make_spectrum(c);
    for (size_t k = 0; k < s->n; k++) {
        s->flux[k] = s->flux_error[k] = (double)NAN;
        s->dq[k] = DQ_DO_NOT_USE;
    }
    for (size_t p = 0; p < 60; p++) {
        c->sci[p] = NAN;
    }
    support_ok(quicklook_write(c, s, path, &err), &err);
    free(check_png(path, &n));
    spectrum_free(s);
    cube_free(c);
    /* One voxel, constant, negative; a turned field. */
    c = make_cube(1, 1, 1);
    c->sci[0] = -5.0f;
    c->pc[0][0] = c->pc[1][1] = 0.5;
    c->pc[0][1] = -0.8;
    c->pc[1][0] = 0.8;
    s = make_spectrum(c);
    support_ok(quicklook_write(c, s, path, &err), &err);
    free(check_png(path, &n));
    ck_assert_int_eq(quicklook_write(c, s, support_path(folder, "missing/a.png"), &err),
                     ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "missing/a.png"));
    spectrum_free(s);
    cube_free(c);
    support_remove(folder);
}
END_TEST

START_TEST(test_quicklook_range_keeps_lines_not_spikes)
{
    enum { N = 400 };
    double y[N], e[N], low, high;
    for (int i = 0; i < N; i++) {
        y[i] = 10.0 + 6.0 * exp(-0.5 * pow((i - 100) / 1.2, 2)); /* a line, FWHM 2.8 */
        e[i] = 0.1;
    }
    y[200] = 1e6;                      /* one bad wavelength */
    y[300] = y[301] = y[302] = -500.0; /* three, and they say so */
    e[300] = e[301] = e[302] = 80.0;
    y[350] = e[350] = (double)NAN;
    ck_assert_int_eq(quicklook_range(y, e, N, &low, &high, NULL), 0);
    /* the line's peak at 16 with the margin of 7 % of the range, no more */
    ck_assert_double_gt(high, 16.0);
    ck_assert_double_lt(high, 16.6);
    ck_assert_double_gt(low, 9.0);
    ck_assert_double_lt(low, 10.0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("quicklook");
    TCase *t = tcase_create("quicklook");
    tcase_add_test(t, test_quicklook_picture);
    tcase_add_test(t, test_quicklook_without_data);
    tcase_add_test(t, test_quicklook_range_keeps_lines_not_spikes);
    suite_add_tcase(s, t);
    return support_run(s);
}
