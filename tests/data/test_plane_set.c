#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/mem.h"
#include "common/data/fits_io.h"
#include "common/data/plane_set.h"
#include "tests/support.h"

static float *numbers(size_t n, float first)
{
    struct err err = {0};
    float *v = mem_alloc(n, sizeof *v, &err);
    ck_assert_ptr_nonnull(v);
    for (size_t i = 0; i < n; i++) {
        v[i] = first + (float)i;
    }
    return v;
}

/* Images come back as they were, with axes, names and cards. */
START_TEST(test_plane_set_round_trip)
{
    struct err err = {0};
    struct header cards = {0}, primary = {0};
    struct provenance p = {.version = "1.2.3", .date = "2024-03-12T01:02:03.000"};
    struct fits_in *f = NULL;
    char *folder = support_folder();
    const char *path = support_path(folder, "x_output.fits"), *text = NULL;
    support_ok(header_set_int(&cards, "KERNXSZ", 7, "kernel", &err), &err);
    struct plane_set *set = plane_set_new("OutlierIFUOutputModel", &cards, &err);
    ck_assert_ptr_nonnull(set);
    support_ok(plane_set_add(set, "CUBE", 4, 3, 2, numbers(24, 1), &err), &err);
    support_ok(plane_set_add(set, "IMAGE", 4, 3, 0, numbers(12, 100), &err), &err);
    support_ok(plane_set_write(set, path, "x_output.fits", &p, &err), &err);
    plane_set_free(set);
    support_ok(fits_in_open(path, ERR_INPUT, &f, &err), &err);
    support_ok(fits_in_header(f, 0, &primary, &err), &err);
    long kernel = 0;
    ck_assert(header_get_int(&primary, "KERNXSZ", &kernel));
    ck_assert_int_eq(kernel, 7);
    ck_assert(header_get_string(&primary, "DATAMODL", &text));
    ck_assert_str_eq(text, "OutlierIFUOutputModel");
    ck_assert(header_get_string(&primary, "FILENAME", &text));
    ck_assert_str_eq(text, "x_output.fits");
    const struct {
        const char *name;
        int n_axes;
        size_t last;
        float first;
    } images[] = {{"CUBE", 3, 2, 1}, {"IMAGE", 2, 3, 100}};
    for (size_t i = 0; i < 2; i++) {
        int hdu;
        float *values = NULL;
        support_ok(fits_in_need(f, images[i].name, &hdu, &err), &err);
        const struct fits_hdu *h = fits_in_hdu(f, hdu);
        ck_assert_int_eq(h->n_axes, images[i].n_axes);
        ck_assert_uint_eq(h->axes[0], 4);
        ck_assert_uint_eq(h->axes[h->n_axes - 1], images[i].last);
        support_ok(fits_in_floats(f, hdu, &values, &err), &err);
        for (size_t k = 0; k < h->pixels; k++) { /* floats: no tolerance */
            ck_assert(values[k] == images[i].first + (float)k);
        }
        free(values);
    }
    fits_in_close(f);
    header_done(&primary);
    header_done(&cards);
    support_remove(folder);
}
END_TEST

START_TEST(test_plane_set_full)
{
    struct err err = {0};
    const struct header none = {0};
    struct plane_set *set = plane_set_new("Model", &none, &err);
    for (int i = 0; i < PLANE_SET_MOST; i++) {
        support_ok(plane_set_add(set, "A", 2, 2, 0, numbers(4, 0), &err), &err);
    }
    ck_assert_int_eq(plane_set_add(set, "A", 2, 2, 0, numbers(4, 0), &err), ERR_BUG);
    plane_set_free(set);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plane_set");
    TCase *t = tcase_create("all");
    tcase_add_test(t, test_plane_set_round_trip);
    tcase_add_test(t, test_plane_set_full);
    suite_add_tcase(s, t);
    return support_run(s);
}
