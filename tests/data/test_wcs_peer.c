/*
 * The WCS against samples of the peer's, with the instrument model it was made with.
 * Needs PEER_SAMPLES (golden/wcs_*.fits and instrument/); says aloud when it is absent.
 */
#include <check.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "common/data/fits_io.h"
#include "common/data/wcs_build.h"
#include "tests/support.h"

static struct err err;

enum { type_count = 11 };

struct loaded {
    struct wcs_references refs;
    void *object[type_count];
    void (*release[type_count])(void *);
};

static void load(struct loaded *l, const char *folder, const struct exposure_meta *m)
{
    for (size_t i = 0; i < type_count; i++) {
        const char *type = wcs_reference_types[i];
        char path[8192];
        const char *variant = strcmp(type, "disperser") == 0 ? m->grating
                              : strcmp(type, "fore") == 0    ? m->filter
                                                             : "";
        snprintf(path, sizeof path, "%s/instrument/%s%s%s.asdf", folder, type,
                 variant[0] ? "_" : "", variant);
        const struct reference_type *row = reference_types;
        while (strcmp(row->type, type) != 0) {
            row++;
        }
        size_t bytes;
        support_ok(row->load(path, &l->object[i], &bytes, &err), &err);
        l->release[i] = row->free;
        wcs_references_set(&l->refs, i, l->object[i]);
    }
}

static void unload(struct loaded *l)
{
    for (size_t i = 0; i < type_count; i++) {
        l->release[i](l->object[i]);
    }
}

/* How far from the samples; one line on standard output, then the demands. */
static void compare(struct fits_in *f, const char *name, const struct wcs *w,
                    const uint8_t *regions, double seconds)
{
    static const char *const column[4] = {"ra", "dec", "wavelength", "x"};
    double *v[4];
    int64_t *y, *slice;
    int hdu;
    support_ok(fits_in_need(f, "WCS_SAMPLE", &hdu, &err), &err);
    for (int i = 0; i < 4; i++) {
        support_ok(fits_in_column_doubles(f, hdu, column[i], &v[i], NULL, &err), &err);
    }
    support_ok(fits_in_column_ints(f, hdu, "y", &y, NULL, &err), &err);
    support_ok(fits_in_column_ints(f, hdu, "slice", &slice, NULL, &err), &err);
    size_t n = fits_in_hdu(f, hdu)->rows, same = 0, compared = 0, nan_differs = 0;
    double worst_ra = 0.0, worst_dec = 0.0, worst_lam = 0.0, worst_pixel = 0.0;
    for (size_t i = 0; i < n; i++) {
        double px = v[3][i], py = (double)y[i], ra, dec, lam, bx, by;
        int s = regions[y[i] * 2048 + (int)px];
        same += s == slice[i];
        if (s != slice[i] || s == 0) {
            continue;
        }
        wcs_detector_to_sky(w, s, 1, &px, &py, &ra, &dec, &lam);
        if (isnan(lam) != isnan(v[2][i])) {
            nan_differs++;
            continue;
        }
        double scale = cos(dec * 3.14159265358979323846 / 180.0) * 3.6e6;
        worst_ra = fmax(worst_ra, fabs(remainder(ra - v[0][i], 360.0)) * scale);
        worst_dec = fmax(worst_dec, fabs(dec - v[1][i]) * 3.6e6);
        worst_lam = fmax(worst_lam, fabs(lam - v[2][i]));
        wcs_sky_to_detector(w, s, 1, &ra, &dec, &lam, &bx, &by);
        worst_pixel = fmax(worst_pixel, fmax(fabs(bx - px), fabs(by - py)));
        compared++;
    }
    printf("%s: slice equal %zu of %zu; of %zu RA %.1e mas, Dec %.1e mas, wavelength "
           "%.1e um; there and back %.1e pixel; built in %.3f s\n",
           name, same, n, compared, worst_ra, worst_dec, worst_lam, worst_pixel,
           seconds);
    ck_assert_uint_gt(compared, 1000);
    ck_assert_uint_ge(same * 1000, n * 999);
    ck_assert_uint_eq(nan_differs, 0);
    ck_assert_double_le(worst_ra, 0.01);
    ck_assert_double_le(worst_dec, 0.01);
    ck_assert_double_le(worst_lam, 1e-8);
    ck_assert_double_le(worst_pixel, 1e-3);
    for (int i = 0; i < 4; i++) {
        free(v[i]);
    }
    free(y);
    free(slice);
}

static void check_file(const char *folder, const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    const double slit[2] = {-0.55, 0.55};
    struct fits_in *f;
    int hdu;
    support_ok(fits_in_open(path, ERR_INPUT, &f, &err), &err);
    struct exposure *e = exposure_new(2048, 2048, &err);
    ck_assert_ptr_nonnull(e);
    support_ok(fits_in_header(f, 0, &e->primary, &err), &err);
    support_ok(fits_in_need(f, "SCI", &hdu, &err), &err);
    support_ok(fits_in_header(f, hdu, &e->science, &err), &err);
    support_ok(exposure_read_meta(e, name, &err), &err);
    struct loaded l = {.object = {NULL}};
    load(&l, folder, &e->meta);
    uint8_t *regions = malloc((size_t)2048 * 2048);
    struct par *par;
    struct timespec t0, t1;
    support_ok(par_new(2, &par, &err), &err);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    support_ok(wcs_build(&e->meta, 2048, 2048, &l.refs, slit, par, NULL, &e->wcs,
                         regions, NULL, &err),
               &err);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    compare(f, name, e->wcs, regions,
            (double)(t1.tv_sec - t0.tv_sec) + 1e-9 * (double)(t1.tv_nsec - t0.tv_nsec));
    par_free(par);
    unload(&l);
    free(regions);
    exposure_free(e);
    fits_in_close(f);
}

START_TEST(test_wcs_peer_samples)
{
    const char *folder = support_peer_samples();
    if (!folder) {
        return;
    }
    char pattern[4096];
    glob_t found;
    const char *extra = getenv("WCS_SAMPLES"); /* another folder of wcs_*.fits */
    snprintf(pattern, sizeof pattern, "%s%s/wcs_*.fits", extra ? extra : folder,
             extra ? "" : "/golden");
    ck_assert_msg(glob(pattern, 0, NULL, &found) == 0, "nothing like %s", pattern);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        check_file(folder, found.gl_pathv[i]);
    }
    globfree(&found);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wcs_peer");
    TCase *t = tcase_create("wcs_peer");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_wcs_peer_samples);
    suite_add_tcase(s, t);
    return support_run(s);
}
